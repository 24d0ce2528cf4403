"""Modulated deformable 3x3 convolution (DCNv2) of stride 1, with a gradient of its own.

Every tap of every group reads the map at an offset, by bilinear interpolation. This is the product
of a sparse matrix, a row of four neighbours for each sample, with the map. TensorFlow's kernel of
that product gathers, weights and sums at once, and scatters the gradient in a fixed order; it is
faster than ``tf.gather`` and than ``tfa.image.resampler`` (``docs/results/deformable.md``). TFLite
and ONNX do not have it, so ``for_conversion`` gathers.

The samples are nine times the size of the map: they are computed in pieces, and again for the
gradient, and are never in memory together.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError

Arrays = list[tf.Tensor]
Size = int | tf.Tensor

TAPS = 9
MOST_PIECES = 8
SMALLEST_PIECE = 2 << 20
"""Bytes of the samples of a piece: smaller ones take more time, and save little memory."""


def offsets_and_mask(raw: tf.Tensor, groups: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits the result of the offset convolution, 27 channels a group."""
    offsets, logits = tf.split(raw, (2 * TAPS * groups, TAPS * groups), -1)
    return offsets, tf.sigmoid(logits)


def deformable_conv(
    x: tf.Tensor,
    offsets: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    *,
    groups: int,
    rate: int = 1,
    padding: int | None = None,
    for_conversion: bool = False,
) -> tf.Tensor:
    """Returns the convolution, without bias, in the type of ``x``; it is computed in float32.

    Each neighbour outside the map counts as zero.

    Args:
        x: ``[batch, height, width, channels]``; all but the channels may be dynamic.
        offsets: In pixels, at each position of the result. Channels ``2(9g + i)`` and
            ``2(9g + i) + 1`` shift tap ``i`` of group ``g`` by rows and by columns.
        mask: Factors of the samples; channel ``9g + i`` is that of tap ``i`` of group ``g``.
        kernel: ``[3, 3, channels, filters]``.
        groups: The number of equal groups of channels with offsets of their own.
        rate: The distance between taps without offsets.
        padding: Rows and columns of zeros on each side; by default ``rate``, which keeps the size.
        for_conversion: Use only operations of TFLite and ONNX: gathers, no pieces, no gradient of
            its own.
    """
    if x.shape[-1] % groups:
        raise ConfigError(f"{x.shape[-1]} channels do not divide into {groups} deformable groups")
    arrays = [tf.cast(array, tf.float32) for array in (x, offsets, mask, kernel)]
    taps = _Taps(groups, rate, rate if padding is None else padding)
    if for_conversion:
        return tf.cast(_gathered(taps, *arrays), x.dtype)
    forward, backward = _traced(taps, *(tuple(array.shape) for array in arrays))

    @tf.custom_gradient
    def convolution(*arrays: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], Any]]:
        return forward(*arrays), lambda gradient: backward(*arrays, gradient)

    return tf.cast(convolution(*arrays), x.dtype)


@dataclass(frozen=True, slots=True)
class _Taps:
    groups: int
    rate: int
    padding: int


@functools.cache
def _traced(taps: _Taps, *shapes: tuple[int | None, ...]) -> tuple[Any, Any]:
    """Returns both directions as functions that all layers of these shapes share.

    They are not inlined: TensorFlow would optimise each call by itself, seconds for a network.
    """
    read = [tf.TensorSpec(shape) for shape in shapes]
    result = tf.TensorSpec((*shapes[1][:3], shapes[3][3]))
    traced = functools.partial(
        tf.function, autograph=False, experimental_attributes={"_noinline": True}
    )
    return (
        traced(functools.partial(_forward, taps), input_signature=read),
        traced(functools.partial(_backward, taps), input_signature=[*read, result]),
    )


def _forward(
    taps: _Taps, x: tf.Tensor, offsets: tf.Tensor, mask: tf.Tensor, kernel: tf.Tensor
) -> tf.Tensor:
    grid = _Grid(taps, x, offsets)
    table, matrix = grid.table(x), grid.matrix(kernel)

    def piece(first: Size, offsets: tf.Tensor, mask: tf.Tensor) -> tuple[Arrays, Arrays]:
        near = grid.neighbours(first, offsets)
        samples = _Sparse(near.index, near.weights() * mask, table).times(table)
        return [grid.by_position(samples) @ matrix], []

    (y,), _ = grid.in_pieces(piece, [offsets, mask], [kernel.shape[-1]], [])
    return grid.as_map(y)


