"""Measures the feature cache on CamVid: the speed of its build, and the cost of reading it.

    NAS_TF_DATA=... python benchmarks/feature_cache.py [--images 128] [--rounds 3] [--steps 12]

Prints two ratios, each of interleaved measurements: images per second of the build over those of
the bare encoder, and seconds of a stage-one step with input over those of the step alone.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nas_tf import networks, quiet, spaces

tf = quiet.load("tensorflow")

from nas_tf.data import dataset_info, pipeline, prepare  # noqa: E402
from nas_tf.data.examples import Examples  # noqa: E402
from nas_tf.data.presets import preset  # noqa: E402
from nas_tf.tasks import Segmentation  # noqa: E402
from nas_tf.training import FeatureCache  # noqa: E402
from nas_tf.training.split_cache import cache_split  # noqa: E402

BATCH = 16


def seconds(work: Callable[[], object]) -> float:
    """Returns the seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def build_ratio(images: int, rounds: int, folder: Path) -> FeatureCache:
    """Alternates bare encoding with complete builds; prints ratios and returns the cache."""
    prepare("camvid")
    examples = Examples("camvid", "train")
    view = preset("camvid", "evaluate")
    info = dataset_info("camvid")
    task = Segmentation(len(info.classes), ignore_label=info.ignore_label)
    encoder = networks.encoder(input_size=view.crop, weights="imagenet")

    subset = range(images)
    stream = pipeline.views(examples, task.target, view, batch=BATCH, seed=1, subset=subset)
    in_memory = [batch for batch, _ in stream]
    in_memory[-1] = tf.pad(in_memory[-1], [[0, BATCH - len(in_memory[-1])]] + [[0, 0]] * 3)

    def bare_pass() -> tuple[float, float]:
        """Returns seconds including the trace of the graph, and seconds per image once it runs."""
        start = time.perf_counter()
        bare = tf.function(lambda x: encoder(x, training=False), autograph=False)
        bare(in_memory[0])
        running = time.perf_counter()
        for batch in in_memory[1:]:
            bare(batch)
        end = time.perf_counter()
        return end - start, (end - running) / (images - BATCH)

    def build(root: Path) -> tuple[float, float]:
        """Returns the seconds of a build, and seconds per image from its first shard on."""
        shards: list[tuple[float, int]] = []
        start = time.perf_counter()
        cache_split(
            examples,
            task,
            view,
            encoder,
            subset=subset,
            root=root,
            progress=lambda done, _: shards.append((time.perf_counter(), done)),
        )
        (first, before), (last, after) = shards[0], shards[-1]
        return time.perf_counter() - start, (last - first) / (after - before)

    pairs = []
    for _ in range(rounds + 1):
        shutil.rmtree(folder, ignore_errors=True)
        pairs.append((bare_pass(), build(folder)))
    first = pairs.pop(0)[1]
    print(f"(the first build ran at {1 / first[1]:.1f} images/s, into memory not used before)")
    for n, what in enumerate(("from start to end", "while it runs")):
        ratios = [bare[n] / built[n] for bare, built in pairs]
        rate = images if n == 0 else 1
        fastest = [rate / min(item[n] for item in side) for side in zip(*pairs, strict=True)]
        print(
            f"cache of {images} CamVid images at {view.crop[0]}x{view.crop[1]}, {what}: "
            f"build {fastest[1]:.1f} images/s, bare encoder {fastest[0]:.1f} images/s, "
            f"ratio {statistics.median(ratios):.2f} (median of {rounds})"
        )
    return cache_split(examples, task, view, encoder, subset=subset, root=folder)


def input_ratio(cache: FeatureCache, steps: int, rounds: int) -> None:
    """Alternates stage-one steps on a fixed batch with steps on the streamed cache."""
    settings = networks.settings.search("auxcell")
    arch0 = spaces.resolve("arch0")
    decoder = networks.build_decoder(arch0, 11, input_size=(360, 480), settings=settings)
    task = Segmentation(11, ignore_label=11)
    optimiser = tf.keras.optimizers.legacy.Adam(3e-3)

    @tf.function(autograph=False)
    def step(batch: dict) -> tf.Tensor:
        taps = {name: tf.cast(batch[name], tf.float32) for name in decoder.input_names}
        with tf.GradientTape() as tape:
            outputs = decoder(taps, training=True)
            losses = [task.loss(batch["target"], {"logits": map_}) for map_ in outputs.values()]
            loss = losses[0] + 0.15 * tf.add_n(losses[1:])
        gradients = tape.gradient(loss, decoder.trainable_weights)
        optimiser.apply_gradients(zip(gradients, decoder.trainable_weights, strict=True))
        return loss

    fixed = next(iter(cache.epoch(batch=BATCH, seed=0, epoch=0)))
    step(fixed)
    alone, streamed = [], []
    for round_ in range(rounds):
        alone.append(seconds(lambda: [step(fixed) for _ in range(steps)]))
        stream = iter(cache.epoch(batch=BATCH, seed=0, epoch=round_).repeat().take(steps))
        streamed.append(seconds(lambda stream=stream: [step(batch) for batch in stream]))
    ratios = np.array(streamed) / np.array(alone)
    print(
        f"stage-one step of arch0 at batch {BATCH}: {min(alone) / steps:.3f} s alone, "
        f"{min(streamed) / steps:.3f} s with input, ratio {np.median(ratios):.3f} "
        f"(median of {rounds})"
    )


def main() -> None:
    """Runs both measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=367)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = build_ratio(options.images, options.rounds, Path(folder) / "caches")
        input_ratio(cache, options.steps, options.rounds)


if __name__ == "__main__":
    main()
