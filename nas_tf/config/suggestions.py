"""Error texts: the values that a key accepts, and the key that was probably meant."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from msgspec import inspect, structs

from nas_tf.config.schema import Config, Section


def elsewhere(path: str, key: str) -> str:
    """Returns a question that names the nearest place in a configuration with such a key."""
    places = [place for place in _places(Config, "") if place.rpartition(".")[2] == key]
    if not places:
        return ""
    own = path.split(".")
    return f", did you mean {max(places, key=lambda place: _shared(own, place.split('.')))}?"


def section_of(hint: Any) -> type[Section] | None:
    """Returns the section type that a key may hold, if any."""
    kinds = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, Section)), None)


def entries_of(hint: Any) -> type[Section] | None:
    """Returns the section type of the entries of a list, if any."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return section_of(get_args(hint)[0]) if get_origin(hint) is tuple else None


def accepted(hint: Any) -> str:
    """Describes the values that a key accepts."""
    return _described(inspect.type_info(hint))


def one_of(values: Sequence[Any]) -> str:
    """Lists accepted values."""
    listed = ", ".join(str(value) for value in values)
    return listed if len(values) == 1 else f"one of {listed}"


def _places(section: type[Section], path: str) -> Iterator[str]:
    """Yields every key of a section and below it; for a list, those of its first entry."""
    for field in structs.fields(section):
        below = f"{path}.{field.name}" if path else field.name
        yield below
        if inner := section_of(field.type):
            yield from _places(inner, below)
        if inner := entries_of(field.type):
            yield from _places(inner, f"{below}.0")


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """Returns the number of keys that two paths share from the top."""
    pairs = [a == b for a, b in zip(first, second, strict=False)]
    return pairs.index(False) if False in pairs else len(pairs)


def _described(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType(types=types):
            return ", or ".join(_described(kind) for kind in types)
        case inspect.IntType():
            return f"an integer{_range(info)}"
        case inspect.FloatType():
            return f"a number{_range(info)}"
        case inspect.LiteralType(values=values):
            return one_of(values)
        case inspect.TupleType(item_types=items):
            return f"a list of {len(items)}, each {_described(items[0])}"
        case inspect.VarTupleType(item_type=item, min_length=minimum):
            return f"a list{f' of {minimum} or more' if minimum else ''}, each {_described(item)}"
        case inspect.StructType(fields=fields):
            return f"a section of {', '.join(field.name for field in fields)}"
        case inspect.BoolType():
            return "true or false"
        case inspect.NoneType():
            return "null"
    return "a text"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" of {info.ge} to {info.le}"
    bounds = (
        ("above {}", info.gt),
        ("of {} or more", info.ge),
        ("below {}", info.lt),
        ("of {} or less", info.le),
    )
    parts = " and ".join(words.format(bound) for words, bound in bounds if bound is not None)
    return f" {parts}" if parts else ""
