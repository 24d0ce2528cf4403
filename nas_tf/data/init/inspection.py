"""Inspects a folder, and writes the findings as its dataset.yaml."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_tf.data import cityscapes_seg, headers, voc2012_seg
from nas_tf.data.dataset_file import NAME, Settings, parse_settings
from nas_tf.data.files import IMAGE_SUFFIXES, read_names
from nas_tf.data.folder_annotations import Annotations
from nas_tf.data.folder_layout import Layout
from nas_tf.data.headers import Pictures
from nas_tf.data.init import boxes, classes, restored, text, tree
from nas_tf.data.init.classes import (
    RESTORATION_HINT,
    Classes,
    ClassNames,
    Values,
    find_names,
)
from nas_tf.data.init.tree import Arrangement
from nas_tf.errors import DataError
from nas_tf.pictures import REFUSED_SUFFIXES

_RESTORATION = "restoration"


@dataclass(frozen=True)
class Inspection:
    """The findings in a folder; ``text`` is the dataset.yaml that describes it."""

    root: Path
    arrangement: Arrangement
    counts: Mapping[str, int]
    pictures: Pictures
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    text: str

    @property
    def lines(self) -> list[str]:
        """The findings in a few plain lines."""
        found, pictures = self.arrangement, self.pictures
        counted = ", ".join(f"{split} {count}" for split, count in self.counts.items())
        lines = [f"layout: {found.title}; examples: {counted}"]
        if found.lists:
            lines.append(
                "no split was found: the examples are divided at random, see the lists in splits/"
            )
        sizes = pictures.sizes_in_words if pictures.read else "none read"
        lines.append(f"pictures: {sizes}")
        if pictures.deep:
            lines.append(f"{pictures.deep} of {pictures.read} pictures have 16 bits")
        if pictures.turned:
            lines.append(f"{pictures.turned} of {pictures.read} pictures are turned by their EXIF")
        if self.classes:
            listed = ", ".join(self.classes[:12])
            more = f" and {len(self.classes) - 12} more" if len(self.classes) > 12 else ""
            lines.append(f"{len(self.classes)} classes: {listed}{more}")
        return [*lines, *(f"note: {note}" for note in self.notes)]


def inspect(folder: str | Path, *, task: str | None = None) -> Inspection:
    """Finds pictures, targets, splits and classes of a folder; writes nothing.

    With the task ``restoration``, every other file than pictures to be restored is overlooked.
    """
    if task not in (None, _RESTORATION):
        raise DataError(f"the task is {task}, expected {_RESTORATION}, or none for labels")
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder, expected one with pictures")
    found = _arrangement(root, task)
    of_files = [text for text in (found.labels, found.boxes) if text and text[-5:] != ".json"]
    settings = Settings(
        path=root / NAME,
        classes=("class0",) if of_files else None,
        **_patterns(found),
        pairs=found.clean not in (None, found.images),
        splits=dict(found.splits),
    )
    layout = Layout(root, settings)
    members = {split: _members(layout, found, split) for split in layout.splits}
    values = inferred = None
    notes: tuple[str, ...] = found.notes
    if layout.labels is not None and not layout.labels.is_json:
        values = classes.survey_values(_paths(layout, "labels", members))
        inferred = _classes(root, found, values, layout)
        notes += inferred.notes + values.broken[:3]
    notes += _left_out(layout, found, members) + _unread(root)
    names = inferred.names if inferred else ()
    counted: Mapping[str, int] = {}
    if layout.names_from is not None:
        names = Annotations(layout).classes
    elif layout.boxes is not None:
        surveyed = boxes.survey(root, _paths(layout, "boxes", members, most=sys.maxsize))
        counted, notes = surveyed.counts, notes + surveyed.notes
        names = tuple(counted)
    counts = {split: len(members[split]) for split in members}
    pictures = headers.survey_headers(_paths(layout, "images", members))
    content = text.render(found, counts, pictures, names, counted, inferred, values)
    parse_settings(root / NAME, content)
    return Inspection(root, found, counts, pictures, names, notes, content)


def _arrangement(root: Path, task: str | None) -> Arrangement:
    """Returns the arrangement of a folder's files; raises if no target belongs to pictures."""
    if task == _RESTORATION:
        found = restored.find_pairs(root, all_words=True) or restored.find_clean(root)
        if found is None:
            formats = ", ".join(IMAGE_SUFFIXES)
            raise DataError(f"{root} has no picture that is read, expected files of {formats}")
        return found
    found = restored.find_pairs(root) or tree.find(root) or boxes.find(root)
    if found is None and restored.has_only_pictures(root):
        found = restored.find_clean(root)
    if found is None:
        raise DataError(
            f"{root} has no labels that belong to its pictures: expected folders such as images "
            "and masks or boxes with files of the same names, the layout of VOC, Cityscapes or "
            f"COCO, or clean pictures alone; {RESTORATION_HINT}"
        )
    return found


