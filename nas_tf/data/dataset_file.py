"""Reads dataset.yaml; every mistake is reported with file, line and the accepted values.

PyYAML composes nodes and constructs nothing from them, so tags run no code. A scalar is a text
until the reader of its key converts it, so a class may be called ``no``.
"""

import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nas_tf.data.palettes import Colour, colour_of
from nas_tf.data.path_pattern import fault_of
from nas_tf.data.yaml_values import (
    TAG,
    Refused,
    entries,
    integer,
    items,
    names,
    on_one_line,
    scalar,
    short,
)
from nas_tf.errors import DataError, did_you_mean

NAME = "dataset.yaml"
HOW_TO_GET = (
    "let nas-tf data init DIR write DIR/dataset.yaml, or make DIR/images/SPLIT/x.jpg and "
    "DIR/labels/SPLIT/x.png for SPLIT train and val, and DIR/dataset.yaml with a list `classes`; "
    "then use the name folder:DIR"
)
_OTHER_NAMES = {
    "names": "classes",
    "ignore_index": "ignore_label",
    "void_label": "ignore_label",
    "masks": "labels",
    "annotations": "labels",
    "pictures": "images",
    "colors": "palette",
    "colours": "palette",
    "colormap": "palette",
    "mapping": "label_map",
    "depth_scale": "depth_unit",
    "flip_pairs": "swaps",
    "max_boxes": "most_boxes",
}
"""The names that other tools use for a key."""
_NEEDED = {
    **{"joints": "keypoints", "swaps": "keypoints", "depth_unit": "depth"},
    "most_boxes": "boxes",
}
"""The keys that are given together with another alone, and that other."""
_MOST_BOXES = 10_000


@dataclass(frozen=True)
class Settings:
    """The content of a dataset.yaml; docs/how-to/data.md has the table of its keys.

    ``label_map`` has values of label files as keys, or colours as 0xRRGGBB if ``coloured``.
    ``clean`` are pictures to be restored, which are ``images`` themselves unless there are
    ``pairs``. ``lines`` maps each written key to its line.
    """

    path: Path
    classes: tuple[str, ...] | None = None
    ignore_label: int = 255
    label_map: Mapping[int, int] | None = None
    coloured: bool = False
    splits: Mapping[str, str] = field(default_factory=dict)
    palette: str | tuple[Colour, ...] | None = None
    images: str = "images"
    labels: str | None = None
    depth: str | None = None
    depth_unit: float = 0.001
    keypoints: str | None = None
    boxes: str | None = None
    most_boxes: int = 100
    clean: str | None = None
    pairs: bool = False
    joints: tuple[str, ...] | None = None
    swaps: tuple[tuple[str, str], ...] | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    def error(self, key: str, problem: str) -> DataError:
        """Returns an error that names the file, and the key's line if it is written."""
        line = f" line {self.lines[key]}" if key in self.lines else ""
        return DataError(f"{self.path}{line}: {problem}")


def read_settings(path: Path) -> Settings:
    """Reads and checks a dataset.yaml; its pictures and labels are not read."""
    return parse_settings(path, _text(path))


def parse_settings(path: Path, text: str) -> Settings:
    """Returns the settings of a dataset.yaml with that content."""
    root = _compose(path, text)
    if not isinstance(root, yaml.MappingNode):
        problem = "is empty" if root is None else "holds no keys"
        raise DataError(f"{path} {problem}, expected keys such as classes: [soil, crop, weed]")
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, node in root.value:
        name, line = str(key.value), key.start_mark.line + 1
        shown = short(name)
        if name not in _READERS:
            known = _OTHER_NAMES.get(name)
            hint = f", did you mean {known}?" if known else did_you_mean(name, _READERS)
            keys = f", expected one of {', '.join(_READERS)}"
            raise DataError(f"{path} line {line}: key {shown} is unknown{hint or keys}")
        if name in lines:
            raise DataError(f"{path} line {line}: key {shown} is given twice, expected once")
        lines[name] = line
        if (
            isinstance(node, yaml.ScalarNode)
            and not node.style
            and node.value in ("", "~", "null")
        ):
            continue
        try:
            values[name] = _READERS[name](node)
        except Refused as refused:
            raise _error(path, text, name, refused) from None
    return _consistent(_settings(path, values, lines))


def _settings(path: Path, values: dict[str, Any], lines: dict[str, int]) -> Settings:
    """Returns the settings; the keys of label_map show whether it is coloured."""
    if "clean" in values and "pairs" not in values:
        values["images"] = values["clean"]
    elif "pairs" in values:
        values["images"], values["clean"] = values["pairs"]
        values["pairs"] = True
    entries = values.pop("label_map", None)
    if entries is not None:
        values["label_map"] = {value: label for value, label, _ in entries}
        values["coloured"] = entries[0][2]
    settings = Settings(path, **values, lines=lines)
    if entries is not None and len({coloured for *_, coloured in entries}) > 1:
        raise settings.error("label_map", "label_map mixes values and colours, expected one kind")
    if entries is not None and len(values["label_map"]) < len(entries):
        raise settings.error("label_map", "label_map has a key twice, expected each key once")
    return settings


