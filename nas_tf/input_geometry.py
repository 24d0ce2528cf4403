"""Turns pictures of any size into a network's inputs, and its predictions back into their size.

A picture is resized by a rule, then padded to the input's size, or covered by overlapping windows
of it if it is larger. Each pixel's prediction comes from the window whose centre is nearest and is
enlarged to the picture's own size by the nearest pixel. Training resizes by the same rule, and
scoring, prediction and exported signatures all call this module, so that they agree.

A network whose layers all have the size of its image can take smaller images as well: nothing is
padded then. If its windows share all that it reads around a pixel, they give what the picture as a
whole would.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.sizes import Size

GREY = 127
"""The value that pictures are padded with, which normalisation maps to 0."""
_LONGEST = 1 << 16
OVERLAP = 4
"""Neighbouring windows share at least 1 / ``OVERLAP`` of their side."""
Sides: TypeAlias = tuple[int | tf.Tensor, int | tf.Tensor]


@dataclass(frozen=True, slots=True)
class Resize:
    """A rule by which a picture is resized first; at most one argument has a value.

    ::

        height, width = Resize(longer=512).size((1080, 1920))

    Args:
        longer: The longer side becomes this many pixels.
        shorter: The shorter side becomes this many pixels.
        longer_at_most: Like ``longer``, but smaller pictures keep their size.
        exact: Height and width, regardless of the proportions.
    """

    longer: int | None = None
    shorter: int | None = None
    longer_at_most: int | None = None
    exact: Size | None = None

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> "Resize":
        """Returns the rule that a model's metadata state; no key means no resizing."""
        exact = rule.get("exact")
        lengths = {key: _side(value) for key, value in rule.items() if key != "exact"}
        return cls(**lengths, exact=None if exact is None else _sides(exact))

    def to_dict(self) -> dict[str, Any]:
        """Returns the rule as it is written to metadata."""
        given = {key: value for key, value in asdict(self).items() if value is not None}
        return given | ({"exact": list(self.exact)} if self.exact else {})

    def size(self, own: tf.Tensor) -> tf.Tensor:
        """Returns height and width of a resized picture as int64; works in a graph."""
        own = tf.cast(own, tf.int64)
        if self.exact is not None:
            return tf.constant(self.exact, tf.int64)
        if self.longer is not None:
            return _scaled(own, self.longer, tf.reduce_max(own))
        if self.shorter is not None:
            return _scaled(own, self.shorter, tf.reduce_min(own))
        if self.longer_at_most is not None:
            longer = tf.reduce_max(own)
            return _scaled(own, tf.minimum(tf.cast(self.longer_at_most, tf.int64), longer), longer)
        return own


