"""Measures the input pipeline: images per second, and what the end of an epoch waits for.

Run: python benchmarks/data_pipeline.py camvid [--epochs 12]

Each stream is read as fast as it can be; then epochs of growing length are read with a pause per
batch, as if a network learned from it, by streams that TensorFlow tunes and by ours, which it does
not.
"""

import argparse
import time
from unittest import mock

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.data import pipeline, prepare  # noqa: E402
from nas_tf.data.examples import CACHE_BYTES, Examples  # noqa: E402
from nas_tf.data.info import DatasetInfo  # noqa: E402
from nas_tf.data.pipeline import training  # noqa: E402
from nas_tf.data.presets import STAGES, preset  # noqa: E402
from nas_tf.tasks import TargetSpec  # noqa: E402

BATCH, WARM, STEPS = 16, 5, 40
PAUSE, EPOCH = 0.02, 20


def label_of(info: DatasetInfo) -> TargetSpec:
    """Returns the target that is read."""
    return TargetSpec("label", info.ignore_label)


def speed(examples: Examples, stage: str) -> float:
    """Returns images per second, after a warm-up."""
    view = preset(examples.info.name, stage)
    stream = iter(training(examples, label_of(examples.info), view, batch=BATCH, seed=1))
    for _ in range(WARM):
        next(stream)
    start = time.perf_counter()
    for _ in range(STEPS):
        next(stream)
    return BATCH * STEPS / (time.perf_counter() - start)


def releases(examples: Examples, *, tuned: bool, epochs: int) -> list[float]:
    """Returns the seconds that the release of a stream takes after each of some epochs."""
    view, seconds = preset(examples.info.name, "stage_one"), []
    for epoch in range(1, epochs + 1):
        kept = pipeline.without_autotuning
        with mock.patch.object(pipeline, "without_autotuning", (lambda x: x) if tuned else kept):
            stream = training(examples, label_of(examples.info), view, batch=BATCH, seed=epoch)
        iterator = iter(stream.take(EPOCH))
        for _ in iterator:
            time.sleep(PAUSE * epoch)
        start = time.perf_counter()
        del iterator
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Prints a line for each stage and place of the examples, and two for the releases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a prepared data set with labels of pixels")
    parser.add_argument("--epochs", type=int, default=12)
    chosen = parser.parse_args()
    prepare(chosen.name)
    sources = {
        "memory": Examples(chosen.name, "train", cache_bytes=CACHE_BYTES),
        "records": Examples(chosen.name, "train", cache_bytes=0),
    }
    for stage in STAGES:
        for where, examples in sources.items():
            rate = speed(examples, stage)
            print(f"{chosen.name} {stage:10} {where:8} {rate:8.0f} images/s", flush=True)
    for tuned in (True, False):
        seconds = releases(sources["memory"], tuned=tuned, epochs=chosen.epochs)
        kind = "tuned by TensorFlow" if tuned else "not tuned"
        print(
            f"{kind}: {sum(seconds):.1f} s for the release of {len(seconds)} streams, "
            f"{max(seconds):.1f} s at worst",
            flush=True,
        )


if __name__ == "__main__":
    main()
