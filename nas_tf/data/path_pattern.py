"""Where a user's folder keeps its files: a sub-folder, or a pattern with {split} and {name}.

``leftImg8bit/{split}/{name}_leftImg8bit.png`` is a pattern; {name} may contain sub-folders.
Without a picture's suffix, a pattern means any suffix that is read.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nas_tf.data.files import IMAGE_SUFFIXES
from nas_tf.errors import DataError

_FIELD = re.compile(r"\{[^{}]*\}|[{}]")
_LOSSY = (".jpg", ".jpeg")


def fault_of(text: str) -> str | None:
    """What a place may not be: wrong braces, or fields where no file can be found by them."""
    fields = _FIELD.findall(text)
    if not set(fields) <= {"{split}", "{name}"}:
        return "a place with no braces but {split} and {name}"
    if text.lower().endswith(".json"):
        return "a JSON with {split} at most" if "{name}" in fields else None
    if not fields:
        return None
    if "{name}" not in fields:
        return "a pattern with {name}"
    before = text[: text.index("{name}")]
    if "{split}" in fields and ("{split}" not in before or "{split}" in before.split("/")[-1]):
        return "a pattern with {split} in the name of a folder, before {name}"
    return None


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one kind below ``root``; ``text`` is as dataset.yaml has it.

    ``targets`` are preferred as PNG where no suffix is given, pictures as JPEG.
    """

    root: Path
    text: str
    targets: bool = False

    @property
    def is_json(self) -> bool:
        """Whether it is a COCO annotation file, not a folder of files."""
        return self.text.lower().endswith(".json")

    @property
    def has_split(self) -> bool:
        """Whether the splits can be told from what is there."""
        return "{split}" in self.text or ("{" not in self.text and not self.is_json)

    def pattern(self, split: str | None) -> str:
        """The pattern with the split's folder put in; a plain folder has the split below it."""
        if self.is_json or "{" in self.text:
            return self.text.replace("{split}", split or "")
        folder = f"{self.text.rstrip('/')}/{split}" if split else self.text.rstrip("/")
        return f"{folder}/{{name}}"

    def folder(self, split: str | None) -> Path:
        """The folder that holds all files of a split, or the JSON itself."""
        pattern = self.pattern(split)
        return self.root / (
            pattern if self.is_json else pattern.split("{name}")[0].rpartition("/")[0]
        )

    def path(self, split: str | None, name: str) -> Path:
        """The file of a name: the first that is there, else the one that would be usual."""
        pattern = self.pattern(split).replace("{name}", name)
        if _suffix(self.pattern(split)):
            return self.root / pattern
        lossless = [suffix for suffix in IMAGE_SUFFIXES if suffix not in _LOSSY]
        lossless.sort(key=lambda suffix: suffix != ".png")
        order = (*lossless, *_LOSSY) if self.targets else IMAGE_SUFFIXES
        candidates = [
            self.root / f"{pattern}{written}"
            for suffix in order
            for written in (suffix, suffix.upper())
        ]
        return next((path for path in candidates if os.path.exists(path)), candidates[0])

    def names(
        self, split: str | None, suffixes: Sequence[str] = IMAGE_SUFFIXES
    ) -> dict[str, list[Path]]:
        """The files of a split by their names, in order; a name may have files of two suffixes."""
        expression, folder = self._expression(split), self.folder(split)
        deep = folder != self.root
        found: dict[str, list[Path]] = {}
        for path in walk(folder, deep=deep):
            relative = path.relative_to(self.root).as_posix()
            match = expression.fullmatch(relative)
            if match and path.suffix.lower() in suffixes:
                found.setdefault(match["name"], []).append(path)
        return found

    def splits(self) -> list[str]:
        """What {split} may stand for, by the folders or JSON files that are there, train first."""
        pattern = PurePosixPath(self.pattern("{split}"))
        parts = list(pattern.parts)
        place = next(number for number, part in enumerate(parts) if "{split}" in part)
        expression = _regex(parts[place])
        above = self.root.joinpath(*parts[:place])
        last = place == len(parts) - 1
        found = [
            match["split"]
            for entry in _entries(above)
            if (match := expression.fullmatch(entry.name)) and entry.is_file() == last
        ]
        kept = [
            split
            for split in found
            if re.fullmatch(r"\w+", split, re.ASCII) and self.folder(split).exists()
        ]
        return sorted(kept, key=lambda name: (name != "train", name))

    def _expression(self, split: str | None) -> re.Pattern[str]:
        """Matches a path below root, and gives the name."""
        pattern = self.pattern(split)
        ending = "" if _suffix(pattern) else r"\.[^./]+"
        return re.compile(_regex(pattern).pattern + ending, re.DOTALL)


def inside(root: Path, path: Path, where: str) -> Path:
    """The path, if it leads nowhere else: a folder that came from others shows only itself."""
    outside = ".." in path.parts or not (root / path).is_relative_to(root)
    if outside or "\0" in str(path):
        raise DataError(f"{root / where} names {str(path)!r}, expected a place in {root}")
    return path


def walk(folder: Path, *, deep: bool = True, seen: frozenset = frozenset()) -> Iterator[Path]:
    """The files of a folder in order, through links but never twice into the same folder."""
    for entry in _entries(folder):
        if entry.is_file():
            yield Path(entry.path)
        elif deep and entry.is_dir():
            status = entry.stat()
            identity = status.st_dev, status.st_ino
            if identity not in seen:
                yield from walk(Path(entry.path), seen=seen | {identity})


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """The visible entries of a folder by name."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"folder {folder} cannot be read: {reason}; check the path and its permissions"
        ) from error
    return sorted(visible, key=lambda entry: entry.name)


def _suffix(pattern: str) -> bool:
    """Whether a pattern ends with a picture's suffix."""
    return pattern.lower().endswith(IMAGE_SUFFIXES)


def _regex(pattern: str) -> re.Pattern[str]:
    """The pattern's first fields as groups; where a field comes again, the same text does."""
    parts, known = [], set()
    for piece in re.split(r"(\{split\}|\{name\})", pattern):
        if piece not in ("{split}", "{name}"):
            parts.append(re.escape(piece))
            continue
        field = piece[1:-1]
        wanted = ".+" if field == "name" else "[^/]+"
        parts.append(f"(?P={field})" if field in known else f"(?P<{field}>{wanted})")
        known.add(field)
    return re.compile("".join(parts), re.DOTALL)
