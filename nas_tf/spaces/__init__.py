"""The search spaces, in plain Python: this room imports neither TensorFlow nor NumPy.

A space lists tokens; a token vector spells a genotype, from which ``nas_tf.networks`` builds the
blueprint that is counted, trained as a function of vectors, or made into a Keras model::

    token vector <-- encode / decode --> Genotype -- networks.blueprint_of --> Blueprint

=============  ================================================================================
file           content
=============  ================================================================================
``base``       ``SearchSpace``, the contract of every space; reading of brackets
               (``read_brackets``); the number of networks of a space (``distinct_networks``)
``auxcell``    decoders with auxiliary cells (CVPR 2019)
``template``   template decoders (WACV 2020)
``dpc``        dense prediction cells (NeurIPS 2018)
``published``  the genotypes of the papers, with their figures
``canonical``  canonical forms: one for all genotypes that build the same network
``describe``   descriptions of genotypes in words
=============  ================================================================================
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nas_tf.errors import GenotypeError, did_you_mean
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
    """Returns the search space of that name, at the paper's size."""
    if name not in SPACES:
        raise GenotypeError(f"space {name!r} is unknown, expected one of {', '.join(SPACES)}")
    return SPACES[name]()


def resolve(given: str | Genotype | Sequence[Any], space: str | None = None) -> Genotype:
    """Returns the genotype of a published name or of brackets; returns a genotype unchanged.

    Brackets may be a text or lists of integers. Their space is found by their shape unless
    ``space`` names it; a ``GenotypeError`` is raised if it is another one.
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
            f"one of {', '.join(PUBLISHED)}{did_you_mean(text, PUBLISHED)}"
        )
    brackets = base.read_brackets(text)
    return get(space or _space_of(brackets)).parse(brackets)


def _space_of(brackets: list[object]) -> str:
    """Returns the space of brackets by their shape: two parts, with a cell or not, or branches."""
    cell_first = any(
        isinstance(part, list) and part and not isinstance(part[0], list) for part in brackets
    )
    nested = any(isinstance(p, list) and p and isinstance(p[0], list) for p in brackets)
    if len(brackets) != 2 or not nested:
        return "dpc"
    return "auxcell" if cell_first else "template"
