"""The base of all sections of a configuration, and the types of values that several share."""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Count: TypeAlias = Annotated[int, Meta(ge=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]
Change: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Part: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all sections: immutable, and an unknown key is an error."""


class Named(Section):
    """The base of sections that begin with a name, which alone stands for all defaults."""

    name: str
