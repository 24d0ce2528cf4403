"""Which key a person meant who wrote one that is not there."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from msgspec import structs

from nas_tf.config.schema import Config, Section


def elsewhere(path: str, key: str) -> str:
    """A question that names where in a configuration such a key is, the nearest place first."""
    places = [place for place in _places(Config, "") if place.rpartition(".")[2] == key]
    if not places:
        return ""
    own = path.split(".")
    return f", did you mean {max(places, key=lambda place: _shared(own, place.split('.')))}?"


def section_of(hint: Any) -> type[Section] | None:
    """The section that a key may hold."""
    kinds = [one for one in (hint, *get_args(hint)) if isinstance(one, type)]
    return next((kind for kind in kinds if issubclass(kind, Section)), None)


def entries_of(hint: Any) -> type[Section] | None:
    """The section that each entry of a key holds."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return section_of(get_args(hint)[0]) if get_origin(hint) is tuple else None


def _places(section: type[Section], path: str) -> Iterator[str]:
    """Every key of a section and below it; of a list, those of its first entry."""
    for field in structs.fields(section):
        below = f"{path}.{field.name}" if path else field.name
        yield below
        if inner := section_of(field.type):
            yield from _places(inner, below)
        if inner := entries_of(field.type):
            yield from _places(inner, f"{below}.0")


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many keys two paths share from the top."""
    pairs = [a == b for a, b in zip(one, other, strict=False)]
    return pairs.index(False) if False in pairs else len(pairs)
