"""The choices that are not part of a genotype: width, repeats, auxiliaries, encoder.

Also here: the registry of the builders of every space's networks, with their usual settings.
"""

from collections.abc import Callable
from dataclasses import InitVar, dataclass, replace
from typing import Any, Literal

from nas_tf import spaces
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint, Layer, counted_as
from nas_tf.networks.encoders import ENCODERS, Encoder

CONFIGURED = (
    *("width", "head_width", "sep_repeats", "auxiliary", "aspp"),
    *("decoder", "output_stride"),
)
"""The settings that a configuration may change by a key of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings under which the network of a genotype is built.

    ::

        settings = Settings(width=48, sep_repeats=1)
        blueprint = blueprint_of("arch0", 21, settings=settings)

    Args:
        width: Channels of the decoder; in templates of the layer before the classifier only, in
            dense prediction cells of every branch.
        head_width: Channels of a detector's towers; those of its pyramid, ``width``, if None.
        sep_repeats: Number of times that each separable convolution is repeated.
        auxiliary: Auxiliary head of each block of an auxiliary-cell decoder during training.
        encoder: The encoder; a space without taps has none.
        alpha: Width of the encoder, instead of the one that ``encoder`` has.
        output_stride: Stride of the features a dense prediction cell reads.
        pool_mode: Pooling of dense prediction cells: ``sliding`` as in the released code, or
            ``grid`` as in the paper.
        decoder: ``deeplabv3plus`` refines a dense prediction cell at stride 4 with the decoder of
            DeepLabv3+; None classifies at the stride of the cell.
        aspp: Convolutions of three rates in the decoder of an image restoration network.
    """

    width: int = 64
    head_width: int | None = None
    sep_repeats: int = 2
    auxiliary: Literal["cell", "classifier", "none"] = "cell"
    encoder: Encoder = ENCODERS["mobilenet_v2"]
    alpha: InitVar[float | None] = None
    output_stride: int = 16
    pool_mode: Literal["sliding", "grid"] = "sliding"
    decoder: Literal["deeplabv3plus"] | None = None
    aspp: bool = False

    def __post_init__(self, alpha: float | None) -> None:
        object.__setattr__(self, "encoder", self.encoder.with_alpha(alpha))
        for key, least, most in (
            *(("width", 1, 4096), ("sep_repeats", 1, 8), ("head_width", 1, 4096)),
        ):
            value = getattr(self, key)
            if key == "head_width" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(f"{key} is {value!r}, expected an integer of {least}–{most}")
        for key, accepted in (
            ("auxiliary", ("cell", "classifier", "none")),
            ("output_stride", (8, 16)),
            ("pool_mode", ("sliding", "grid")),
            ("decoder", (None, "deeplabv3plus")),
            ("aspp", (False, True)),
        ):
            if getattr(self, key) not in accepted:
                raise ConfigError(f"{key} is {getattr(self, key)!r}, expected one of {accepted}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """The function that builds the networks of a space, and their settings.

    Args:
        add_network: Adds the layers of a genotype to a draft, with a head and settings.
        published: Settings of the published networks.
        search: Lighter settings of the candidates of a search.
        part_of: Names the part under which ``nas-tf cost`` counts a layer.
        counts: Returns what ``nas-tf cost`` answers instead, if that is not by part.
    """

    add_network: Callable[[Any, Genotype, Any, Settings], None]
    published: Settings
    search: Settings
    part_of: Callable[[Layer], str] = counted_as
    counts: Callable[[Blueprint], dict[str, Any]] | None = None


_BUILDERS: dict[str, Builder] = {}


def register(space: str, builder: Builder) -> None:
    """Sets the builder of a space's networks."""
    _BUILDERS[space] = builder


def builder_of(space: str) -> Builder:
    """Returns the builder of a space's networks."""
    if space not in _BUILDERS:
        known = ", ".join(_BUILDERS)
        raise ConfigError(f"space {space!r} has no builder of networks, expected one of {known}")
    return _BUILDERS[space]


def published(space: str, **changes: Any) -> Settings:
    """Returns the settings of a space's published networks, with changes."""
    return _changed(space, builder_of(space).published, changes)


def search(space: str, **changes: Any) -> Settings:
    """Returns the lighter settings of a space's candidates in a search, with changes."""
    return _changed(space, builder_of(space).search, changes)


def _changed(space: str, settings: Settings, changes: dict[str, Any]) -> Settings:
    for key in ("encoder", "alpha"):
        if key in changes and not spaces.get(space).taps:
            raise ConfigError(f"{key} is {changes[key]}, and space {space} has no encoder")
    decoder = changes.get("decoder")
    if decoder is not None and "decoder" not in spaces.get(space).network_settings:
        raise ConfigError(f"decoder is {decoder}, expected None, as space {space} has its own")
    return replace(settings, **changes)
