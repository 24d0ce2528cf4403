"""Defines the embedded dataset: scenes with labels, depth and keypoints, rendered in seconds."""

from functools import partial
from pathlib import Path

import tensorflow_datasets as tfds

from nas_tf.data import scenes
from nas_tf.data.builder import DenseBuilder, Item
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
        split_index = list(INFO.splits).index(split)
        return [
            Item(f"{split}-{number:04d}", partial(scenes.render_scene, (split_index, number)))
            for number in range(INFO.splits[split])
        ]
