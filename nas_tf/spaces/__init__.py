"""The search spaces, in plain Python: this room imports neither TensorFlow nor NumPy.

A space lists tokens; a token vector spells a genotype, from which ``nas_tf.networks`` builds the
blueprint that is counted, trained as a function of vectors, or made into a Keras model::

    token vector <-- encode / decode --> Genotype -- networks.blueprint_of --> Blueprint

===============  ==============================================================================
file             content
===============  ==============================================================================
``base``         ``SearchSpace``, the contract of every space; reading of brackets
                 (``read_brackets``); the number of networks of a space (``distinct_networks``)
``auxcell``      decoders with auxiliary cells (CVPR 2019)
``template``     template decoders (WACV 2020)
``dpc``          dense prediction cells (NeurIPS 2018)
``fcos``         pyramids and heads of detectors (NAS-FCOS, CVPR 2020)
``restoration``  cells and widths of image restoration (IR-NAS, CVPR 2020)
``baseline``     decoders designed by hand, to compare with
``derivation``   cells and paths that are read off a super-net
``published``    the genotypes of the papers, with their figures
``canonical``    canonical forms: one for all genotypes that build the same network
``wording``      names of layers in descriptions
===============  ==============================================================================
"""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from nas_tf.errors import GenotypeError, did_you_mean
from nas_tf.genotype import Genotype
from nas_tf.spaces import base
from nas_tf.spaces.auxcell import AuxCellSpace
from nas_tf.spaces.base import SearchSpace, Token, distinct_networks
from nas_tf.spaces.baseline import BaselineSpace
from nas_tf.spaces.dpc import DPCSpace
from nas_tf.spaces.fcos import FcosSpace
from nas_tf.spaces.published import PUBLISHED, Published, example
from nas_tf.spaces.restoration import RestorationSpace
from nas_tf.spaces.template import TemplateSpace

__all__ = [
    "PUBLISHED",
    "SPACES",
    "AuxCellSpace",
    "BaselineSpace",
    "DPCSpace",
    "FcosSpace",
    "Published",
    "RestorationSpace",
    "SearchSpace",
    "TemplateSpace",
    "Token",
    "describe",
    "distinct_networks",
    "example",
    "get",
    "register",
    "resolve",
    "space_of",
]

SPACES: dict[str, type[SearchSpace]] = {}
"""The spaces by their names."""


def register(space: type[SearchSpace]) -> type[SearchSpace]:
    """Adds a space to those that have a name, and returns it: a decorator of its class."""
    SPACES[space.name] = space
    return space


for _space in (
    AuxCellSpace,
    TemplateSpace,
    DPCSpace,
    FcosSpace,
    RestorationSpace,
    BaselineSpace,
):
    register(_space)


def get(space: str | Mapping[str, Any] | SearchSpace) -> SearchSpace:
    """Returns a space: by its name at the paper's size, or by a section with its arguments.

    ::

        get("auxcell"), get({"name": "auxcell", "blocks": 4})
    """
    if isinstance(space, SearchSpace):
        return space
    arguments = dict(space) if isinstance(space, Mapping) else {"name": space}
    name = arguments.pop("name", None)
    if not isinstance(name, str) or name not in SPACES:
        raise GenotypeError(f"space {name!r} is unknown, expected one of {', '.join(SPACES)}")
    accepted = base.argument_types(SPACES[name])
    for key in arguments:
        if key not in accepted:
            keys = f"expected {' or '.join(accepted)}" if accepted else "expected the name alone"
            raise GenotypeError(f"space {name} has no argument {key!r}, {keys}")
    for key in SPACES[name].fixed_parts:
        if arguments.get(key) in PUBLISHED:
            arguments[key] = str(_member(PUBLISHED[arguments[key]].genotype, arguments[key], name))
    return SPACES[name](**arguments)


def space_of(genotype: Genotype) -> SearchSpace:
    """Returns the space of a genotype, of the size that its brackets show."""
    return type(get(genotype.space)).of_size(genotype.parts)


def describe(genotype: Genotype) -> str:
    """Describes line by line which layers the genotype joins and with which operations."""
    return "\n".join(space_of(genotype).describe(genotype))


def resolve(
    given: str | Genotype | Sequence[Any],
    space: str | Mapping[str, Any] | SearchSpace | None = None,
) -> Genotype:
    """Returns the genotype of a published name or of brackets; returns a genotype unchanged.

    Brackets may be a text or lists of integers. Their space and its size are found by their shape
    unless ``space`` names them; a ``GenotypeError`` is raised if they are others.
    """
    if isinstance(given, Genotype):
        return _member(given, str(given), space)
    if not isinstance(given, (str, list, tuple)):
        raise GenotypeError(
            f"genotype is {given!r:.40}, expected a published name, brackets or a Genotype"
        )
    text = str(given).strip()
    if text in PUBLISHED:
        return _member(PUBLISHED[text].genotype, text, space)
    if not text.startswith(("[", "(")):
        raise GenotypeError(
            f"genotype {text[:40]!r} is neither a bracketed list nor a published name, expected "
            f"one of {', '.join(PUBLISHED)}{did_you_mean(text, PUBLISHED)}"
        )
    brackets = base.read_brackets(text)
    return (_recognised(brackets) if space is None else get(space)).parse(brackets)


def _member(genotype: Genotype, name: str, space: Any) -> Genotype:
    """Returns the genotype; raises ``GenotypeError`` if a space is given that has it not."""
    if space is not None:
        expected = get(space)
        if expected.name != genotype.space:
            raise GenotypeError(f"{name} belongs to space {genotype.space}, not to {expected}")
        expected.check_size(genotype.parts)
    return genotype


def _recognised(brackets: list[Any]) -> SearchSpace:
    """Returns the first space that recognises the shape of brackets, in their size."""
    for space in SPACES.values():
        if space.arguments_of(brackets) is not None:
            return space.of_size(brackets)
    raise GenotypeError(
        f"genotype {reprlib.repr(brackets)} has the shape of no space, expected brackets of "
        f"{', '.join(SPACES)}"
    )
