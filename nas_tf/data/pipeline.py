"""Builds the batches for training and evaluation.

A training stream is a pure function of (seed, position): the position determines the epoch and
the offset in it, a keyed permutation the example, and (seed, epoch, example) every random value.
So any step of any epoch can be reached directly, and workers need not agree on anything else.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from nas_tf.data.augment import augment
from nas_tf.data.examples import Examples, JoinedExamples
from nas_tf.data.info import DatasetInfo
from nas_tf.data.streams import PREFETCHED, without_autotuning
from nas_tf.data.targets import TARGETS
from nas_tf.data.views import View
from nas_tf.errors import DataError
from nas_tf.tasks.base import TargetSpec

_FOREVER = _SEEDS = 1 << 62


def steps_per_epoch(count: int, batch: int) -> int:
    """Returns the number of full batches in an epoch; the remaining examples are left out."""
    if batch < 1 or count < batch:
        raise DataError(
            f"batch is {batch} and there are {count} examples: 1–{count} is accepted as batch"
        )
    return count // batch


def training(
    examples: Examples | JoinedExamples,
    target: TargetSpec,
    view: View,
    *,
    batch: int,
    seed: int,
    subset: Sequence[int] | None = None,
    start: tuple[int, int] = (0, 0),
    epochs: int | None = None,
    shuffle: bool = True,
    extras: Sequence[str] = (),
    skip_broken: bool = False,
) -> tf.data.Dataset:
    """Returns shuffled, augmented batches from ``start`` (epoch, step); endless by default.

    ``subset`` restricts them to some indices, such as those of the meta split. With
    ``skip_broken`` a record that cannot be read is left out; batches then no longer start at
    exact positions.
    """
    indices = _indices(examples, subset)
    count = len(indices)
    per_epoch = steps_per_epoch(count, batch) * batch
    first = start[0] * per_epoch + start[1] * batch
    last = _FOREVER if epochs is None else epochs * per_epoch

    def example(position: tf.Tensor) -> tuple[tf.Tensor, object]:
        epoch, offset = position // per_epoch, position % per_epoch
        key = tf.random.experimental.stateless_fold_in([seed, 0], epoch)
        if shuffle:
            offset = tf.random.experimental.index_shuffle(offset, key, count - 1)
        index = tf.gather(indices, offset)
        key = tf.random.experimental.stateless_fold_in(key, index)
        return _input_and_target(examples, index, target, view, key, extras)

    stream = _mapped(tf.data.Dataset.range(first, last), example, skip_broken)
    keys = (target.key, *extras)
    return _batched(stream, keys, examples.info, batch, drop_remainder=True)


def evaluation(
    examples: Examples,
    target: TargetSpec,
    view: View,
    *,
    batch: int,
    subset: Sequence[int] | None = None,
    extras: Sequence[str] = (),
    skip_broken: bool = False,
) -> tf.data.Dataset:
    """Returns every example once, in order; the last batch may be smaller.

    Random values, such as noise, depend on the name of an example alone.
    """

    def example(index: tf.Tensor) -> tuple[tf.Tensor, object]:
        return _input_and_target(examples, index, target, view, None, extras)

    stream = tf.data.Dataset.from_tensor_slices(_indices(examples, subset))
    stream, keys = _mapped(stream, example, skip_broken), (target.key, *extras)
    return _batched(stream, keys, examples.info, batch, drop_remainder=False)


def views(
    examples: Examples,
    target: TargetSpec,
    view: View,
    *,
    batch: int,
    seed: int,
    count: int = 1,
    first: int = 0,
    subset: Sequence[int] | None = None,
    extras: Sequence[str] = (),
) -> tf.data.Dataset:
    """Returns ``count`` views of every example in a fixed order, from row ``first``, for a cache.

    View ``v`` of example ``i`` is row ``v · examples + i``; the last batch may be smaller.
    """
    indices = _indices(examples, subset)

    def example(row: tf.Tensor) -> tuple[tf.Tensor, object]:
        index = tf.gather(indices, row % len(indices))
        key = tf.random.experimental.stateless_fold_in([seed, 1], row // len(indices))
        key = tf.random.experimental.stateless_fold_in(key, index)
        return _input_and_target(examples, index, target, view, key, extras)

    stream = tf.data.Dataset.range(first, count * len(indices))
    stream, keys = _mapped(stream, example, False), (target.key, *extras)
    return _batched(stream, keys, examples.info, batch, drop_remainder=False)


def _indices(examples: Examples | JoinedExamples, subset: Sequence[int] | None) -> np.ndarray:
    """Returns the indices to use; raises here, not in the graph, if one does not exist."""
    indices = np.arange(len(examples)) if subset is None else np.asarray(subset, np.int64)
    if not len(indices) or indices.min() < 0 or indices.max() >= len(examples):
        raise DataError(
            f"subset of {examples.info.name} {examples.split} is empty or leaves "
            f"0–{len(examples) - 1}: indices of its {len(examples)} examples are accepted"
        )
    return indices


def _input_and_target(
    examples: Examples | JoinedExamples,
    index: tf.Tensor,
    target: TargetSpec,
    view: View,
    key: tf.Tensor | None,
    extras: Sequence[str],
) -> tuple[tf.Tensor, object]:
    """Returns augmented image and target; with ``extras`` the target is a dictionary.

    Without a ``key``, that of the example's name is taken.
    """
    stored = examples.get(index)
    key = seed_of(stored["id"]) if key is None else key
    wanted = ("image", target.key, *extras)
    used = {name: stored[name] for name in wanted if name in stored}
    fills = {target.key: target.fill, **dict.fromkeys(extras, 0)}
    augmented = augment(used, view, examples.info, fills, key)
    image = augmented.pop("image")
    return image, (augmented if extras else augmented[target.key])


def seed_of(name: tf.Tensor) -> tf.Tensor:
    """Returns the seed of all that is random when an example of this name is scored."""
    return tf.stack([tf.strings.to_hash_bucket_fast(name, _SEEDS), 0])


def _mapped(stream: tf.data.Dataset, function: Callable, skip_broken: bool) -> tf.data.Dataset:
    """Maps on all cores, in order; with ``skip_broken`` examples that fail are left out."""
    stream = stream.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return stream.ignore_errors(log_warning=True) if skip_broken else stream


def _batched(
    stream: tf.data.Dataset,
    keys: tuple[str, ...],
    info: DatasetInfo,
    batch: int,
    *,
    drop_remainder: bool,
) -> tf.data.Dataset:
    """Batches and prefetches; examples with fewer people or boxes are padded with absent ones."""
    absent = {key: TARGETS[key].absent for key in keys}
    if all(value is None for value in absent.values()):
        stream = stream.batch(batch, drop_remainder=drop_remainder)
    else:
        image, target = stream.element_spec
        values = target if len(keys) > 1 else {keys[0]: target}
        shapes = {key: TARGETS[key].batch_shape(values[key].shape, info) for key in keys}
        padding = (shapes, absent) if len(keys) > 1 else (shapes[keys[0]], absent[keys[0]])
        stream = stream.padded_batch(
            batch, (image.shape, padding[0]), (None, padding[1]), drop_remainder=drop_remainder
        )
    return without_autotuning(stream.prefetch(PREFETCHED))