def _consistent(settings: Settings) -> Settings:
    """Returns the settings, or raises if a key is missing that another key needs."""
    classes, from_json = settings.classes, (settings.labels or "").lower().endswith(".json")
    if settings.clean:
        key = "pairs" if settings.pairs else "clean"
        others = settings.lines.keys() - {key, "splits"}
        if others:
            raise settings.error(
                key, f"{key} is given with {', '.join(sorted(others))}, expected splits at most"
            )
        return settings
    if settings.boxes and (settings.labels or settings.keypoints):
        raise settings.error("boxes", "boxes is given with other targets, expected boxes alone")
    for key in ("boxes", "labels"):
        text = getattr(settings, key)
        if classes is None and text and not text.lower().endswith(".json"):
            raise settings.error(key, f"{key} needs the key classes, expected a list of names")
    if not (classes or from_json or settings.depth or settings.keypoints or settings.boxes):
        raise settings.error(
            "", "key classes is missing, expected a list of names such as [soil, crop]"
        )
    if from_json and settings.label_map is not None:
        raise settings.error(
            "label_map", "label_map is for label files, expected none with a COCO JSON"
        )
    for key, needed in _NEEDED.items():
        if key in settings.lines and getattr(settings, needed) is None:
            raise settings.error(key, f"{key} is given without {needed}, expected both or none")
    return settings


def _text(path: Path) -> str:
    """Reads the text of a dataset.yaml."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text, expected YAML") from error
    except FileNotFoundError as error:
        folder = path.parent
        if not folder.is_dir():
            raise DataError(f"{folder} is not there, expected a folder of pictures") from error
        raise DataError(
            f"{path} is not there: run nas-tf data init {shlex.quote(str(folder))}, which "
            "writes it for pictures with masks or boxes, or for clean pictures to be restored"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {reason}; {HOW_TO_GET}") from error


def _compose(path: Path, text: str) -> yaml.Node | None:
    """Returns the root node of the text, or None if it is empty."""
    try:
        return yaml.compose(text, yaml.BaseLoader)
    except yaml.reader.ReaderError as error:
        line, problem = text.count("\n", 0, error.position) + 1, error.reason
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, problem = mark.line + 1, error.problem or error.context
    except (ValueError, OverflowError) as error:
        line, problem = 1, str(error)
    except RecursionError:
        line, problem = 1, "nested too deeply"
    raise DataError(on_one_line(f"{path} line {line} is not YAML: {problem}"))


def _error(path: Path, text: str, key: str, refused: Refused) -> DataError:
    """Returns the error on a value that is not accepted."""
    start, end = refused.node.start_mark, refused.node.end_mark
    shown = short(text[start.index : end.index]) or "empty"
    where = f"{path} line {start.line + 1}: {key}{refused.part}"
    return DataError(on_one_line(f"{where} is {shown}, expected {refused.expected}"))


def _classes(node: yaml.Node) -> tuple[str, ...]:
    """Returns names from a list, or from a mapping of all indices from 0."""
    expected = "a list of names such as [soil, crop], or a mapping such as 0: soil"
    if not isinstance(node, yaml.MappingNode):
        return names(node, expected)
    pairs = items(node, expected)
    last = len(pairs) - 1
    name_of: dict[int, yaml.Node] = {}
    for key, value in pairs:
        index = integer(key, 0, last, f"indices 0–{last}, each once", " index")
        if index in name_of:
            raise Refused(key, f"indices 0–{last}, each once", " index")
        name_of[index] = value
    ordered = [name_of[index] for index in range(last + 1)]
    return names(
        yaml.SequenceNode(f"{TAG}:seq", ordered, node.start_mark, node.end_mark), expected
    )


def _label_map(node: yaml.Node) -> list[tuple[int, int, bool]]:
    """Returns value or colour, class index, and whether it is a colour, of each entry."""
    expected = 'a mapping such as 38: 0, or of colours such as "#ff0000": 0'
    found = []
    for key, value in items(node, expected):
        label = integer(value, 0, 255, "a class index or ignore_label", f".{short(_shown(key))}")
        rgb = _rgb(key)
        if rgb is None:
            accepted = 'an integer of 0 to 65535, or a colour: "#ff0000" in quotes or [255, 0, 0]'
            found.append((integer(key, 0, 65535, accepted, " key"), label, False))
        else:
            found.append((rgb[0] << 16 | rgb[1] << 8 | rgb[2], label, True))
    return found


def _rgb(node: yaml.Node) -> Colour | None:
    """Returns the colour of a node "#rrggbb" or [r, g, b], or None for any other node."""
    if isinstance(node, yaml.ScalarNode):
        return colour_of(node.value)
    if not isinstance(node, yaml.SequenceNode) or len(node.value) != 3:
        return None
    expected = "a colour [r, g, b] of 0 to 255"
    red, green, blue = (integer(part, 0, 255, expected) for part in node.value)
    return red, green, blue


def _palette(node: yaml.Node) -> str | tuple[Colour, ...]:
    """Returns the name of a palette, or a list of colours."""
    expected = 'a name such as voc, or a list of colours such as "#ff0000" in quotes'
    if isinstance(node, yaml.ScalarNode):
        return scalar(node, expected)
    found = []
    for number, entry in enumerate(entries(node, expected)):
        rgb = _rgb(entry)
        if rgb is None:
            raise Refused(entry, 'a colour such as "#ff0000" in quotes', f".{number}")
        found.append(rgb)
    return tuple(found)


def _splits(node: yaml.Node) -> dict[str, str]:
    """Returns the list file or the folder's name of each split."""
    expected = "a mapping such as train: splits/train.txt"
    found: dict[str, str] = {}
    for key, value in items(node, expected):
        split = scalar(key, "a name of letters, digits and _", " key")
        if not re.fullmatch(r"\w{1,60}", split, re.ASCII) or split in found:
            raise Refused(key, "names of letters, digits and _, each once", " key")
        accepted = "a list file such as splits/train.txt, or the name of the split's folder"
        found[split] = _path_pattern(value, accepted, f".{split}")
    return found