def write(found: Inspection, *, overwrite: bool = False) -> list[Path]:
    """Writes dataset.yaml and its list files; replaces existing ones only with ``overwrite``."""
    contents = {found.root / NAME: found.text}
    for split, names in found.arrangement.lists.items():
        contents[found.root / found.arrangement.splits[split]] = "\n".join(names) + "\n"
    existing = [path for path in contents if path.exists()]
    if existing and not overwrite:
        raise DataError(
            f"{existing[0]} is there already: edit it, or add --overwrite to write it again"
        )
    try:
        for path, content in contents.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error
    return list(contents)


def _patterns(found: Arrangement) -> dict[str, str]:
    """Returns the path patterns as settings."""
    keys = ("images", "labels", "depth", "keypoints", "boxes", "clean")
    return {key: value for key in keys if (value := getattr(found, key)) is not None}


def _members(layout: Layout, found: Arrangement, split: str) -> Sequence[str]:
    """Returns the names of a split's examples."""
    if split in found.lists:
        return found.lists[split]
    listing = layout.listing(split)
    if listing:
        return read_names(layout.root / listing)
    if layout.names_from is not None:
        coco = Annotations(layout).coco(layout.names_from, split)
        return coco.pictures_with_joints() if layout.keypoints else list(coco.images)
    names = list(layout.images.names(layout.split_folder(layout.images, split)))
    for pattern in (layout.labels, layout.depth, layout.boxes, layout.clean):
        if pattern is not None and not pattern.text.endswith(".txt"):
            known = pattern.names(layout.split_folder(pattern, split))
            names = [name for name in names if name in known]
    return names


def _left_out(
    layout: Layout, arrangement: Arrangement, members: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Returns a note on pictures that no example has; a published list leaves out on purpose."""
    is_listed = any(layout.listing(split) for split in members if split not in arrangement.lists)
    if layout.names_from is not None or is_listed:
        return ()
    found = {
        name
        for split in members
        for name in layout.images.names(layout.split_folder(layout.images, split))
    }
    absent = sorted(found.difference(*members.values()))
    if not absent:
        return ()
    more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    return (f"pictures without a target are left out: {', '.join(absent[:3])}{more}",)


def _unread(root: Path) -> tuple[str, ...]:
    """Returns a note on pictures of formats that are not read."""
    found = Counter(path.suffix.lower() for path in tree.files_below(root, REFUSED_SUFFIXES))
    return tuple(
        f"files of format {suffix} are not read, {count} of them: convert them"
        for suffix, count in sorted(found.items())
    )


def _paths(
    layout: Layout,
    kind: str,
    members: Mapping[str, Sequence[str]],
    most: int = headers.MOST_SURVEYED,
) -> list[Path]:
    """Returns the files of a kind, of a sample of at most ``most`` of each split's names."""
    pattern = getattr(layout, kind)
    return [
        pattern.path(layout.split_folder(pattern, split), name)
        for split, names in members.items()
        for name in names[:: -(-len(names) // most) or 1]
    ]


def _classes(root: Path, found: Arrangement, values: Values, layout: Layout) -> Classes:
    """Returns the classes of a published layout, else those inferred from values and names."""
    if found.title == "Cityscapes":
        info, ids = cityscapes_seg.INFO, cityscapes_seg.TRAINED
        if "labelTrainIds" in str(found.labels):
            return Classes(info.classes, tuple(range(19)), False, (255,))
        ignored = tuple(value for value in range(34) if value not in ids)
        return Classes(info.classes, ids, True, ignored)
    first = layout.labels.folder(layout.split_folder(layout.labels, layout.splits[0]))
    names = find_names(root, first, first.parent)
    published = "VOC20" in str(root / found.images) and found.title == "PASCAL VOC"
    if names is None and published and not values.coloured:
        names = ClassNames(root, voc2012_seg.INFO.classes)
    return classes.infer_classes(values, names)
