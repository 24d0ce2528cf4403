"""Keys that hold a name, or a section of the name and its arguments: the space and the oracle."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal

from msgspec import defstruct, structs

from nas_tf.config.oracles import ORACLES, OracleSection
from nas_tf.config.schema import Config, OracleKey, SpaceKey
from nas_tf.config.section import Named
from nas_tf.spaces import SPACES, SearchSpace
from nas_tf.spaces.base import argument_types


class Space(Named):
    """A space with arguments; ``section_of_space`` adds those of each space as keys."""


BASES: Mapping[Any, type[Named]] = {SpaceKey: Space, OracleKey: OracleSection}
"""The types of the keys that hold names, and the bases of their sections."""


@cache
def section_of_space(space: type[SearchSpace]) -> type[Space]:
    """Returns the section type of a space, whose keys are those of its constructor."""
    types = argument_types(space)
    arguments = [(field.name, types[field.name], field.default) for field in fields(space)]
    name = ("name", Literal[space.name], space.name)
    return defstruct(space.__name__, [name, *arguments], bases=(Space,), kw_only=True)


def sections(base: type[Named]) -> Mapping[str, type[Named]]:
    """Returns the section types of a key by the names that they belong to."""
    if base is OracleSection:
        return ORACLES
    return {name: section_of_space(SPACES[name]) for name in sorted(SPACES)}


def with_plain_oracle(config: Config) -> Config:
    """Returns the configuration with its oracle as a name, or with the arguments that are set."""
    if not isinstance(config.search.oracle, Named):
        return config
    given = structs.asdict(config.search.oracle)
    arguments = {name: value for name, value in given.items() if value is not None}
    oracle = arguments if len(arguments) > 1 else config.search.oracle.name
    return structs.replace(config, search=structs.replace(config.search, oracle=oracle))
