"""Finds the files of a user's folder by a sub-folder, or by a pattern with {split} and {name}.

``leftImg8bit/{split}/{name}_leftImg8bit.png`` is a pattern; {name} may contain sub-folders.
Without a picture's suffix, a pattern matches any suffix that is read.
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
_BOX_SUFFIXES = (".xml", ".txt")


def fault_of(text: str) -> str | None:
    """Returns what is expected in place of a pattern by which no file can be found, or None."""
    fields = _FIELD.findall(text)
    if not set(fields) <= {"{split}", "{name}"}:
        return "a path with no braces but {split} and {name}"
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
class PathPattern:
    """The files of one kind below ``root``; ``text`` is a value of dataset.yaml.

    If no suffix is given, PNG is preferred for ``targets`` and JPEG for pictures. For example::

        PathPattern(Path("fields"), "masks/{split}/{name}.png").path("val", "x")
    """

    root: Path
    text: str
    targets: bool = False

    @property
    def is_json(self) -> bool:
        """True if the text names a COCO annotation file, not a folder of files."""
        return self.text.lower().endswith(".json")

    @property
    def has_split(self) -> bool:
        """True if the folders or files that are there show the splits."""
        return "{split}" in self.text or ("{" not in self.text and not self.is_json)

    def for_split(self, split: str | None) -> str:
        """Returns the pattern with the split's folder, which a plain folder has below it."""
        if self.is_json or "{" in self.text:
            return self.text.replace("{split}", split or "")
        folder = f"{self.text.rstrip('/')}/{split}" if split else self.text.rstrip("/")
        return f"{folder}/{{name}}"

    def folder(self, split: str | None) -> Path:
        """Returns the folder that holds all files of a split, or the JSON itself."""
        pattern = self.for_split(split)
        return self.root / (
            pattern if self.is_json else pattern.split("{name}")[0].rpartition("/")[0]
        )

    def path(self, split: str | None, name: str) -> Path:
        """Returns the first existing file of a name, else the most usual path."""
        pattern = self.for_split(split).replace("{name}", name)
        if _has_suffix(self.for_split(split)):
            return self.root / pattern
        lossless = [suffix for suffix in IMAGE_SUFFIXES if suffix not in _LOSSY]
        lossless.sort(key=lambda suffix: suffix != ".png")
        order = (*lossless, *_LOSSY) if self.targets else IMAGE_SUFFIXES
        candidates = [
            self.root / f"{pattern}{ending}"
            for suffix in order
            for ending in (suffix, suffix.upper())
        ]
        return next((path for path in candidates if os.path.exists(path)), candidates[0])

    def names(
        self, split: str | None, suffixes: Sequence[str] = IMAGE_SUFFIXES
    ) -> dict[str, list[Path]]:
        """Returns the files of a split by name, in order; a name may have several suffixes."""
        expression, folder = self._expression(split), self.folder(split)
        deep = folder != self.root
        accepted = _BOX_SUFFIXES if self.text.lower().endswith(_BOX_SUFFIXES) else suffixes
        found: dict[str, list[Path]] = {}
        for path in walk(folder, deep=deep):
            relative = path.relative_to(self.root).as_posix()
            match = expression.fullmatch(relative)
            if match and path.suffix.lower() in accepted:
                found.setdefault(match["name"], []).append(path)
        return found

    def splits(self) -> list[str]:
        """Returns the splits whose folders or JSON files are there, train first."""
        pattern = PurePosixPath(self.for_split("{split}"))
        parts = list(pattern.parts)
        depth = next(number for number, part in enumerate(parts) if "{split}" in part)
        expression = _regex(parts[depth])
        parent = self.root.joinpath(*parts[:depth])
        is_last = depth == len(parts) - 1
        found = [
            match["split"]
            for entry in _entries(parent)
            if (match := expression.fullmatch(entry.name)) and entry.is_file() == is_last
        ]
        usable = [
            split
            for split in found
            if re.fullmatch(r"\w+", split, re.ASCII) and self.folder(split).exists()
        ]
        return sorted(usable, key=lambda name: (name != "train", name))

    def _expression(self, split: str | None) -> re.Pattern[str]:
        """Returns the expression that matches a path below root, with the name as a group."""
        pattern = self.for_split(split)
        ending = "" if _has_suffix(pattern) else r"\.[^./]+"
        return re.compile(_regex(pattern).pattern + ending, re.DOTALL)


def inside(root: Path, path: Path, where: str) -> Path:
    """Returns the path, or raises if it leads out of ``root``.

    A folder that comes from someone else must not read the user's other files.
    """
    outside = ".." in path.parts or not (root / path).is_relative_to(root)
    if outside or "\0" in str(path):
        raise DataError(f"{root / where} names {str(path)!r}, expected a path in {root}")
    return path


def walk(folder: Path, *, deep: bool = True, visited: frozenset = frozenset()) -> Iterator[Path]:
    """Yields the files of a folder in order; follows links, but never in a circle."""
    for entry in _entries(folder):
        if entry.is_file():
            yield Path(entry.path)
        elif deep and entry.is_dir():
            status = entry.stat()
            identity = status.st_dev, status.st_ino
            if identity not in visited:
                yield from walk(Path(entry.path), visited=visited | {identity})


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Returns the visible entries of a folder, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"folder {folder} cannot be read: {reason}; check the path and its permissions"
        ) from error
    return sorted(visible, key=lambda entry: entry.name)


def _has_suffix(pattern: str) -> bool:
    """Returns whether a pattern ends with the suffix of a picture or of a file of boxes."""
    return pattern.lower().endswith((*IMAGE_SUFFIXES, *_BOX_SUFFIXES))


def _regex(pattern: str) -> re.Pattern[str]:
    """Returns the pattern's expression; a repeated field matches the same text again."""
    parts, known = [], set()
    for piece in re.split(r"(\{split\}|\{name\})", pattern):
        if piece not in ("{split}", "{name}"):
            parts.append(re.escape(piece))
            continue
        field = piece[1:-1]
        group = ".+" if field == "name" else "[^/]+"
        parts.append(f"(?P={field})" if field in known else f"(?P<{field}>{group})")
        known.add(field)
    return re.compile("".join(parts), re.DOTALL)
