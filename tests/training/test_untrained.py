"""Scores without training: each equals that computed on the Keras model of the decoder."""

import math
import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from nas_tf import networks, spaces
from nas_tf.genotype import Genotype
from nas_tf.networks import cost
from nas_tf.networks.arrays import layouts
from nas_tf.networks.draft import Draft
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import fill_model, from_arrays, initial_arrays
from nas_tf.training import from_config, untrained
from nas_tf.training.untrained import SCORES, Untrained
from tests.training.evaluated import SIMPLE, SPACE, evaluator, experiment

GENOTYPES = [SIMPLE, spaces.get(SPACE).sample(random.Random(3))]
SEED = 4


@pytest.fixture(scope="module")
def owner() -> Untrained:
    two_stage = evaluator(experiment())
    return Untrained(two_stage.config, two_stage.shared)


def blueprint(owner: Untrained, genotype: Genotype) -> networks.Blueprint:
    return from_config.blueprint_builder(owner.config, genotype, "search")((64, 64))


def model_of(owner: Untrained, genotype: Genotype) -> keras.Model:
    """Returns the Keras model of what stage one trains, at its initial weights."""
    decoder = blueprint(owner, genotype).decoder(owner.shared.taps)
    model = realise(decoder, name="decoder")
    fill_model(model, initial_arrays(decoder, seed=SEED))
    return model


def outputs_of(model: keras.Model, taps: dict[str, tf.Tensor], *, training: bool) -> list:
    read = {name: tf.cast(taps[name], tf.float32) for name in model.input_names}
    result = model(read if len(read) > 1 else next(iter(read.values())), training=training)
    return list(result.values()) if isinstance(result, dict) else [result]


@pytest.mark.parametrize("genotype", GENOTYPES, ids=["simple", "random"])
def test_the_gradient_norm_is_that_of_the_keras_model(
    owner: Untrained, genotype: Genotype
) -> None:
    model = model_of(owner, genotype)
    with tf.GradientTape() as tape:
        (logits,) = outputs_of(model, owner.batch, training=True)[:1]
        loss = owner.shared.task.loss(owner.batch["target"], {"logits": logits})
    gradients = tape.gradient(loss, model.trainable_weights, unconnected_gradients="zero")
    expected = math.sqrt(sum(float(tf.reduce_sum(each**2)) for each in gradients))
    assert owner.score("gradient norm", genotype, seed=SEED) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("genotype", GENOTYPES, ids=["simple", "random"])
def test_the_synaptic_flow_is_that_of_the_keras_model(
    owner: Untrained, genotype: Genotype
) -> None:
    model = model_of(owner, genotype)
    for weight in model.trainable_weights:
        weight.assign(tf.abs(weight))
    ones = {name: tf.fill(tf.shape(owner.batch[name][:1]), 1e-20) for name in model.input_names}
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(outputs_of(model, ones, training=False)[0])
    gradients = tape.gradient(total, model.trainable_weights, unconnected_gradients="zero")
    flow = sum(
        float(np.sum(np.float64(weight) * np.float64(gradient)))
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
    )
    score = owner.score("synaptic flow", genotype, seed=SEED)
    assert score == pytest.approx(math.log(flow), abs=1e-3)


@pytest.mark.parametrize("genotype", GENOTYPES, ids=["simple", "random"])
def test_activation_patterns_are_those_of_the_keras_model(
    owner: Untrained, genotype: Genotype
) -> None:
    model = model_of(owner, genotype)
    main = {layer.name for layer in blueprint(owner, genotype).live().layers}
    rectifiers = [layer for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    seen = [layer.input for layer in rectifiers if layer.name in main]
    assert seen
    inner = keras.Model(model.input, seen)
    read = [tf.cast(owner.batch[name], tf.float32) for name in inner.input_names]
    values = inner(read if len(read) > 1 else read[0], training=True)
    codes = [np.reshape(each, (32, -1)) > 0 for each in (values if len(seen) > 1 else [values])]
    code = np.concatenate(codes, axis=1).astype(np.float64)
    expected = np.linalg.slogdet(code @ code.T + (1 - code) @ (1 - code.T))[1]
    score = owner.score("activation patterns", genotype, seed=SEED)
    assert score == pytest.approx(expected, rel=1e-3)


def test_costs_are_those_of_the_network_that_ships(owner: Untrained) -> None:
    counted = cost(blueprint(owner, SIMPLE).deployed())
    assert owner.score("parameters", SIMPLE) == counted.params
    assert owner.score("multiply-adds", SIMPLE) == counted.madds


def test_scores_depend_on_the_seed_of_the_weights_alone(owner: Untrained) -> None:
    for name in SCORES.keys() - {"parameters", "multiply-adds"}:
        fresh = Untrained(owner.config, owner.shared)
        assert fresh.score(name, SIMPLE, seed=1) == pytest.approx(
            owner.score(name, SIMPLE, seed=1)
        )
        first, again, other = (owner.score(name, SIMPLE, seed=seed) for seed in (1, 1, 2))
        assert first == pytest.approx(again)
        assert first != other
        assert math.isfinite(first)


def test_a_network_without_rectifiers_has_no_activation_patterns() -> None:
    draft = Draft((8, 8))
    draft.output(draft.conv(draft.image(), "conv", 4, kernel=1), "logits")
    linear = draft.finish()
    state = from_arrays(layouts(linear), initial_arrays(linear, seed=1))
    owner: Any = SimpleNamespace(decoder=lambda *_: (linear, state), batch={})
    assert untrained.activation_patterns(owner, linear, 1) == -math.inf
