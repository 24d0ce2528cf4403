"""Where the files of a user's folder are, by its dataset.yaml, and which splits they make."""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nas_tf.data.dataset_file import NAME, Settings
from nas_tf.data.path_pattern import Place, walk
from nas_tf.errors import DataError


@dataclass(frozen=True)
class Layout:
    """The places of a folder's files; ``labels`` and the others are None where it has none."""

    root: Path
    settings: Settings

    @cached_property
    def images(self) -> Place:
        """Where the pictures are."""
        return Place(self.root, self.settings.images)

    @cached_property
    def labels(self) -> Place | None:
        """Where the label files are, or the JSON of their outlines."""
        wanted = self.settings.labels or ("labels" if self.settings.classes else None)
        return Place(self.root, wanted, targets=True) if wanted else None

    @cached_property
    def depth(self) -> Place | None:
        """Where the depth maps are."""
        wanted = self.settings.depth
        return Place(self.root, wanted, targets=True) if wanted else None

    @cached_property
    def keypoints(self) -> Place | None:
        """The JSON of the joints."""
        return Place(self.root, self.settings.keypoints) if self.settings.keypoints else None

    @property
    def _places(self) -> list[Place]:
        """Where files are, pictures first."""
        places = (self.images, self.labels, self.depth, self.keypoints)
        return [place for place in places if place is not None]

    @cached_property
    def splits(self) -> list[str]:
        """Those that dataset.yaml names, or that the JSON files or folders show."""
        if self.settings.splits:
            self._have_folders()
            return list(self.settings.splits)
        by_json = [place for place in (self.keypoints, self.labels) if place and place.is_json]
        for place in [place for place in by_json if place.has_split] or [self.images]:
            found = place.splits() if place.has_split else []
            if found:
                return found
        where = self.images.text if "{" in self.images.text else self.root / self.images.text
        raise DataError(
            f"{where} holds no split: make sub-folders train and val, "
            f"or list files under `splits` in {self.root / NAME}"
        )

    def _have_folders(self) -> None:
        """Raises where a split is given as a folder's name and pictures have no such folder."""
        for split, value in self.settings.splits.items():
            if self.listing(split) is None and not self.images.has_split:
                raise self.settings.error(
                    "splits",
                    f"splits.{split} is {value}, expected a list file such as splits/{split}.txt: "
                    "a folder's name needs {split} in images",
                )

    @property
    def names_from(self) -> Place | None:
        """The JSON that says which pictures there are."""
        places = (self.keypoints, self.labels)
        return next((place for place in places if place and place.is_json), None)

    def listing(self, split: str) -> str | None:
        """The list file of a split; None where its folder has everything."""
        value = self.settings.splits.get(split)
        return None if value is None or re.fullmatch(r"\w+", value) else value

    def key(self, place: Place, split: str) -> str | None:
        """What {split} stands for in a place; in a plain folder, listed names have no split."""
        if self.listing(split):
            return split if "{" in place.text else None
        return self.settings.splits.get(split, split)

    def state(self) -> str:
        """Changes with the path and with any file that is read, so a copy is never stale."""
        files = {self.settings.path}
        for split in self.splits:
            files.add(self.root / (self.listing(split) or NAME))
            for place in self._places:
                folder = place.folder(self.key(place, split))
                with suppress(DataError):
                    deep = folder != self.root
                    files |= {folder} if place.is_json else {*walk(folder, deep=deep)}
        lines = [str(self.root)]
        for path in sorted(files):
            with suppress(OSError):
                stat = path.stat()
                lines.append(f"{path.relative_to(self.root)} {stat.st_size} {stat.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:10]
