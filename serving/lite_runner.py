"""Runs TFLite models on images: for scores, for pictures, and to compare runtimes."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import quiet, tasks
from nas_tf.errors import ConfigError, DataError
from serving import lite_metadata


def runtimes() -> dict[str, ModuleType]:
    """Returns TensorFlow's TFLite and, where the extra ``litert`` is installed, its successor."""
    found: dict[str, ModuleType] = {"TensorFlow": tf.lite}
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        return found
    return found | {"LiteRT": interpreter}


def opened(content: bytes, *, threads: int, runtime: ModuleType | None = None) -> Any:
    """Returns an interpreter that is ready to run a model; raises ValueError or RuntimeError.

    Models with TensorFlow's own operations are refused: Python's TFLite would run them, and some
    write files. So are damaged models, which would end the process.
    """
    lite_metadata.check_complete(content)
    with quiet.converting():
        interpreter = (runtime or tf.lite).Interpreter(model_content=content, num_threads=threads)
        names = [operation["op_name"] for operation in interpreter._get_ops_details()]
        if flex := [name for name in names if name.startswith("Flex")]:
            raise ValueError(f"it holds {flex[0]}, expected only operations of TFLite itself")
        interpreter.allocate_tensors()
    return interpreter


class LiteModel:
    """A TFLite model that answers images, with outputs by the names of its signature.

    Threads must not share a model: its interpreter holds the buffers of one call::

        model = LiteModel(Path("street-int8.tflite").read_bytes(), threads=2)
        mask = model(images)["mask"]

    Args:
        content: The content of the model file.
        threads: The number of threads of the interpreter.
        runtime: The module with the interpreter, one of ``runtimes()``.
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
        about = lite_metadata.attached_to(content)
        self._task, self._any_size = tasks.of_model(about), _takes_any_size(about)

    @property
    def partitions(self) -> int:
        """The number of pieces in which XNNPACK runs the model; one is best."""
        details = self._interpreter._get_ops_details()
        return sum(detail["op_name"] == "DELEGATE" for detail in details)

    @property
    def operations(self) -> list[str]:
        """The names of its operations in order, without those of the delegate."""
        details = self._interpreter._get_ops_details()
        return [detail["op_name"] for detail in details if detail["op_name"] != "DELEGATE"]

    def __call__(self, images: np.ndarray) -> Mapping[str, Any]:
        """Returns the answers to uint8 images [batch, height, width, 3], run one after another.

        If the model returns an undecoded answer, such as heatmaps, its task decodes it here. A
        model whose layers all have the size of its image takes images of other sizes, too.
        """
        wanted = (*(images.shape[1:3] if self._any_size else self.size), 3)
        if images.dtype != np.uint8 or images.shape[1:] != wanted:
            raise DataError(
                f"images are {images.dtype} of shape {images.shape[1:]}, expected uint8 of "
                f"{(*self.size, 3)}"
            )
        dtype = self._input["dtype"]
        single = [self._run(image=image[None].astype(dtype)) for image in images]
        batched = {name: np.concatenate([answer[name] for answer in single]) for name in single[0]}
        return batched if self._task is None else self._task.decoded(batched)


def _takes_any_size(about: Mapping[str, Any]) -> bool:
    given = about.get("input", {})
    return isinstance(given, Mapping) and bool(given.get("any_size"))
