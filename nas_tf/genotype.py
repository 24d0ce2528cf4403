"""The genotype: the one value that search, networks, training, runs and reports share."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from nas_tf.errors import GenotypeError

Parts: TypeAlias = "tuple[int | Parts, ...]"


@dataclass(frozen=True, slots=True, order=True)
class Genotype:
    """A network as its search space writes it: nested tuples of integers, in the paper's order.

    Args:
        space: Name of the search space that reads the parts, such as ``auxcell``.
        parts: The paper's brackets as tuples.
    """

    space: str
    parts: Parts

    @classmethod
    def of(cls, space: str, brackets: Sequence[Any]) -> "Genotype":
        """Freezes nested lists of integers into a genotype."""
        return cls(space, _freeze(brackets))

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Reads what ``to_json`` wrote."""
        try:
            record = json.loads(text)
            return cls.of(record["space"], record["genotype"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise GenotypeError(
                f"{text[:60]!r} is not a genotype record, expected "
                '{"space": name, "genotype": [...]}'
            ) from error

    def to_json(self) -> str:
        """One line that names the space, for run directories and artefacts."""
        return json.dumps({"space": self.space, "genotype": self.parts}, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this genotype in file names."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return json.dumps(self.parts, separators=(",", ":"))


def _freeze(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_freeze(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise GenotypeError(f"{value!r} in a genotype, expected integers and lists of them")
