"""Error texts: the values that a key accepts, and the key that was probably meant."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from msgspec import structs

from nas_tf.accepted import accepted as accepted_by_type
from nas_tf.accepted import one_of
from nas_tf.config.named_sections import BASES, sections
from nas_tf.config.schema import Config, Section
from nas_tf.config.section import Named


def elsewhere(path: str, key: str) -> str:
    """Returns a question that names the nearest place in a configuration with such a key."""
    given = f"{path}.{key}"  # which may be a key of another space
    places = [
        place
        for place in _places(Config, "")
        if place.rpartition(".")[2] == key and place != given
    ]
    if not places:
        return ""
    own = path.split(".")
    return f", did you mean {max(places, key=lambda place: _shared(own, place.split('.')))}?"


def section_of(hint: Any) -> type[Section] | None:
    """Returns the section type that a key may hold, if any."""
    if hint in BASES:
        return BASES[hint]
    if get_origin(hint) is tuple:
        return None
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, Section)), None)


def entries_of(hint: Any) -> type[Section] | None:
    """Returns the section type of the entries of a list, if any."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return section_of(get_args(hint)[0]) if get_origin(hint) is tuple else None


def accepted(hint: Any) -> str:
    """Describes the values that a key accepts."""
    return one_of(list(sections(BASES[hint]))) if hint in BASES else accepted_by_type(hint)


def _places(section: type[Section], path: str) -> Iterator[str]:
    """Yields every key of a section and below it; for a list, those of its first entry."""
    for field in structs.fields(section):
        below = f"{path}.{field.name}" if path else field.name
        yield below
        inner = section_of(field.type)
        if inner is not None and issubclass(inner, Named):
            kinds = list(sections(inner).values())
        else:
            kinds = [] if inner is None else [inner]
        for kind in kinds:
            yield from _places(kind, below)
        if inner := entries_of(field.type):
            yield from _places(inner, f"{below}.0")


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """Returns the number of keys that two paths share from the top."""
    pairs = [a == b for a, b in zip(first, second, strict=False)]
    return pairs.index(False) if False in pairs else len(pairs)
