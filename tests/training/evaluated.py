"""A small configuration on the embedded data set, quick enough for many candidates."""

import functools
import json
from pathlib import Path
from typing import Any

import msgspec
import tensorflow as tf

from nas_tf import networks, spaces
from nas_tf.config.schema import Config, Gate, Limits, Optimiser
from nas_tf.data import pipeline
from nas_tf.data.examples import Examples
from nas_tf.data.presets import preset
from nas_tf.runs import TrialRecord
from nas_tf.training import gate
from nas_tf.training.shared_data import SharedData
from nas_tf.training.task_settings import task_of
from nas_tf.training.two_stage import TwoStage

# A sixth of the layers of a published network, for tests of training rather than of networks.
SPACE = {"name": "auxcell", "blocks": 1, "branches": 1}
SIMPLE = spaces.get(SPACE).parse([[[0, 3]], [2, [0, 1, 9, 9]]])

SMALL = {
    "space": SPACE,
    "data": {"name": "shapes", "meta_val_share": 0.1},
    "network": {"width": 8, "alpha": 0.35, "weights": None},
    "stage_one": {"epochs": 1, "views": 1, "batch": 32, "crop": [64, 64]},
    "stage_two": {"epochs": 1, "batch": 32},
    "precision": "float32",
}


def experiment(**changes: Any) -> Config:
    """Returns the small configuration with sections changed key by key."""
    content = json.loads(json.dumps(SMALL))
    for key, value in changes.items():
        if key != "space" and isinstance(value, dict) and isinstance(content.get(key), dict):
            content[key] |= value
        else:
            content[key] = value
    return msgspec.convert(content, Config)


@functools.cache
def _shared(text: str) -> SharedData:
    return SharedData(msgspec.json.decode(text, type=Config))


def evaluator(config: Config) -> TwoStage:
    """Returns an evaluator; configurations with equal shared data use the same instance."""
    key = msgspec.structs.replace(
        config,
        gate=Gate(),
        limits=Limits(),
        stage_one=msgspec.structs.replace(config.stage_one, decoder=Optimiser()),
    )
    return TwoStage(config, _shared(msgspec.json.encode(key).decode()))


def evaluate(genotype: Any, config: Config | None = None, **options: Any) -> TrialRecord:
    two_stage = evaluator(config or experiment())
    return two_stage.evaluate(genotype, gate.make(two_stage.config.gate, 1), **options)


def calibrated_encoder(path: Path, alpha: float = 0.35) -> Path:
    """Writes weights of a random encoder whose statistics were measured on data.

    Pre-trained ones are not available everywhere; on random features a decoder learns well enough.
    """
    tf.keras.utils.set_random_seed(3)
    model = networks.encoder(alpha=alpha)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.0
    examples, view = Examples("shapes", "train"), preset("shapes", "stage_one")
    spec = task_of(examples.info).target
    images, _ = next(iter(pipeline.training(examples, spec, view, batch=64, seed=1)))
    model(images, training=True)
    model.save_weights(path)
    return path
