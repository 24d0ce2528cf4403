"""What can be searched. Plain Python: no TensorFlow is imported by this room.

``base`` holds the contract, one file per space the space itself, ``published`` the genotypes of
the papers, ``canonical`` and ``census`` the identity of networks, ``describe`` words.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nas_tf.errors import GenotypeError, meant
from nas_tf.genotype import Genotype
from nas_tf.spaces import base
from nas_tf.spaces.auxcell import AuxCellSpace
from nas_tf.spaces.base import SearchSpace, Token, distinct_networks
from nas_tf.spaces.describe import describe
from nas_tf.spaces.dpc import DPCSpace
from nas_tf.spaces.published import PUBLISHED, Published
from nas_tf.spaces.template import TemplateSpace

__all__ = [
    "PUBLISHED",
    "SPACES",
    "AuxCellSpace",
    "DPCSpace",
    "Published",
    "SearchSpace",
    "TemplateSpace",
    "Token",
    "describe",
    "distinct_networks",
    "get",
    "resolve",
]

SPACES: Mapping[str, type[SearchSpace]] = {
    space.name: space for space in (AuxCellSpace, TemplateSpace, DPCSpace)
}


def get(name: str) -> SearchSpace:
    """The search space of that name, at the paper's size."""
    if name not in SPACES:
        raise GenotypeError(f"space {name!r} is unknown, expected one of {', '.join(SPACES)}")
    return SPACES[name]()


def resolve(given: str | Genotype | Sequence[Any], space: str | None = None) -> Genotype:
    """Finds the genotype that a person means: a published name, or brackets of some space.

    Brackets may be a text or lists of integers; a genotype is given back.
    """
    if isinstance(given, Genotype):
        if space not in (None, given.space):
            raise GenotypeError(f"{given} belongs to space {given.space}, not to {space}")
        return given
    if not isinstance(given, (str, list, tuple)):
        raise GenotypeError(
            f"genotype is {given!r:.40}, expected a published name, brackets or a Genotype"
        )
    text = str(given).strip()
    if text in PUBLISHED:
        genotype = PUBLISHED[text].genotype
        if space is not None and space != genotype.space:
            raise GenotypeError(f"{text} belongs to space {genotype.space}, not to {space}")
        return genotype
    if not text.startswith(("[", "(")):
        raise GenotypeError(
            f"genotype {text[:40]!r} is neither a bracketed list nor a published name, expected "
            f"one of {', '.join(PUBLISHED)}{meant(text, PUBLISHED)}"
        )
    brackets = base.read_brackets(text)
    return get(space or _space_of(brackets)).parse(brackets)


def _space_of(brackets: list[object]) -> str:
    """Tells the spaces apart by their shape: two parts with a cell, two without, or branches."""
    cell_first = any(
        isinstance(part, list) and part and not isinstance(part[0], list) for part in brackets
    )
    nested = any(isinstance(p, list) and p and isinstance(p[0], list) for p in brackets)
    if len(brackets) != 2 or not nested:
        return "dpc"
    return "auxcell" if cell_first else "template"
