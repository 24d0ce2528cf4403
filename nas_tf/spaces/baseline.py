"""Decoders designed by hand, to compare found networks with; the only token chooses one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from nas_tf.genotype import Genotype
from nas_tf.spaces.base import SearchSpace, Token, expect_length

NETWORKS = ("lw-refinenet", "unet-mnv2")
"""The decoders by their number in a genotype."""
_LINES = {
    "lw-refinenet": (
        "each tap: conv1x1",
        "from the coarsest: added to what is resized to it, ReLU, four times max-pooling 5x5 and "
        "conv1x1, each added to the sum so far, then conv1x1",
        "output: conv3x3 of the finest",
    ),
    "unet-mnv2": (
        "from the coarsest: resized to the next tap, concatenated with it, two conv3x3; half the "
        "channels after each",
        "output: conv3x3 of the finest",
    ),
}


def network_of(genotype: Genotype) -> str:
    """Returns the name of a genotype's decoder."""
    return NETWORKS[genotype.parts[0]]  # type: ignore[index]


@dataclass(frozen=True, kw_only=True)
class BaselineSpace(SearchSpace):
    """Light-Weight RefineNet (BMVC 2018) and U-Net (MICCAI 2015) on the taps of an encoder.

    ::

        genotype = spaces.resolve("lw-refinenet")
    """

    name = "baseline"
    network_settings = ("width",)
    vocabulary: ClassVar[Mapping[str, Sequence[str]]] = {"decoders": NETWORKS}

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The number of the decoder."""
        numbered = ", ".join(f"{number} {name}" for number, name in enumerate(NETWORKS))
        return (Token("decoder", len(NETWORKS), numbered),)

    def _layout(self, tokens: Sequence[int]) -> Any:
        return list(tokens)

    def _flatten(self, brackets: Any) -> list[Any]:
        return list(expect_length("genotype", brackets, 1, "decoder"))

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, Any] | None:
        """Recognises a list of one number."""
        is_number = isinstance(brackets, (list, tuple)) and len(brackets) == 1
        return {} if is_number and isinstance(brackets[0], int) else None

    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the genotype itself, since each is another network."""
        self.validate(genotype)
        return genotype

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Returns no rewrites, for the same reason."""
        return iter(())

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes the decoder."""
        return list(_LINES[network_of(genotype)])

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns the decoder."""
        return {"decoders": [network_of(genotype)]}