def _backward(
    taps: _Taps,
    x: tf.Tensor,
    offsets: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    gradient: tf.Tensor,
) -> Arrays:
    """Returns the gradients of the four arguments."""
    grid = _Grid(taps, x, offsets)
    table, matrix = grid.table(x), grid.matrix(kernel)

    def piece(
        first: Size, offsets: tf.Tensor, mask: tf.Tensor, gradient: tf.Tensor
    ) -> tuple[Arrays, Arrays]:
        near = grid.neighbours(first, offsets)
        sparse = _Sparse(near.index, near.weights() * mask, table)
        by_position = grid.by_position(sparse.times(table))
        by_matrix = tf.matmul(by_position, gradient, transpose_a=True)
        by_sample = tf.matmul(gradient, matrix, transpose_b=True)
        by_sample = tf.reshape(by_sample, (-1, table.shape[1]))
        products: Arrays = []
        for index in near.indices():
            # One after another: the four together would take most of the memory.
            with tf.control_dependencies(products[-1:]):
                read = tf.gather(table, index)
            products.append(tf.reduce_sum(read * by_sample, -1))
        by_weights = tf.reshape(products, tf.shape(near.index))
        return near.gradients(by_weights, mask), [sparse.transposed_times(by_sample), by_matrix]

    read, widths = [offsets, mask, gradient], [offsets.shape[-1], mask.shape[-1]]
    totals = [tf.zeros_like(table), tf.zeros_like(matrix)]
    (by_offsets, by_mask), (by_table, by_matrix) = grid.in_pieces(piece, read, widths, totals)
    return [
        tf.reshape(by_table, tf.shape(x)),
        grid.as_map(by_offsets),
        grid.as_map(by_mask),
        grid.kernel(by_matrix),
    ]


def _gathered(
    taps: _Taps, x: tf.Tensor, offsets: tf.Tensor, mask: tf.Tensor, kernel: tf.Tensor
) -> tf.Tensor:
    grid = _Grid(taps, x, offsets)
    near = grid.neighbours(0, grid.flat(offsets))
    weights = tf.reshape(near.weights() * grid.flat(mask), (4, -1, 1))
    read = [tf.gather(grid.table(x), index) for index in near.indices()]
    samples = tf.add_n([a * weight for a, weight in zip(read, tf.unstack(weights), strict=True)])
    return grid.as_map(grid.by_position(samples) @ grid.matrix(kernel))


class _Neighbours(NamedTuple):
    """The four neighbours of each sample, two above and two below, ``[2, 2, position, sample]``.

    Attributes:
        index: Their rows in the table.
        by_row: Their weights by row, ``[2, position, sample]``; zero outside the map.
        by_column: Their weights by column.
        inside: 1 within the map, else 0; ``[axis, 2, position, sample]``.
    """

    index: tf.Tensor
    by_row: tf.Tensor
    by_column: tf.Tensor
    inside: tf.Tensor

    def weights(self) -> tf.Tensor:
        """Returns the weights of the bilinear interpolation."""
        return self.by_row[:, None] * self.by_column

    def indices(self) -> Arrays:
        """Returns the first neighbours of all samples, the second ones, and so on."""
        return tf.unstack(tf.reshape(self.index, (4, -1)))

    def gradients(self, by_weights: tf.Tensor, mask: tf.Tensor) -> Arrays:
        """Returns the gradients of offsets and mask from those of weights times mask."""
        rows = tf.reduce_sum(by_weights * self.by_column, 1)
        columns = tf.reduce_sum(by_weights * self.by_row[:, None], 0)
        slopes = self.inside * np.array([-1, 1], np.float32)[:, None, None]
        shifts = tf.reduce_sum(tf.stack([rows, columns]) * slopes, 1) * mask
        by_offsets = tf.reshape(tf.transpose(shifts, (1, 2, 0)), (-1, 2 * mask.shape[-1]))
        return [by_offsets, tf.reduce_sum(rows * self.by_row, 0)]


class _Sparse:
    """The sparse matrix of samples by rows of the table."""

    def __init__(self, index: tf.Tensor, weights: tf.Tensor, table: tf.Tensor) -> None:
        columns = tf.reshape(index, (4, -1))
        rows = tf.zeros_like(columns) + tf.range(tf.shape(columns)[1])
        self._matrix = {
            "a_indices": tf.reshape(tf.transpose(tf.stack([rows, columns]), (2, 1, 0)), (-1, 2)),
            "a_values": tf.reshape(tf.transpose(tf.reshape(weights, (4, -1))), (-1,)),
            "a_shape": tf.cast([tf.shape(columns)[1], tf.shape(table)[0]], tf.int64),
        }

    def times(self, dense: tf.Tensor) -> tf.Tensor:
        """Returns the samples of a table."""
        return tf.raw_ops.SparseTensorDenseMatMul(**self._matrix, b=dense)

    def transposed_times(self, dense: tf.Tensor) -> tf.Tensor:
        """Returns the table to which samples add up."""
        return tf.raw_ops.SparseTensorDenseMatMul(**self._matrix, b=dense, adjoint_a=True)


