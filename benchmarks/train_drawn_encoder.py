"""Trains the encoder of `network.weights=drawn`: MobileNetV2 on rendered scenes, by a fixed seed.

python benchmarks/train_drawn_encoder.py --out OUT --ship drawn_mobilenet_v2_0.35.h5

Scenes are rendered from seeds that no split of `shapes` uses. A small feature pyramid predicts the
classes from every tap, so that each of them learns features that a decoder can use; the pyramid is
discarded. Scenes and the state of the last epoch are saved in --out, and the same command resumes
from there. --ship writes the encoder in half precision, as the package includes it.
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import get_args

import h5py
import numpy as np

from nas_tf import quiet
from nas_tf.data import scenes

quiet.load("tensorflow")

import tensorflow as tf  # noqa: E402

from nas_tf.config.schema import Optimiser, Schedule  # noqa: E402
from nas_tf.networks.arrays import layouts  # noqa: E402
from nas_tf.networks.blueprint import Blueprint, Layer  # noqa: E402
from nas_tf.networks.draft import Draft  # noqa: E402
from nas_tf.networks.encoders import MobileNetV2  # noqa: E402
from nas_tf.networks.functional import FLOAT32, Functional  # noqa: E402
from nas_tf.networks.kinds import Role  # noqa: E402
from nas_tf.networks.state import from_arrays, initial_arrays, to_arrays  # noqa: E402
from nas_tf.tasks.segmentation import Segmentation  # noqa: E402
from nas_tf.training import hardware  # noqa: E402
from nas_tf.training.checkpoint import Checkpoints  # noqa: E402
from nas_tf.training.learner import Learner, Recipe  # noqa: E402
from nas_tf.training.optimizers import learning_rate_factor  # noqa: E402

SEED = 17
"""The first number of the scenes' seeds; the splits of `shapes` use 0, 1 and 2."""
SIZE = (scenes.SIZE, scenes.SIZE)
WIDTH, BATCH, HELD_OUT = 48, 16, 100
BACKGROUND = 0.4
"""The weight of the background in the loss: it fills most of every scene."""
ADAM = Optimiser(learning_rate=3e-3)
SCHEDULE = Schedule(kind="poly", warmup_steps=100)


def pyramid(alpha: float) -> Blueprint:
    """Builds the encoder with a feature pyramid that predicts at every tap's stride."""
    draft = Draft(SIZE)
    taps = MobileNetV2(alpha=alpha).add(draft)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    above = None
    for stage in reversed(range(len(taps))):
        above = _level(draft, taps[stage], above, stage)
    return draft.finish()


def _level(draft: Draft, tap: Layer, above: Layer | None, stage: int) -> Layer:
    """Adds a level of the pyramid and its prediction; the finest is the network's output."""
    x = draft.batch_norm(draft.conv(tap, f"lateral{stage}", WIDTH), f"lateral{stage}.norm")
    if above is not None:
        x = draft.add(x, draft.resize(above, x, f"up{stage}"), f"sum{stage}")
    x = draft.relu(x, f"relu{stage}")
    x = draft.conv(draft.depthwise(x, f"depthwise{stage}", kernel=3), f"pointwise{stage}", WIDTH)
    x = draft.relu(draft.batch_norm(x, f"norm{stage}"), f"out{stage}")
    logits = draft.conv(x, f"classifier{stage}", len(scenes.CLASSES), bias=True)
    draft.output(logits, f"aux{stage}" if stage else "logits")
    return x


