"""The embedded dataset: drawn scenes with labels, depth and keypoints, made here in seconds."""

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
    how_to_get="it is drawn on first use",
    classes=scenes.CLASSES,
    ignore_label=scenes.IGNORE,
    palette="shapes",
    joints=JOINTS,
    swaps=SWAPS,
    extras=("head_size", "area"),
)


class Shapes(DenseBuilder):
    """Scene i of a split is drawn from the seed (split, i)."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """The scenes of a split; the source is not looked at."""
        place = list(INFO.splits).index(split)
        return [
            Item(f"{split}-{number:04d}", partial(scenes.render_scene, (place, number)))
            for number in range(INFO.splits[split])
        ]
