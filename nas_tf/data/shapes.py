"""Defines the embedded datasets: scenes with labels, depth, keypoints or boxes, or clean."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data import scenes
from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.info import DatasetInfo
from nas_tf.data.scene_objects import JOINTS, SWAPS

INFO = DatasetInfo(
    name="shapes",
    title="Drawn scenes, embedded: needs no files",
    targets=("label", "depth", "keypoints"),
    splits={"train": 600, "val": 100, "test": 100},
    how_to_get="it is rendered on first use",
    classes=scenes.CLASSES,
    ignore_label=scenes.IGNORE,
    palette="shapes",
    joints=JOINTS,
    swaps=SWAPS,
    extras=("head_size", "area"),
)


class Shapes(DenseBuilder):
    """Builds the embedded dataset; scene i of a split is rendered from the seed (split, i)."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the scenes of a split; the source is not used."""
        return _items(split, scenes.render_scene)


class ShapesBoxes(DenseBuilder):
    """Builds the same scenes with a box for each object."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = replace(
        INFO,
        name="shapes_boxes",
        title="Drawn scenes with boxes, embedded: needs no files",
        targets=("boxes",),
        classes=scenes.CLASSES[1:],
        palette=INFO.colours[1:],
        joints=(),
        swaps=(),
        extras=(),
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the scenes of a split; the source is not used."""
        return _items(split, scenes.render_boxes)


class ShapesClean(DenseBuilder):
    """Builds the same scenes without noise, as pictures to be restored."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = DatasetInfo(
        name="shapes_clean",
        title="Drawn scenes to be restored, embedded: needs no files",
        targets=("clean",),
        splits=INFO.splits,
        how_to_get=INFO.how_to_get,
        channels=1,
    )

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the scenes of a split; the source is not used."""
        return _items(split, scenes.render_clean)


def _items(split: str, render: Callable[[tuple[int, ...]], Example]) -> list[Item]:
    split_index = list(INFO.splits).index(split)
    return [
        Item(f"{split}-{number:04d}", partial(render, (split_index, number)))
        for number in range(INFO.splits[split])
    ]