def rendered(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images and labels of ``count`` scenes, which are rendered once."""
    path = folder / f"scenes-{count}.npz"
    if not path.exists():
        began = time.perf_counter()
        with ProcessPoolExecutor() as pool:
            pairs = list(pool.map(_scene, range(count), chunksize=50))
        images, labels = (np.stack(item) for item in zip(*pairs, strict=True))
        np.savez(path, images=images, labels=labels)
        print(f"{count} scenes rendered in {time.perf_counter() - began:.0f} s", flush=True)
    with np.load(path) as stored:
        return stored["images"], stored["labels"]


def _scene(number: int) -> tuple[np.ndarray, np.ndarray]:
    scene = scenes.render_scene((SEED, number))
    return scene["image"], scene["label"]


def batches(
    images: np.ndarray, labels: np.ndarray, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields an epoch's batches: every scene once, half of them mirrored."""
    rng = np.random.default_rng((SEED, epoch))
    order = rng.permutation(len(images))
    for first in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[first : first + BATCH]
        mirrored = rng.random(BATCH) < 0.5
        image, label = images[chosen], labels[chosen]
        image = np.where(mirrored[:, None, None, None], image[:, :, ::-1], image)
        label = np.where(mirrored[:, None, None], label[:, :, ::-1], label)
        yield (image / 127.5 - 1).astype(np.float32), label.astype(np.int32)


class Training:
    """The training of the pyramid, with its weights, optimiser and progress in checkpoints."""

    def __init__(self, folder: Path, alpha: float, epochs: int) -> None:
        blueprint = pyramid(alpha)
        self.parts = layouts(blueprint)
        weights = (BACKGROUND, *[1.0] * (len(scenes.CLASSES) - 1))
        self.task = Segmentation(len(scenes.CLASSES), class_weights=weights, background=0)
        recipe = Recipe(
            optimisers={part: ADAM for part in self.parts},
            normalising=frozenset(self.parts),
            momentum=0.97,
            auxiliary_weight=0.3,
            loss_at="logits",
        )
        state = from_arrays(self.parts, initial_arrays(blueprint, seed=SEED))
        self.learner = Learner(
            *(blueprint, self.task, {"train": recipe}, state, self.parts),
            precision=FLOAT32,
            seed=SEED,
        )
        self.network, self.epochs = Functional(blueprint, FLOAT32, self.parts), epochs
        self.done = tf.Variable(0, dtype=tf.int64)
        self.checkpoints = Checkpoints(folder, {**self.learner.tracked, "done": self.done})
        self.checkpoints.restore()

    def run(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Trains to the end; the first scenes are held out and scored."""
        held, steps = (images[:HELD_OUT], labels[:HELD_OUT]), (len(images) - HELD_OUT) // BATCH
        for epoch in range(int(self.done), self.epochs):
            began, losses = time.perf_counter(), []
            for step, batch in enumerate(batches(images[HELD_OUT:], labels[HELD_OUT:], epoch)):
                times = learning_rate_factor(SCHEDULE, epoch * steps + step, self.epochs * steps)
                rates = dict.fromkeys(self.parts, times * ADAM.learning_rate)
                losses.append(float(self.learner.step(*batch, rates)))
            self.done.assign_add(1)
            self.checkpoints.save(epoch + 1)
            print(
                f"epoch {epoch + 1}/{self.epochs}: loss {np.mean(losses):.4f}, held-out reward "
                f"{self.score(*held):.4f}, {time.perf_counter() - began:.0f} s",
                flush=True,
            )

    def score(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Returns the score on scenes that were not trained on."""
        metrics, state = self.task.metrics(), self.learner.state()
        for first in range(0, len(images), BATCH):
            image = (images[first : first + BATCH] / 127.5 - 1).astype(np.float32)
            outputs = self.network(image, state.trainable, state.statistics).outputs
            metrics.update(labels[first : first + BATCH], outputs, SIZE)
        return self.task.score(metrics.result())


def ship(training: Training, path: Path) -> None:
    """Writes the encoder alone as float16: a group per layer, its arrays in Keras's order."""
    arrays = to_arrays({"encoder": training.parts["encoder"]}, training.learner.state())
    with h5py.File(path, "w") as file:
        for layer in dict.fromkeys(layer for layer, _ in arrays):
            own = [arrays[layer, role] for role in get_args(Role) if (layer, role) in arrays]
            for number, array in enumerate(own):
                half = array.astype(np.float16)
                if not np.isfinite(half).all():
                    raise ValueError(f"{layer} has values that half precision cannot hold")
                file.create_dataset(f"{layer}/{number}", data=half, track_times=False)


def main() -> None:
    """Reads the command line, trains, and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--alpha", type=float, default=0.35)
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--ship", type=Path, help="The file to write at the end.")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    hardware.use_threads(None)
    images, labels = rendered(arguments.out, arguments.scenes)
    training = Training(arguments.out / "checkpoints", arguments.alpha, arguments.epochs)
    training.run(images, labels)
    if arguments.ship is not None:
        ship(training, arguments.ship)


if __name__ == "__main__":
    main()
