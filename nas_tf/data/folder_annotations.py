"""Derives classes, label values, colours and joints of a user's folder from dataset.yaml."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from nas_tf.data import coco_keypoints
from nas_tf.data.coco_file import CocoFile, read_coco
from nas_tf.data.dataset_file import HOW_TO_GET, Settings
from nas_tf.data.folder_layout import Layout
from nas_tf.data.info import DatasetInfo, LabelMap
from nas_tf.data.palettes import colours, distinct, is_background
from nas_tf.data.path_pattern import PathPattern
from nas_tf.errors import DataError

SIGMA = 0.067
"""The falloff of OKS for joints that are not COCO's: the mean of COCO's own."""


@dataclass(frozen=True)
class Annotations:
    """The annotations in the files of a layout; computed on first use."""

    layout: Layout

    @property
    def settings(self) -> Settings:
        """The content of dataset.yaml."""
        return self.layout.settings

    def info(self, name: str) -> DatasetInfo:
        """Returns the folder's description for training and scoring."""
        layout, own_joints = self.layout, self.joints != coco_keypoints.INFO.joints
        patterns = {"label": layout.labels, "depth": layout.depth, "keypoints": layout.keypoints}
        patterns["boxes"] = layout.boxes
        return DatasetInfo(
            name=name,
            title=f"Folder {layout.root.name}",
            targets=("clean",)
            if self.settings.clean
            else tuple(key for key, pattern in patterns.items() if pattern is not None),
            pairs=self.settings.pairs,
            splits=dict.fromkeys(layout.splits),
            how_to_get=HOW_TO_GET,
            classes=self.classes,
            ignore_label=self.label_map.ignore,
            palette=self._palette(),
            joints=self.joints,
            swaps=self._swaps(),
            sigmas=(SIGMA,) * len(self.joints) if own_joints else (),
            extras=("area",) if layout.keypoints else (),
            most_boxes=self.settings.most_boxes,
        )

    def coco(self, pattern: PathPattern, split: str) -> CocoFile:
        """Reads the JSON of a split."""
        return read_coco(pattern.folder(self.layout.split_folder(pattern, split)))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of dataset.yaml, or the categories of the first JSON.

        Outlines leave pixels without an object, so background comes first; boxes have none.
        """
        source = self.layout.boxes or self.layout.labels
        if self.settings.classes or source is None:
            return self.settings.classes or ()
        categories = self.coco(source, self.layout.splits[0]).categories
        names = [
            category.name for category in sorted(categories, key=lambda category: category.id)
        ]
        background = [name for name in names if is_background(name)][:1] or ["background"]
        first = [] if self.layout.boxes else background
        classes = tuple(dict.fromkeys([*first, *names]))
        if len(classes) > 255:
            key = "boxes" if self.layout.boxes else "labels"
            raise self.settings.error(key, f"{len(classes)} categories, expected at most 254")
        return classes

    def indices(self, coco: CocoFile) -> dict[int, int]:
        """Returns the class index of every category of a JSON."""
        known = {category.name for category in coco.categories}
        classes = self.classes if self.layout.boxes else self.classes[1:]
        missing = [name for name in classes if name not in known]
        if missing or (self.settings.classes is None and not known <= {*self.classes}):
            raise self.settings.error(
                "classes",
                f"classes are {_joined(self.classes)} and the categories of {coco.path} are "
                f"{_joined(sorted(known))}, expected the same names"
                + ("" if self.layout.boxes else " after the first"),
            )
        index_of = {name: index for index, name in enumerate(self.classes)}
        return {
            category.id: index_of[category.name]
            for category in coco.categories
            if category.name in index_of
        }

    @cached_property
    def label_map(self) -> LabelMap:
        """The map from values of label files to classes."""
        settings, count = self.settings, len(self.classes)
        if settings.ignore_label < count and self.layout.labels is not None:
            name = self.classes[settings.ignore_label]
            raise settings.error(
                "ignore_label",
                f"ignore_label is {settings.ignore_label}, the index of class {name}, expected "
                f"{count}–255; values of the files become it by label_map",
            )
        key = "label_map" if settings.label_map is not None else "ignore_label"
        try:
            return LabelMap(count, settings.ignore_label, settings.label_map, settings.coloured)
        except DataError as error:
            raise settings.error(key, str(error)) from error

    def _palette(self) -> tuple[tuple[int, int, int], ...]:
        """Returns the palette of dataset.yaml, else the masks' own colours, else bright ones."""
        settings, count = self.settings, len(self.classes)
        try:
            if settings.palette is not None:
                return colours(settings.palette, count)
        except DataError as error:
            raise settings.error("palette", str(error)) from error
        own: dict[int, int] = {}
        for value, label in (settings.label_map or {}).items() if settings.coloured else ():
            own.setdefault(label, value)
        black = {label for label, value in own.items() if not value and label < count}
        if set(range(count)) <= set(own) and all(is_background(self.classes[n]) for n in black):
            return tuple((own[n] >> 16, own[n] >> 8 & 255, own[n] & 255) for n in range(count))
        return distinct(self.classes)

    @cached_property
    def joints(self) -> tuple[str, ...]:
        """The joints of dataset.yaml, or of the first JSON's category."""
        if self.layout.keypoints is None:
            return ()
        written, first = self.settings.joints, self.layout.splits[0]
        joints = written or self.coco(self.layout.keypoints, first).joints
        if not joints:
            raise self.settings.error(
                "keypoints", "no category of the JSON names its keypoints, expected the key joints"
            )
        return tuple(name.replace("_", " ") for name in joints)

    def _swaps(self) -> tuple[tuple[int, int], ...]:
        """Returns the pairs of dataset.yaml, or joints that differ only in left and right."""
        index_of = {name: index for index, name in enumerate(self.joints)}
        if self.settings.swaps is None:
            pairs = [(name, re.sub(r"\bleft\b", "right", name)) for name in index_of]
            pairs = [(left, right) for left, right in pairs if left != right and right in index_of]
            return tuple((index_of[left], index_of[right]) for left, right in pairs)
        pairs = [tuple(name.replace("_", " ") for name in pair) for pair in self.settings.swaps]
        named = [name for pair in pairs for name in pair]
        if not {*named} <= {*index_of} or len({*named}) < len(named):
            raise self.settings.error(
                "swaps",
                f"swaps are {_joined(named)}, expected pairs of {_joined(index_of)}, each once",
            )
        return tuple((index_of[first], index_of[second]) for first, second in pairs)


def _joined(names: Iterable[str], most: int = 12) -> str:
    """Joins names for a message, at most ``most`` of them."""
    listed = [" ".join(name.split())[:40] for name in names]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
