"""Types that both wires to an endpoint share: signatures, and the error that is worth a retry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nas_tf.errors import ServingError

Arrays = Mapping[str, np.ndarray]


class Busy(ServingError):
    """The endpoint did not answer this time; a retry may help."""


@dataclass(frozen=True)
class TensorShape:
    """Type and shape of an input or output; None stands for any length."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        return f"{self.dtype} [{sides}]"

    def takes(self, values: np.ndarray) -> bool:
        """Returns whether an array is of this type and shape."""
        kind = "string" if values.dtype == object else values.dtype.name
        return (
            kind == self.dtype
            and values.ndim == len(self.shape)
            and all(
                wanted in (None, side)
                for wanted, side in zip(self.shape, values.shape, strict=True)
            )
        )


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs of a signature, by name."""

    inputs: Mapping[str, TensorShape]
    outputs: Mapping[str, TensorShape]


class Wire(Protocol):
    """A protocol to an endpoint; several threads may share a wire."""

    def signatures(self, timeout: float) -> dict[str, Signature]:
        """Returns all signatures of the model."""

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> dict[str, np.ndarray]:
        """Returns the answer to one request."""

    def close(self) -> None:
        """Closes the connections."""


def shape_of(dims: Any) -> tuple[int | None, ...]:
    """Returns a shape from the sizes of its sides, of which -1 stands for any."""
    return tuple(None if int(size) < 0 else int(size) for size in dims)
