"""Reads NYU Depth v2: the 1,449 labelled frames with the raw depth of the sensor.

tfds has a builder of the same frames' video (32 GB, in-painted depth, download only). The
labelled file leaves missing pixels missing, and the papers train on it.
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.files import read_matrix
from nas_tf.data.info import DatasetInfo
from nas_tf.errors import DataError

INFO = DatasetInfo(
    name="nyuv2_depth",
    title="NYU Depth v2, labelled indoor frames, raw depth in metres",
    targets=("depth",),
    splits={"train": 795, "test": 654},
    how_to_get=(
        "download nyu_depth_v2_labeled.mat and splits.mat (cs.nyu.edu/~fergus/datasets) "
        "into DIR, then run nas-tf data prepare nyuv2_depth --source DIR"
    ),
)


class Nyuv2Depth(DenseBuilder):
    """Reads frame by frame from the MATLAB 7.3 file, which is HDF5 with reversed axes."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the frames named in splits.mat, which counts from 1."""
        frames, splits = source / "nyu_depth_v2_labeled.mat", source / "splits.mat"
        if not frames.exists() or not splits.exists():
            return None
        return [
            Item(f"{number:05d}", partial(_load, frames, number - 1))
            for number in read_matrix(splits, f"{split}Ndxs").ravel().tolist()
        ]


def _load(frames: Path, index: int) -> Example:
    """Reads a frame, stored as [channel, width, height]; depth is 0 without a measurement."""
    try:
        with h5py.File(frames) as file:
            image, depth = file["images"][index], file["rawDepths"][index]
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise DataError(
            f"frame {index + 1} of {frames} cannot be read: "
            "datasets images and rawDepths are expected; download the file again"
        ) from error
    return {"image": np.ascontiguousarray(image.T), "depth": depth.T.astype(np.float32)}
