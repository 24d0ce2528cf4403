"""The key ``space`` of a configuration as a section: a space's name and its arguments."""

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Literal

from msgspec import defstruct

from nas_tf.config.schema import Section
from nas_tf.spaces import SPACES, SearchSpace
from nas_tf.spaces.base import argument_types


class Space(Section):
    """A space with arguments; ``section_of_space`` adds those of each space as keys."""

    name: str


@cache
def section_of_space(space: type[SearchSpace]) -> type[Space]:
    """Returns the section type of a space, whose keys are those of its constructor."""
    types = argument_types(space)
    arguments = [(field.name, types[field.name], field.default) for field in fields(space)]
    name = ("name", Literal[space.name], space.name)
    return defstruct(space.__name__, [name, *arguments], bases=(Space,), kw_only=True)


def sections() -> Iterator[type[Space]]:
    """Yields the section type of every space."""
    return map(section_of_space, SPACES.values())
