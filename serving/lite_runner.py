"""A TFLite model that answers images: for scores, for pictures, and for comparing runtimes."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import quiet
from nas_tf.errors import ConfigError, DataError
from serving import answers, lite_metadata


def runtimes() -> dict[str, ModuleType]:
    """TensorFlow's TFLite, and what followed it where that is installed (extra ``litert``)."""
    found: dict[str, ModuleType] = {"TensorFlow": tf.lite}
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        return found
    return found | {"LiteRT": interpreter}


def opened(content: bytes, *, threads: int, runtime: ModuleType | None = None) -> Any:
    """An interpreter that is ready to run a model; ValueError or RuntimeError where none can be.

    TensorFlow's own operations, some of which write files, would be run by Python's TFLite too:
    a model with any is refused. So is one that is damaged, which would end the process.
    """
    lite_metadata.check_complete(content)
    with quiet.converting():
        one = (runtime or tf.lite).Interpreter(model_content=content, num_threads=threads)
        names = [operation["op_name"] for operation in one._get_ops_details()]
        if flex := [name for name in names if name.startswith("Flex")]:
            raise ValueError(f"it holds {flex[0]}, expected operations of TFLite alone")
        one.allocate_tensors()
    return one


class LiteModel:
    """A model on so many threads; its outputs go by the names of its signature.

    Args:
        content: The model.
        threads: Of the interpreter.
        runtime: Whose interpreter, one of ``runtimes()``.
    """

    def __init__(
        self, content: bytes, *, threads: int = 1, runtime: ModuleType | None = None
    ) -> None:
        try:
            self._interpreter = opened(content, threads=threads, runtime=runtime)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"not a TFLite model that can be run here: {error}") from error
        (self._input,) = self._interpreter.get_input_details()
        self.size = tuple(int(side) for side in self._input["shape"][1:3])
        self._run = self._interpreter.get_signature_runner()

    @property
    def partitions(self) -> int:
        """In how many pieces XNNPACK runs it; one is best."""
        details = self._interpreter._get_ops_details()
        return sum(detail["op_name"] == "DELEGATE" for detail in details)

    @property
    def operations(self) -> list[str]:
        """Names of its operations in order, those of the delegate left out."""
        details = self._interpreter._get_ops_details()
        return [detail["op_name"] for detail in details if detail["op_name"] != "DELEGATE"]

    def __call__(self, images: np.ndarray) -> Mapping[str, Any]:
        """The answers to images as bytes [batch, height, width, 3], one after another.

        Where a model gives heatmaps alone, as in int8, joints are read from them here.
        """
        if images.dtype != np.uint8 or images.shape[1:] != (*self.size, 3):
            raise DataError(
                f"images are {images.dtype} of shape {images.shape[1:]}, expected uint8 of "
                f"{(*self.size, 3)}"
            )
        dtype = self._input["dtype"]
        each = [self._run(image=image[None].astype(dtype)) for image in images]
        found = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
        if found.keys() == {"heatmaps"}:
            found["keypoints"] = answers.joints(tf.constant(found["heatmaps"])).numpy()
        return found
