"""A small network and batch that learn in milliseconds."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from nas_tf import networks
from nas_tf.config.schema import Optimiser
from nas_tf.genotype import Genotype
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import FLOAT32, Precision
from nas_tf.networks.state import State, from_arrays, initial_arrays
from nas_tf.tasks import Segmentation, Task
from nas_tf.training.learner import Learner, Recipe
from tests.training.evaluated import SIMPLE

SIZE, CLASSES, BATCH = (64, 64), 4, 4
SGD = Optimiser(kind="sgd", learning_rate=0.1, weight_decay=0.0, clip=None)
ADAM = Optimiser(kind="adam", learning_rate=0.01, weight_decay=0.0, clip=None, epsilon=1e-3)
RATES = {"encoder": 0.1, "decoder": 0.01}


def settings(auxiliary: str = "cell") -> networks.Settings:
    return networks.settings.search("auxcell", width=8, alpha=0.35, auxiliary=auxiliary)


def drawn(auxiliary: str = "cell", genotype: Genotype = SIMPLE) -> Blueprint:
    return networks.blueprint_of(genotype, CLASSES, input_size=SIZE, settings=settings(auxiliary))


def recipe(**changes) -> Recipe:
    parts = {"encoder": SGD, "decoder": ADAM}
    return Recipe(**{"optimisers": parts, "normalising": frozenset(parts), **changes})


def learner(
    blueprint: Blueprint | None = None,
    task: Task | None = None,
    recipes: Mapping[str, Recipe] | None = None,
    state: State | None = None,
    precision: Precision = FLOAT32,
    **changes,
) -> Learner:
    blueprint = blueprint or drawn()
    parts = layouts(blueprint)
    return Learner(
        blueprint,
        task or Segmentation(CLASSES),
        recipes or {"train": recipe(**changes)},
        state or from_arrays(parts, initial_arrays(blueprint, seed=1)),
        parts,
        precision=precision,
    )


def batch(seed: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(seed)
    images = tf.constant(rng.uniform(-1, 1, (BATCH, *SIZE, 3)).astype(np.float32))
    return images, tf.constant(rng.integers(0, CLASSES, (BATCH, *SIZE)).astype(np.int32))
