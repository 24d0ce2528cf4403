"""Weights of one trained network as the start of another: the papers' transfer to other tasks."""

from collections.abc import Callable
from pathlib import Path

from nas_tf.errors import WeightsError
from nas_tf.networks.model_files import read_model
from nas_tf.networks.state import Arrays, arrays_of_model


def start_from(path: Path) -> Callable[[Arrays], Arrays]:
    """Replaces all weights of the same place and shape by those of a Keras model in a file."""
    try:
        found = arrays_of_model(read_model(path))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a Keras model: {error}") from error

    def taken_over(arrays: Arrays) -> Arrays:
        fitting = {
            key: found[key]
            for key, value in arrays.items()
            if key in found and found[key].shape == value.shape
        }
        if not any(layer.startswith(("block", "branch")) for layer, _ in fitting):
            raise WeightsError(f"{path} is of another network: none of its decoder's weights fit")
        return arrays | fitting

    return taken_over
