"""A small cache that this process builds, or one that is killed."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from nas_tf import networks
from nas_tf.training import CacheKey, FeatureCache, prepare

SIZE, BATCH, SHARD_ROWS, CLASSES = (64, 96), 4, 8, 5


@functools.cache
def encoder() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(5)
    return networks.encoder(alpha=0.35, input_size=SIZE)


@functools.cache
def teacher() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(6)
    image = tf.keras.Input((*SIZE, 3))
    return tf.keras.Model(image, tf.keras.layers.Conv2D(CLASSES, 3, strides=8)(image))


def key(images: int = 21, views: int = 2, **changes: object) -> CacheKey:
    defaults = dict(data="noise", images=images, views=views, crop=SIZE, seed=1)
    return CacheKey(**{**defaults, **changes})


def example(row: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(row)
    label = rng.integers(0, CLASSES, SIZE, dtype=np.uint8)
    return rng.uniform(-1, 1, (*SIZE, 3)).astype(np.float32), label


def source(total: int, log: Path | None = None):
    def batches(first: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(first, total, BATCH):
            if log is not None:
                with log.open("a") as file:
                    file.write(f"{start}\n")
            rows = [example(row) for row in range(start, min(start + BATCH, total))]
            yield tuple(np.stack(part) for part in zip(*rows, strict=True))

    return batches


def build(root: Path, log: Path | None = None, **changes: object) -> FeatureCache:
    cache_key = key(**changes)
    return prepare(
        root, cache_key, source(cache_key.rows, log), encoder(), batch=BATCH, shard_rows=SHARD_ROWS
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), images=60)
