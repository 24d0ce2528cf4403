"""The genotype: the value that search, networks, training, runs and reports share."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from nas_tf.errors import GenotypeError

Parts: TypeAlias = "tuple[int | Parts, ...]"


@dataclass(frozen=True, slots=True, order=True)
class Genotype:
    """A network in the notation of its search space: nested tuples of integers, as in the paper.

    It is immutable and hashable::

        genotype = Genotype.of("auxcell", [[[0, 3], [2, 3]], [2, [0, 1, 9, 9]]])
        assert Genotype.from_json(genotype.to_json()) == genotype

    Args:
        space: Name of the search space that interprets the parts, such as ``auxcell``.
        parts: The paper's brackets as tuples.
    """

    space: str
    parts: Parts

    @classmethod
    def of(cls, space: str, brackets: Sequence[Any]) -> "Genotype":
        """Returns the genotype of nested lists of integers."""
        return cls(space, _freeze(brackets))

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Parses the text that ``to_json`` returned."""
        try:
            record = json.loads(text)
            return cls.of(record["space"], record["genotype"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise GenotypeError(
                f"{text[:60]!r} is not a genotype record, expected "
                '{"space": name, "genotype": [...]}'
            ) from error

    def to_json(self) -> str:
        """Returns a line with the space and the parts, for run folders and artefacts."""
        return json.dumps({"space": self.space, "genotype": self.parts}, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that identify this genotype in file names."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return json.dumps(self.parts, separators=(",", ":"))


def _freeze(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_freeze(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise GenotypeError(f"{value!r} in a genotype, expected integers and lists of them")
