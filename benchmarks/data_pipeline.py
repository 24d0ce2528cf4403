"""Measures images per second through the input pipeline, for each view of a prepared dataset.

Run: python benchmarks/data_pipeline.py camvid
"""

import sys
import time

from nas_tf.data.examples import CACHE_BYTES, Examples
from nas_tf.data.pipeline import training
from nas_tf.data.presets import STAGES, preset
from nas_tf.tasks import TargetSpec

BATCH, WARM, STEPS = 16, 5, 40


def speed(examples: Examples, stage: str) -> float:
    """Returns images per second, after a warm-up."""
    label = TargetSpec("label", examples.info.ignore_label)
    view = preset(examples.info.name, stage)
    stream = iter(training(examples, label, view, batch=BATCH, seed=1))
    for _ in range(WARM):
        next(stream)
    start = time.perf_counter()
    for _ in range(STEPS):
        next(stream)
    return BATCH * STEPS / (time.perf_counter() - start)


def main(name: str) -> None:
    """Prints a line for each stage, with decoded examples in memory and from records."""
    sources = {
        "memory": Examples(name, "train", cache_bytes=CACHE_BYTES),
        "records": Examples(name, "train", cache_bytes=0),
    }
    for stage in STAGES:
        for where, examples in sources.items():
            print(f"{name} {stage:10} {where:8} {speed(examples, stage):8.0f} images/s")


if __name__ == "__main__":
    main(*sys.argv[1:])
