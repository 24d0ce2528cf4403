"""The feature cache on CamVid: how fast it is built, and whether reading it ever costs a step.

    NAS_TF_DATA=... python benchmarks/feature_cache.py [--images 128] [--rounds 3] [--steps 12]

Prints two ratios, each measured interleaved: images a second of the build over those of the bare
encoder, and seconds of a stage-one step with input over those of the step alone.
"""

import argparse
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
from nas_tf.training import CacheKey, FeatureCache, features, fingerprint  # noqa: E402

BATCH = 16


def seconds(work: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def build_ratio(images: int, rounds: int, folder: Path) -> FeatureCache:
    """Alternates bare encoding with whole builds."""
    prepare("camvid")
    examples = Examples("camvid", "train")
    view = preset("camvid", "evaluate")
    info = dataset_info("camvid")
    task = Segmentation(len(info.classes), ignore_label=info.ignore_label)
    encoder = networks.encoder(input_size=view.crop, weights="imagenet")

    def source(first: int) -> object:
        subset = range(first, images)
        return pipeline.evaluation(examples, task.target, view, batch=BATCH, subset=subset)

    key = CacheKey(
        data="camvid/train",
        images=images,
        views=1,
        crop=view.crop,
        seed=1,
        encoder=fingerprint(encoder),
    )
    in_memory = [batch for batch, _ in source(0)]
    in_memory[-1] = tf.pad(in_memory[-1], [[0, BATCH - len(in_memory[-1])]] + [[0, 0]] * 3)

    def bare_pass() -> None:
        bare = tf.function(lambda x: encoder(x, training=False), autograph=False)
        for batch in in_memory:
            bare(batch)

    bare_pass()
    taken: dict[str, list[float]] = {"bare": [], "build": []}
    for round_ in range(rounds):
        taken["bare"].append(seconds(bare_pass))
        place = folder / str(round_)
        taken["build"].append(
            seconds(lambda place=place: features.prepare(place, key, source, encoder))
        )
    rates = {name: images / min(values) for name, values in taken.items()}
    ratios = [a / b for a, b in zip(taken["bare"], taken["build"], strict=True)]
    print(
        f"cache of {images} CamVid images at {view.crop[0]}x{view.crop[1]}: "
        f"build {rates['build']:.1f} images/s, bare encoder {rates['bare']:.1f} images/s, "
        f"ratio {statistics.median(ratios):.2f} (median of {rounds}; both trace their graph first)"
    )
    return features.prepare(folder / "0", key, source, encoder)


def input_ratio(cache: FeatureCache, steps: int, rounds: int) -> None:
    """Alternates stage-one steps on one batch with steps on the streamed cache."""
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
            losses = [task.loss(batch["target"], logits) for logits in outputs.values()]
            loss = losses[0] + 0.15 * tf.add_n(losses[1:])
        gradients = tape.gradient(loss, decoder.trainable_weights)
        optimiser.apply_gradients(zip(gradients, decoder.trainable_weights, strict=True))
        return loss

    one = next(iter(cache.epoch(batch=BATCH, seed=0, epoch=0)))
    step(one)
    alone, streamed = [], []
    for round_ in range(rounds):
        alone.append(seconds(lambda: [step(one) for _ in range(steps)]))
        stream = iter(cache.epoch(batch=BATCH, seed=0, epoch=round_).repeat().take(steps))
        streamed.append(seconds(lambda stream=stream: [step(batch) for batch in stream]))
    ratios = np.array(streamed) / np.array(alone)
    print(
        f"stage-one step of arch0 at batch {BATCH}: {min(alone) / steps:.3f} s alone, "
        f"{min(streamed) / steps:.3f} s with input, ratio {np.median(ratios):.3f} "
        f"(median of {rounds})"
    )


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=367)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = build_ratio(options.images, options.rounds, Path(folder))
        input_ratio(cache, options.steps, options.rounds)


if __name__ == "__main__":
    main()
