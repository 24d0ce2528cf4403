"""The choices that are not part of a genotype: width, repeats, auxiliaries, encoder."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from nas_tf.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings under which the network of a genotype is built.

    ::

        settings = Settings(width=48, sep_repeats=1)
        blueprint = blueprint_of("arch0", 21, settings=settings)

    Args:
        width: Channels of the decoder; in templates of the layer before the classifier only, in
            dense prediction cells of every branch.
        sep_repeats: Number of times that each separable convolution is repeated.
        auxiliary: Auxiliary head of each block of an auxiliary-cell decoder during training.
        alpha: Width multiplier of MobileNetV2.
        output_stride: Stride of the features a dense prediction cell reads.
        pool_mode: Pooling of dense prediction cells: ``sliding`` as in the released code, or
            ``grid`` as in the paper.
    """

    width: int = 64
    sep_repeats: int = 2
    auxiliary: Literal["cell", "classifier", "none"] = "cell"
    alpha: float = 1.0
    output_stride: int = 16
    pool_mode: Literal["sliding", "grid"] = "sliding"

    def __post_init__(self) -> None:
        for key, least, most in (("width", 1, 4096), ("sep_repeats", 1, 8)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(f"{key} is {value!r}, expected an integer of {least}–{most}")
        for key, accepted in (
            ("auxiliary", ("cell", "classifier", "none")),
            ("output_stride", (8, 16)),
            ("pool_mode", ("sliding", "grid")),
        ):
            if getattr(self, key) not in accepted:
                raise ConfigError(f"{key} is {getattr(self, key)!r}, expected one of {accepted}")


_PUBLISHED = {
    "auxcell": Settings(),
    "template": Settings(auxiliary="none"),
    "dpc": Settings(width=256, auxiliary="none"),
}
_SEARCH = {
    "auxcell": replace(_PUBLISHED["auxcell"], width=48, sep_repeats=1),
    "template": replace(_PUBLISHED["template"], width=48, sep_repeats=1),
    "dpc": _PUBLISHED["dpc"],
}


def published(space: str, **changes: Any) -> Settings:
    """Returns the settings of a space's published networks, with changes."""
    return replace(_PUBLISHED[space], **changes)


def search(space: str, **changes: Any) -> Settings:
    """Returns the lighter settings of a space's candidates in a search, with changes."""
    return replace(_SEARCH[space], **changes)