def _path_pattern(node: yaml.Node, expected: str, part: str = "") -> str:
    """Returns a path or pattern inside the dataset's folder."""
    text = scalar(node, expected, part)
    if Path(text).is_absolute() or ".." in Path(text).parts or not Path(text).parts:
        raise Refused(node, f"{expected}, inside the data set's folder", part)
    fault = fault_of(text)
    if fault:
        raise Refused(node, fault, part)
    return text


def _with_ending(node: yaml.Node, endings: tuple[str, ...], expected: str) -> str:
    """Returns a path pattern with one of the endings."""
    text = _path_pattern(node, expected)
    if not text.lower().endswith(endings):
        raise Refused(node, expected)
    return text


def _depth_unit(node: yaml.Node) -> float:
    """Returns the metres of a step in the depth maps."""
    expected = "metres a step above 0, such as 0.001"
    text = scalar(node, expected)
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", text, re.ASCII):
        raise Refused(node, expected)
    value = float(text)
    if not 0 < value < 1e6 or not math.isfinite(value):
        raise Refused(node, expected)
    return value


def _swaps(node: yaml.Node) -> tuple[tuple[str, str], ...]:
    """Returns the pairs of joints that change places in a mirror image."""
    expected = "a list of pairs of joints such as [[left eye, right eye]]"
    if isinstance(node, yaml.SequenceNode) and not node.value:
        return ()
    found = []
    for number, pair in enumerate(entries(node, expected)):
        joints = names(pair, expected)
        if len(joints) != 2:
            raise Refused(pair, "a pair of joints", f".{number}")
        found.append((joints[0], joints[1]))
    return tuple(found)


def _degraded_and_clean(node: yaml.Node) -> tuple[str, str]:
    """Returns the folders or patterns of degraded and of clean pictures."""
    expected = "a mapping with degraded and clean, such as {degraded: noisy, clean: sharp}"
    found = {
        str(key.value): _path_pattern(value, "a folder or a pattern", f".{short(str(key.value))}")
        for key, value in items(node, expected)
    }
    if found.keys() != {"degraded", "clean"}:
        raise Refused(node, expected)
    return found["degraded"], found["clean"]


_READERS: dict[str, Callable[[yaml.Node], Any]] = {
    "classes": _classes,
    "ignore_label": lambda node: integer(node, 0, 255, "an integer of 0 to 255"),
    "label_map": _label_map,
    "splits": _splits,
    "palette": _palette,
    "images": lambda node: _path_pattern(
        node, "a folder such as images, or a pattern such as {split}/images/{name}.jpg"
    ),
    "labels": lambda node: _path_pattern(
        node, "a folder, a pattern such as masks/{split}/{name}.png, or a COCO JSON such as a.json"
    ),
    "depth": lambda node: _path_pattern(
        node, "a folder, or a pattern such as depth/{split}/{name}.png"
    ),
    "depth_unit": _depth_unit,
    "keypoints": lambda node: _with_ending(
        node, (".json",), "a COCO keypoints JSON such as annotations/{split}.json"
    ),
    "boxes": lambda node: _with_ending(
        node,
        (".xml", ".txt", ".json"),
        "VOC's annotations/{name}.xml, YOLO's labels/{split}/{name}.txt, or a COCO JSON such as "
        "annotations/{split}.json",
    ),
    "most_boxes": lambda node: integer(node, 1, _MOST_BOXES, f"an integer of 1 to {_MOST_BOXES}"),
    "clean": lambda node: _path_pattern(
        node, "a folder such as images, or a pattern such as {split}/{name}.png"
    ),
    "pairs": _degraded_and_clean,
    "joints": lambda node: names(node, "a list of joints such as [nose, left eye, right eye]"),
    "swaps": _swaps,
}


def _shown(node: yaml.Node) -> str:
    """Returns a key of label_map for a message."""
    return node.value if isinstance(node, yaml.ScalarNode) else "colour"