class _Grid:
    """The positions of a result, and the samples there; in the order of groups, then taps.

    Sizes are integers where they are known, else tensors. The table has a row for each pixel of
    the map and each group.
    """

    def __init__(self, taps: _Taps, x: tf.Tensor, offsets: tf.Tensor) -> None:
        self._taps = taps
        self.batch, self.height, self.width, self.channels = _sizes(x)
        _, self.rows, self.columns, _ = _sizes(offsets)
        self.count = self.batch * self.rows * self.columns

    def table(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the map as a table."""
        return tf.reshape(x, (-1, self.channels // self._taps.groups))

    def matrix(self, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the kernel as a matrix whose rows are in the order of samples."""
        split = tf.reshape(kernel, (TAPS, self._taps.groups, -1, kernel.shape[-1]))
        return tf.reshape(tf.transpose(split, (1, 0, 2, 3)), (-1, kernel.shape[-1]))

    def kernel(self, matrix: tf.Tensor) -> tf.Tensor:
        """Returns the kernel of a matrix."""
        split = tf.reshape(matrix, (self._taps.groups, TAPS, -1, matrix.shape[-1]))
        split = tf.transpose(split, (1, 0, 2, 3))
        return tf.reshape(split, (3, 3, self.channels, matrix.shape[-1]))

    def by_position(self, samples: tf.Tensor) -> tf.Tensor:
        """Joins the samples of a position."""
        return tf.reshape(samples, (-1, TAPS * self.channels))

    def flat(self, array: tf.Tensor) -> tf.Tensor:
        """Returns an array whose rows are positions."""
        return tf.reshape(array, (self.count, array.shape[-1]))

    def as_map(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns an array of images from one whose rows are positions."""
        return tf.reshape(rows, (self.batch, self.rows, self.columns, rows.shape[-1]))

    def neighbours(self, first: Size, offsets: tf.Tensor) -> _Neighbours:
        """Returns the neighbours of the samples at positions from ``first`` on."""
        (count, channels), groups = _sizes(offsets), self._taps.groups
        place = tf.range(first, first + count)
        row, column = place // self.columns % self.rows, place % self.columns
        origin = tf.cast(tf.stack([row, column]), tf.float32)[..., None]
        tap = np.tile(np.indices((3, 3)).reshape(2, TAPS), groups)
        tap = (tap * self._taps.rate - self._taps.padding).astype(np.float32)
        shifts = tf.transpose(tf.reshape(offsets, (count, channels // 2, 2)), (2, 0, 1))
        at = shifts + (origin + tap[:, None])
        lower = tf.floor(at)
        corner = tf.stack([lower, lower + 1], 1)
        last = tf.reshape(tf.stack([self.height - 1, self.width - 1]), (2, 1, 1, 1))
        within = (corner >= 0) & (corner <= tf.cast(last, tf.float32))
        inside = tf.cast(within, tf.float32)
        by_row, by_column = tf.unstack((1 - tf.abs(at[:, None] - corner)) * inside)
        # Outside the map, 0: NaN and what exceeds an integer have no nearest cell.
        cell_row, cell_column = tf.unstack(tf.cast(corner, tf.int32) * tf.cast(within, tf.int32))
        image = place // (self.rows * self.columns) * (self.height * self.width * groups)
        base = image[:, None] + np.repeat(np.arange(groups, dtype=np.int32), TAPS)
        index = (cell_row[:, None] * self.width + cell_column) * groups + base
        return _Neighbours(index, by_row, by_column, inside)

    def in_pieces(
        self,
        work: Callable[..., tuple[Arrays, Arrays]],
        read: Sequence[tf.Tensor],
        widths: Sequence[int],
        totals: Arrays,
    ) -> tuple[Arrays, Arrays]:
        """Computes pieces of the positions one after another.

        Args:
            work: Returns arrays of the given widths whose rows are positions, and terms of the
                totals, from a piece: its first position, and its rows of what is read.
            read: Arrays of images.
            widths: Widths of what is joined.
            totals: Zeros, to which the terms are added.
        """
        read = [self.flat(array) for array in read]
        least = max(1, SMALLEST_PIECE // (4 * TAPS * self.channels))
        size = -(-self.count // MOST_PIECES)
        size = max(least, size) if isinstance(size, int) else tf.maximum(least, size)
        if isinstance(size, int) and size >= self.count:
            return work(0, *read)

        def piece(first: tf.Tensor, joined: list, totals: Arrays) -> tuple:
            parts, terms = work(first, *(array[first : first + size] for array in read))
            place = first // size
            joined = [array.write(place, part) for array, part in zip(joined, parts, strict=True)]
            added = [total + term for total, term in zip(totals, terms, strict=True)]
            return first + size, joined, added

        pieces = -(-self.count // size)
        joined = [
            tf.TensorArray(tf.float32, pieces, infer_shape=False, element_shape=(None, width))
            for width in widths
        ]
        _, joined, totals = tf.while_loop(
            lambda first, *_: first < self.count,
            piece,
            (tf.constant(0), joined, totals),
            parallel_iterations=1,
        )
        return [array.concat() for array in joined], totals


def _sizes(array: tf.Tensor) -> list[Size]:
    """Returns the sizes of an array, tensors where they are dynamic."""
    return [
        tf.shape(array)[axis] if size is None else size for axis, size in enumerate(array.shape)
    ]
