"""Reads NYU Depth v2: the 1,449 labelled frames, and raw frames, with the depth of the sensor.

tfds has a builder of the same frames' video (32 GB, in-painted depth, download only). The
labelled file leaves missing pixels missing, and the papers train on it. Those that train on
some 25,000 frames more take them from the video of the training scenes: split ``raw``.
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder, Example, Item
from nas_tf.data.files import read_depth, read_image, read_lines, read_matrix
from nas_tf.data.info import DatasetInfo
from nas_tf.data.path_pattern import inside
from nas_tf.errors import DataError

INFO = DatasetInfo(
    name="nyuv2_depth",
    title="NYU Depth v2, labelled indoor frames, raw depth in metres",
    targets=("depth",),
    splits={"train": 795, "test": 654, "raw": None},
    how_to_get=(
        "download nyu_depth_v2_labeled.mat and splits.mat (cs.nyu.edu/~fergus/datasets) into DIR, "
        "for split raw also put frames of the training scenes there, with raw.txt of a line "
        "image<TAB>depth a frame, depth a 16-bit PNG of the image's size in millimetres, 0 where "
        "it is missing, then run nas-tf data prepare nyuv2_depth --source DIR"
    ),
)
_LIST = "raw.txt"
_MILLIMETRE = 0.001
_FARTHEST = 10.0
"""The range of the sensor in metres."""


class Nyuv2Depth(DenseBuilder):
    """Reads labelled frames from the MATLAB 7.3 file, which is HDF5 with reversed axes."""

    VERSION = tfds.core.Version("1.0.0")
    INFO = INFO

    @classmethod
    def items(cls, source: Path, split: str) -> list[Item] | None:
        """Returns the frames named in splits.mat, which counts from 1, or the lines of raw.txt."""
        if split == "raw":
            return _raw_items(source)
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


def _raw_items(source: Path) -> list[Item] | None:
    """Returns an item for each line of the list of raw frames, None if there is none."""
    listing = source / _LIST
    if not listing.exists():
        return None
    return [_raw_item(source, words) for words in read_lines(listing)]


def _raw_item(source: Path, words: list[str]) -> Item:
    """Returns the item of a line, named by the image's path without its suffix."""
    if len(words) != 2:
        raise DataError(
            f"{source / _LIST} has the line {' '.join(words)[:60]!r}, expected image<TAB>depth"
        )
    image, depth = (source / inside(source, Path(word), _LIST) for word in words)
    name = image.relative_to(source).with_suffix("").as_posix()
    return Item(name, partial(_load_raw, image, depth), image)


def _load_raw(image: Path, depth: Path) -> Example:
    """Reads a pair of files; raises if the depths cannot be millimetres."""
    metres = read_depth(depth, _MILLIMETRE, deep=True)
    measured = metres[metres > 0]
    if measured.size and (middle := float(np.median(measured))) > _FARTHEST:
        raise DataError(
            f"depth map {depth} has a median of {middle:.3g} m, expected millimetres and "
            f"{_FARTHEST:g} m at most; convert the depth maps, for instance those in steps of "
            "1/5000 m"
        )
    return {"image": read_image(image), "depth": metres}
