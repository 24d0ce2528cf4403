"""Finds the files and the splits of a user's folder by its dataset.yaml."""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nas_tf.data.dataset_file import NAME, Settings
from nas_tf.data.files import IMAGE_SUFFIXES, read_names
from nas_tf.data.path_pattern import PathPattern, inside, walk
from nas_tf.errors import DataError


@dataclass(frozen=True)
class Layout:
    """The patterns of a folder's files; of targets that it does not have they are None."""

    root: Path
    settings: Settings

    @cached_property
    def images(self) -> PathPattern:
        """The pattern of the pictures."""
        return PathPattern(self.root, self.settings.images)

    @cached_property
    def labels(self) -> PathPattern | None:
        """The pattern of the label files, or the JSON of the outlines."""
        is_usual = self.settings.classes and not self.settings.boxes
        text = self.settings.labels or ("labels" if is_usual else None)
        return PathPattern(self.root, text, targets=True) if text else None

    @cached_property
    def depth(self) -> PathPattern | None:
        """The pattern of the depth maps."""
        text = self.settings.depth
        return PathPattern(self.root, text, targets=True) if text else None

    @cached_property
    def keypoints(self) -> PathPattern | None:
        """The JSON of the joints."""
        text = self.settings.keypoints
        return PathPattern(self.root, text) if text else None

    @cached_property
    def boxes(self) -> PathPattern | None:
        """The pattern of the files of boxes, or the JSON of all boxes."""
        text = self.settings.boxes
        return PathPattern(self.root, text) if text else None

    @property
    def xml(self) -> PathPattern | None:
        """The pattern of the files of boxes if they are VOC's, one for each picture."""
        is_xml = self.boxes is not None and self.boxes.text.lower().endswith(".xml")
        return self.boxes if is_xml else None

    @cached_property
    def clean(self) -> PathPattern | None:
        """The pattern of clean pictures that degraded ones are paired with."""
        settings = self.settings
        return PathPattern(self.root, settings.clean, targets=True) if settings.pairs else None

    @property
    def _patterns(self) -> list[PathPattern]:
        """The patterns of all kinds of files, pictures first."""
        patterns = (
            *(self.images, self.labels, self.depth),
            *(self.keypoints, self.boxes, self.clean),
        )
        return [pattern for pattern in patterns if pattern is not None]

    @cached_property
    def splits(self) -> list[str]:
        """The splits that dataset.yaml names, or that the JSON files or folders show."""
        if self.settings.splits:
            self._check_folders()
            return list(self.settings.splits)
        given = (self.keypoints, self.labels, self.boxes)
        files = [file for file in given if file and file.is_json]
        for pattern in [file for file in files if file.has_split] or [self.images]:
            found = pattern.splits() if pattern.has_split else []
            if found:
                return found
        where = self.images.text if "{" in self.images.text else self.root / self.images.text
        raise DataError(
            f"{where} holds no split: make sub-folders train and val, "
            f"or list files under `splits` in {self.root / NAME}"
        )

    def _check_folders(self) -> None:
        """Raises if a split is a folder's name and the pattern of pictures has no such folder."""
        for split, value in self.settings.splits.items():
            if self.listing(split) is None and not self.images.has_split:
                raise self.settings.error(
                    "splits",
                    f"splits.{split} is {value}, expected a list file such as splits/{split}.txt: "
                    "a folder's name needs {split} in images",
                )

    @property
    def names_from(self) -> PathPattern | None:
        """The JSON that names the pictures, or None if there is no JSON."""
        patterns = (self.keypoints, self.labels, self.boxes)
        return next((pattern for pattern in patterns if pattern and pattern.is_json), None)

    def listing(self, split: str) -> str | None:
        """Returns the list file of a split, or None if its folder holds all its files."""
        value = self.settings.splits.get(split)
        return None if value is None or re.fullmatch(r"\w+", value) else value

    def listed(self, split: str) -> list[str]:
        """Returns the names in the list file of a split: paths below the pictures, no suffix."""
        listing = Path(str(self.listing(split)))
        names = []
        folder = self.split_folder(self.images, split)
        for line in read_names(self.root / inside(self.root, listing, NAME)):
            inside(self.root, Path(line), str(listing))
            has_suffix = line.lower().endswith(IMAGE_SUFFIXES)
            if has_suffix and os.path.exists(self.images.path(folder, line)):
                has_suffix = False  # of the name itself, as in x.png.jpg
            names.append(str(Path(line).with_suffix("")) if has_suffix else line)
        return names

    def split_folder(self, pattern: PathPattern, split: str) -> str | None:
        """Returns the text for {split} in a pattern; None for listed names in a plain folder."""
        if self.listing(split):
            return split if "{" in pattern.text else None
        return self.settings.splits.get(split, split)

    def files(self) -> dict[str, os.stat_result]:
        """Returns the status of all files read, and of others beside them, by relative path."""
        files = {self.settings.path}
        for split in self.splits:
            files.add(self.root / (self.listing(split) or NAME))
            for pattern in self._patterns:
                subfolder = self.split_folder(pattern, split)
                folder = pattern.folder(subfolder)
                with suppress(DataError):
                    deep = folder != self.root
                    files |= {folder} if pattern.is_json else {*walk(folder, deep=deep)}
                    if self.listing(split) and not deep:
                        files |= {pattern.path(subfolder, name) for name in self.listed(split)}
        found = {}
        for path in sorted(files):
            with suppress(OSError):
                found[str(path.relative_to(self.root))] = path.stat()
        return found

    def state(self) -> str:
        """Returns a digest of the path and of all files read, so that a copy is never stale."""
        lines = [str(self.root)]
        for name, stat in self.files().items():
            lines.append(f"{name} {stat.st_size} {stat.st_mtime_ns}")
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:10]
