"""Describes the values that a type accepts, for the messages of errors."""

from collections.abc import Sequence
from typing import Any

from msgspec import inspect


def accepted(hint: Any) -> str:
    """Describes the values of a type with its ranges, such as ``an integer of 1 to 10``."""
    return _described(inspect.type_info(hint))


def one_of(values: Sequence[Any]) -> str:
    """Lists accepted values."""
    listed = ", ".join(str(value) for value in values)
    return listed if len(values) == 1 else f"one of {listed}"


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
