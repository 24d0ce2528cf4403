"""Loads the teacher whose logits a candidate learns to imitate (CVPR 2019, section 3.3)."""

import hashlib
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from nas_tf.errors import ConfigError, WeightsError
from nas_tf.networks.model_files import read_graph, read_model
from nas_tf.sizes import Size
from nas_tf.tasks import DenseTask, Task


def load_teacher(path: Path, task: Task, crop: Size) -> keras.Model:
    """Loads a Keras model or SavedModel and traces it at the crop, before any compute is spent.

    Its input is images in [-1, 1]; its output is logits, or a dictionary with ``logits``.
    """
    if not isinstance(task, DenseTask):
        raise ConfigError(
            f"teacher is {path}, and a network of {task.name} can learn from none, expected null"
        )
    if not path.exists():
        raise WeightsError(
            f"teacher {path}: no such file, expected a Keras model or SavedModel; "
            "nas-tf train-teacher makes one"
        )
    try:
        model = _read(path, crop)
    except WeightsError as error:
        raise WeightsError(f"teacher {error}") from error
    except Exception as error:
        reason = str(error).split("\n")[0][:200]
        raise WeightsError(
            f"teacher {path}: not a Keras model or SavedModel ({reason})"
        ) from error
    logits = _logits_shape(model, path, crop)
    if logits.rank != 4 or logits[-1] != task.channels:
        raise WeightsError(
            f"teacher {path} has {logits[-1]} outputs, expected {task.channels} "
            f"as the {task.name} task has"
        )
    return model


def _read(path: Path, crop: Size) -> keras.Model:
    """Reads a Keras file, or a SavedModel by its serving signature."""
    if path.is_file():
        return read_model(path)
    image = keras.Input((*crop, 3))
    return keras.Model(image, SavedModelLogits(path)(image))


class SavedModelLogits(keras.layers.Layer):
    """A layer that calls a SavedModel's serving signature; its configuration names the content."""

    def __init__(self, path: Path) -> None:
        super().__init__(trainable=False)
        self._loaded = read_graph(path)
        self._serve = self._loaded.signatures["serving_default"]
        digest = hashlib.sha256()
        for file in sorted(entry for entry in path.rglob("*") if entry.is_file()):
            digest.update(file.read_bytes())
        self._digest = digest.hexdigest()

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the output ``logits``, or the only output if there is no other."""
        (name,) = self._serve.structured_input_signature[1]
        outputs = self._serve(**{name: images})
        return outputs["logits"] if len(outputs) > 1 else next(iter(outputs.values()))

    def get_config(self) -> dict[str, Any]:
        """Returns a configuration with the digest of the files, which identifies a teacher."""
        return {**super().get_config(), "digest": self._digest}


def _logits_shape(model: keras.Model, path: Path, crop: Size) -> tf.TensorShape:
    """Returns the shape of the logits at the crop, which tracing alone yields."""
    try:
        traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(
            tf.TensorSpec((1, *crop, 3), tf.float32)
        )
    except Exception as error:
        height, width = crop
        raise WeightsError(
            f"teacher {path} does not take images of {height}x{width}, "
            f"expected a model for that size or for any; it takes {model.input_shape}"
        ) from error
    outputs = traced.structured_outputs
    return (outputs["logits"] if isinstance(outputs, dict) else outputs).shape
