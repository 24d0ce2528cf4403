"""Settings of all streams of examples."""

import tensorflow as tf

PREFETCHED = 2
"""Number of batches that are prepared in advance."""


def without_autotuning(stream: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a stream that uses all threads from the start.

    The thread that tunes a stream sleeps for ever longer, up to a minute, and the release of the
    stream at the end of an epoch may have to wait for it (``benchmarks/data_pipeline.py``).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return stream.with_options(options)