@dataclass(frozen=True, slots=True)
class InputGeometry:
    """A network's input size, and the rule that fits pictures of other sizes to it.

    ::

        geometry = InputGeometry((256, 512), Resize(longer=1024))
        windows = geometry.cut(picture)
        mask = geometry.joined(labels_of_windows, picture.shape[:2])

    Args:
        size: Height and width of the input.
        resize: Rule that resizes a picture first.
        windows: If true, windows cover a picture that is still larger; otherwise it is shrunk
            until it fits, as for poses, whose joints no window may separate.
        any_size: If true, the network takes smaller images too, and a picture is not padded.
        margin: The pixels around a pixel that the network reads. Windows share twice as many, but
            at most half of their side.
    """

    size: Size
    resize: Resize = Resize()
    windows: bool = True
    any_size: bool = False
    margin: int = 0

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> "InputGeometry":
        """Returns the geometry in a model's metadata; before 0.2 pictures were stretched."""
        given = about["input"]
        try:
            size = _sides(given["size"])
            if "resize" not in given:
                return cls(size, Resize(exact=size))
            any_size, margin = bool(given.get("any_size")), given.get("margin", 0)
            if margin:
                _side(margin)
            return cls(size, Resize.of(given["resize"]), bool(given["windows"]), any_size, margin)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the model's metadata state input {given}, expected size, resize and windows as "
                "nas-tf export writes them"
            ) from error

    @property
    def least_side(self) -> int:
        """The smallest side of windows that give what the picture as a whole would."""
        return 4 * self.margin

    def to_dict(self) -> dict[str, Any]:
        """Returns the geometry as it is written to metadata."""
        return {
            "size": list(self.size),
            "resize": self.resize.to_dict(),
            "windows": self.windows,
            "overlap": 1 / OVERLAP,
            "padding": GREY,
            **({"any_size": True} if self.any_size else {}),
            **({"margin": self.margin} if self.margin else {}),
        }

    def resized_size(self, own: tf.Tensor) -> tf.Tensor:
        """Returns height and width of a picture as the network reads it, before padding."""
        size = self.resize.size(own)
        if self.windows:
            return size
        limit = tf.constant(self.size, tf.int64)
        # The side with the larger ratio to the input decides; a picture that fits keeps its size.
        tall = size[0] * limit[1] > size[1] * limit[0]
        most, side = tf.where(tall, limit[0], limit[1]), tf.where(tall, size[0], size[1])
        return _scaled(size, tf.minimum(most, side), side)

    def cut(self, picture: tf.Tensor) -> tf.Tensor:
        """Returns the windows [count, height, width, 3] of a picture, as bytes, row by row."""
        picture = resized(picture, self.resized_size(tf.shape(picture)[:2]))
        size = tf.shape(picture, tf.int64)[:2]
        height, width = self._window(size)
        rows, columns = self._starts(size, (height, width))
        before = tf.stack([tf.maximum(-rows[0], 0), tf.maximum(-columns[0], 0)])
        after = tf.maximum(_stacked((height, width)) - size - before, 0)
        padding = tf.concat([tf.stack([before, after], axis=1), [[0, 0]]], axis=0)
        padded = tf.pad(picture, padding, constant_values=tf.cast(GREY, picture.dtype))
        for axis, (starts, side) in enumerate(((rows, height), (columns, width))):
            indices = starts[:, None] + before[axis] + tf.range(side, dtype=tf.int64)
            padded = tf.gather(padded, tf.reshape(indices, [-1]), axis=axis)
        shape = (_count(rows), height, _count(columns), width, 3)
        windows = tf.transpose(tf.reshape(padded, shape), (0, 2, 1, 3, 4))
        return tf.reshape(windows, (-1, height, width, 3))

    def joined(self, maps: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        """Joins maps [count, height, width, ...] of the windows to one of the picture's size."""
        own = tf.cast(own, tf.int64)
        size = self.resized_size(own)
        height, width = self._window(size)
        rows, columns = self._starts(size, (height, width))
        channels = tuple(maps.shape[3:])
        grid = tf.reshape(maps, (_count(rows), _count(columns), height, width, *channels))
        grid = tf.transpose(grid, (0, 2, 1, 3, 4)[: 4 + len(channels)])
        grid = tf.reshape(grid, (_count(rows) * height, _count(columns) * width, *channels))
        grid = tf.gather(grid, _sources(own[0], size[0], height, rows), axis=0)
        return tf.gather(grid, _sources(own[1], size[1], width, columns), axis=1)

    def points(self, points: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        """Maps points [..., (x, y)] in the input to the picture, which must have one window."""
        size = self.resized_size(own)
        starts = [axis[0] for axis in reversed(self._starts(size, self._window(size)))]
        factors = tf.cast(own, tf.float32) / tf.cast(size, tf.float32)
        return (points + tf.cast(tf.stack(starts), tf.float32) + 0.5) * factors[::-1] - 0.5

    def _window(self, size: tf.Tensor) -> Sides:
        """Returns height and width of the windows of a picture of a size."""
        if not self.any_size:
            return self.size
        height, width = tf.unstack(tf.minimum(size, tf.constant(self.size, tf.int64)))
        return height, width

    def _starts(self, size: tf.Tensor, window: Sides) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the starts of the rows and of the columns of windows."""
        rows, columns = (_starts(size[n], window[n], self.margin) for n in (0, 1))
        return rows, columns


def resized(picture: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns a picture as bytes at a size, with antialiasing; unchanged at its own size."""

    def resize() -> tf.Tensor:
        floats = tf.image.resize(picture, tf.cast(size, tf.int32), antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(floats), 0, 255), tf.uint8)

    same = tf.reduce_all(tf.shape(picture, tf.int64)[:2] == tf.cast(size, tf.int64))
    return tf.cond(same, lambda: tf.cast(picture, tf.uint8), resize)


def resized_map(values: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns a map [height, width] at a size, with the value of the nearest pixel."""
    own, size = tf.shape(values, tf.int64), tf.cast(size, tf.int64)
    values = tf.gather(values, _nearest(size[0], own[0]), axis=0)
    return tf.gather(values, _nearest(size[1], own[1]), axis=1)


def _side(value: Any) -> int:
    """Returns a number of pixels, or raises ``ValueError``."""
    if not isinstance(value, int) or not 1 <= value <= _LONGEST:
        raise ValueError(value)
    return value


def _sides(value: Any) -> Size:
    height, width = map(_side, value)
    return height, width


def _scaled(size: tf.Tensor, target: int | tf.Tensor, side: tf.Tensor) -> tf.Tensor:
    """Returns a size times ``target`` / ``side``, rounded half up, at least one pixel."""
    target = tf.cast(target, tf.int64)
    return tf.maximum((2 * size * target + side) // (2 * side), 1)


def _stacked(sides: Sides) -> tf.Tensor:
    return tf.stack([tf.cast(side, tf.int64) for side in sides])


def _count(starts: tf.Tensor) -> tf.Tensor:
    return tf.size(starts, out_type=tf.int64)


def _starts(length: tf.Tensor, window: int | tf.Tensor, margin: int) -> tf.Tensor:
    """Returns the starts of windows along an axis; negative if one exceeds the picture."""
    window = tf.cast(window, tf.int64)
    step = window - tf.maximum(window // OVERLAP, tf.minimum(window // 2, 2 * margin))
    beyond = tf.maximum(length - window, 0)
    count = 1 + (beyond + step - 1) // step
    spread = tf.range(count) * beyond // tf.maximum(count - 1, 1)
    return tf.where(length <= window, -((window - length) // 2), spread)


def _sources(
    own: tf.Tensor, length: tf.Tensor, window: int | tf.Tensor, starts: tf.Tensor
) -> tf.Tensor:
    """Returns each pixel's index, along an axis, in the concatenation of the windows."""
    nearest = _nearest(own, length)
    borders = (starts[:-1] + window + starts[1:]) // 2
    owner = tf.searchsorted(borders, nearest, side="right", out_type=tf.int64)
    return owner * window + nearest - tf.gather(starts, owner)


def _nearest(count: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns, for each of ``count`` pixels, the nearest of ``length``, by their centres."""
    return (2 * tf.range(count) + 1) * length // (2 * count)
