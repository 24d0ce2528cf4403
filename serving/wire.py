"""What both ways to an endpoint have in common: signatures, and the two kinds of refusal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nas_tf.errors import ServingError

Arrays = Mapping[str, np.ndarray]


class Busy(ServingError):
    """The endpoint did not answer this time; asking again may help."""


@dataclass(frozen=True)
class TensorShape:
    """Type and shape of an input or output; None where any length will do."""

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        return f"{self.dtype} [{sides}]"

    def takes(self, values: np.ndarray) -> bool:
        """Whether an array is of this type and shape."""
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
    """What a signature takes and gives, by name."""

    inputs: Mapping[str, TensorShape]
    outputs: Mapping[str, TensorShape]


class Wire(Protocol):
    """One way to an endpoint; safe to be used by several threads."""

    def signatures(self, timeout: float) -> dict[str, Signature]:
        """All signatures of the model."""

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> dict[str, np.ndarray]:
        """The answer to one request."""

    def close(self) -> None:
        """Lets go of connections."""


def shape_of(dims: Any) -> tuple[int | None, ...]:
    """A shape from the sizes of its sides, of which -1 is any."""
    return tuple(None if int(size) < 0 else int(size) for size in dims)
