"""Names of classes, and their colours, where a file beside the pictures has them."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES = (
    *("label_colors.txt", "labelmap.txt", "class_dict.csv", "classes.csv", "labels.txt"),
    *("classes.txt", "class_names.txt", "label_names.txt", "names.txt", "categories.txt"),
    *("objectinfo150.txt", "classes.json", "labels.json", "categories.json"),
)
_MOST_BYTES = 1 << 20
_MOST_NAMES = 255
_NUMBER = r"[ ,:\t]+(\d{1,3})"
_COLOUR_FIRST = re.compile(r"(\d{1,3})[ ,\t]+(\d{1,3})[ ,\t]+(\d{1,3})[ ,\t]+(.+)")
_COLOUR_LAST = re.compile(rf"(.+?){_NUMBER}{_NUMBER}{_NUMBER}[ :,\t]*")
_INDEXED = re.compile(r"(\d{1,3})[ :,;\t]+(.+)")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of classes in order, with colours as 0xRRGGBB where the file has them."""

    path: Path
    names: tuple[str, ...]
    colours: tuple[int, ...] | None = None


def find_names(root: Path, *folders: Path) -> Names | None:
    """The names in the first file of a usual name that holds some."""
    for folder in dict.fromkeys((root, *folders)):
        if not folder.is_dir():
            continue
        there = {path.name.lower(): path for path in sorted(folder.iterdir())}
        for name in _FILES:
            found = _read(there[name]) if name in there else None
            if found is not None:
                return found
    return None


def _read(path: Path) -> Names | None:
    """The names of a file; None where it is something else."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return _checked(path, _of_json(json.loads(text)), None)
    except (OSError, ValueError, RecursionError):
        return None
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if path.suffix.lower() == ".csv":
        lines = [", ".join(row) for row in csv.reader(lines)]
        lines = [line for line in lines if not re.search(r"\bname\b.*\br\b", line.lower())]
    for expression, name, colour in ((_COLOUR_FIRST, 4, 1), (_COLOUR_LAST, 1, 2)):
        matches = [expression.fullmatch(line) for line in lines]
        if matches and all(matches):
            rgb = [[int(m[colour + n]) for n in range(3)] for m in matches if m]
            packed = tuple(red << 16 | green << 8 | blue for red, green, blue in rgb)
            return _checked(path, [m[name] for m in matches if m], packed)
    indexed = [_INDEXED.fullmatch(line) for line in lines]
    if indexed and all(indexed):
        lines = [m[2] for m in sorted((m for m in indexed if m), key=lambda m: int(m[1]))]
    return _checked(path, lines, None)


def _of_json(content: Any) -> list[str]:
    """Names from a list, or from a mapping between names and indices, either way round."""
    if isinstance(content, dict) and isinstance(content.get("categories"), list):
        content = content["categories"]
    if isinstance(content, list):
        found = [one.get("name") if isinstance(one, dict) else one for one in content]
        return [name for name in found if isinstance(name, str)]
    if not isinstance(content, dict):
        return []
    if all(isinstance(value, int) for value in content.values()):
        return sorted(content, key=content.__getitem__)
    if all(str(key).isdecimal() for key in content):
        return [str(content[key]) for key in sorted(content, key=int)]
    return []


def _checked(path: Path, names: list[str], colours: tuple[int, ...] | None) -> Names | None:
    """The names, if they can be names of classes."""
    cleaned = tuple(" ".join(name.split()) for name in names)
    sound = all(name and name.isprintable() and len(name) <= 60 for name in cleaned)
    once = len(set(cleaned)) == len(cleaned) and len(set(colours or ())) == len(colours or ())
    most = all(colour <= 0xFFFFFF for colour in colours or ())
    if not cleaned or len(cleaned) > _MOST_NAMES or not (sound and once and most):
        return None
    return Names(path, cleaned, colours)
