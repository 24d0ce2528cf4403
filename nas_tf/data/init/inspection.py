"""Inspects a folder, and writes what was found as its dataset.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_tf.data import cityscapes_seg, headers, voc2012_seg
from nas_tf.data.dataset_file import NAME, Settings, parse_settings
from nas_tf.data.files import read_lines
from nas_tf.data.folder_annotations import Annotations
from nas_tf.data.folder_layout import Layout
from nas_tf.data.headers import Pictures
from nas_tf.data.init import classes, text, tree
from nas_tf.data.init.classes import Classes, ClassNames, Values, find_names
from nas_tf.data.init.tree import Arrangement
from nas_tf.errors import DataError


@dataclass(frozen=True)
class Inspection:
    """What was found in a folder; ``text`` is the dataset.yaml that describes it."""

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
        found, shown = self.arrangement, self.pictures
        counted = ", ".join(f"{split} {count}" for split, count in self.counts.items())
        lines = [f"layout: {found.title}; examples: {counted}"]
        if found.lists:
            total = sum(map(len, found.lists.values()))
            lines.append(
                f"no splits were there: {total} names are divided by list files in splits/"
            )
        lines.append(f"pictures: {shown.sizes_in_words}" if shown.read else "pictures: none read")
        if shown.deep:
            lines.append(f"{shown.deep} of {shown.read} pictures have 16 bits")
        if shown.turned:
            lines.append(f"{shown.turned} of {shown.read} pictures are turned by their EXIF")
        if self.classes:
            named = ", ".join(self.classes[:12])
            more = f" and {len(self.classes) - 12} more" if len(self.classes) > 12 else ""
            lines.append(f"{len(self.classes)} classes: {named}{more}")
        return [*lines, *(f"note: {note}" for note in self.notes)]


def inspect(folder: str | Path) -> Inspection:
    """Finds pictures, targets, splits and classes of a folder; writes nothing."""
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder, expected one with pictures and their labels")
    found = tree.find(root)
    settings = Settings(
        path=root / NAME,
        classes=("class0",) if found.labels and not found.labels.endswith(".json") else None,
        **_places(found),
        splits=dict(found.splits),
    )
    layout = Layout(root, settings)
    members = {split: _members(layout, found, split) for split in layout.splits}
    values = concluded = None
    notes: tuple[str, ...] = found.notes
    if layout.labels is not None and not layout.labels.is_json:
        values = classes.survey(_paths(layout, "labels", members))
        concluded = _classes(root, found, values, layout)
        broken = tuple(f"{line}" for line in values.broken[:3])
        notes += concluded.notes + broken
    names = concluded.names if concluded else ()
    if layout.labels is not None and layout.labels.is_json:
        names = Annotations(layout).classes
    counts = {split: len(members[split]) for split in members}
    seen = headers.survey_headers(_paths(layout, "images", members))
    content = text.render(found, counts, seen, names, concluded, values)
    parse_settings(root / NAME, content)
    return Inspection(root, found, counts, seen, names, notes, content)


def write(found: Inspection, *, overwrite: bool = False) -> list[Path]:
    """Writes dataset.yaml and the list files it names; never over others unless told to."""
    contents = {found.root / NAME: found.text}
    for split, names in found.arrangement.lists.items():
        contents[found.root / found.arrangement.splits[split]] = "\n".join(names) + "\n"
    there = [path for path in contents if path.exists()]
    if there and not overwrite:
        raise DataError(
            f"{there[0]} is there already: edit it, or add --overwrite to write it again"
        )
    try:
        for path, content in contents.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error
    return list(contents)


def _places(found: Arrangement) -> dict[str, str]:
    """The keys that say where files are."""
    keys = ("images", "labels", "depth", "keypoints")
    return {key: value for key in keys if (value := getattr(found, key)) is not None}


def _members(layout: Layout, found: Arrangement, split: str) -> Sequence[str]:
    """The names of a split."""
    if split in found.lists:
        return found.lists[split]
    listing = layout.listing(split)
    if listing:
        return [" ".join(words) for words in read_lines(layout.root / listing)]
    if layout.names_from is not None:
        content = Annotations(layout).coco(layout.names_from, split)
        return content.people() if layout.keypoints else list(content.images)
    names = list(layout.images.names(layout.key(layout.images, split)))
    for place in (layout.labels, layout.depth):
        if place is not None:
            known = place.names(layout.key(place, split))
            names = [name for name in names if name in known]
    return names


def _paths(layout: Layout, kind: str, members: Mapping[str, Sequence[str]]) -> list[Path]:
    """The files of all names."""
    place = getattr(layout, kind)
    return [
        place.path(layout.key(place, split), name)
        for split, names in members.items()
        for name in names[:: -(-len(names) // headers.MOST_SURVEYED) or 1]
    ]


def _classes(root: Path, found: Arrangement, values: Values, layout: Layout) -> Classes:
    """The classes, by the layout where it is a published one, else by values and names."""
    if found.title == "Cityscapes":
        info, ids = cityscapes_seg.INFO, cityscapes_seg.TRAINED
        if "labelTrainIds" in str(found.labels):
            return Classes(info.classes, tuple(range(19)), False, (255,))
        rest = tuple(value for value in range(34) if value not in ids)
        return Classes(info.classes, ids, True, rest)
    first = layout.labels.folder(layout.key(layout.labels, layout.splits[0]))
    names = find_names(root, first, first.parent)
    published = "VOC20" in str(root / found.images) and found.title == "PASCAL VOC"
    if names is None and published and not values.coloured:
        names = ClassNames(root, voc2012_seg.INFO.classes)
    return classes.conclude(values, names)
