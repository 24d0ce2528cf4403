"""The contract of every encoder, with the parts that are the same for all."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Self

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft

OUTPUT_STRIDES = (8, 16, 32)


class Released(NamedTuple):
    """A file of ImageNet weights: its address, and its name in ``NAS_TF_DATA/weights``."""

    url: str
    local: str

    @property
    def file(self) -> str:
        """The name that it was released by."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """The network that turns an image in [-1, 1] into feature maps, of which decoders read some.

    Its layers have the names of Keras's model, so that weights fit by name. Its fields are what
    may vary; ``alpha`` is the one that ``network.alpha`` sets.

    ::

        draft = Draft((96, 128))
        fine, coarse = networks.encoders.get("mobilenet_v2", alpha=0.35).add(draft, (4, 16))
    """

    name: ClassVar[str]
    strides: ClassVar[tuple[int, ...]] = (4, 8, 16, 32)
    """The strides of its taps, the feature maps that a decoder may read."""
    low_level: ClassVar[str | None] = None
    """The layer at stride 4 that the decoder of DeepLabv3+ reads; the tap of stride 4 if None."""

    @abstractmethod
    def add(
        self, draft: Draft, strides: Sequence[int] | None = None, *, output_stride: int = 32
    ) -> list[Layer]:
        """Adds the layers up to the deepest of the strides; returns the tap of each of them.

        All taps are returned by default. Below output stride 32, later strides become rates, and
        a tap is still asked for by the stride that it would have.
        """

    def __str__(self) -> str:
        return self.name

    def released(self) -> Released | None:
        """Returns the file of its ImageNet weights; None if it has none."""
        return None

    def loaded(self, stored: Mapping[str, list[Any]]) -> Mapping[str, list[Any]]:
        """Converts the arrays of a file, by layer in the file's order, to those of the layers.

        An encoder whose file was trained on other inputs than [-1, 1], or has biases that a
        normalisation absorbs, converts them here; shapes are checked afterwards. A layer that
        the file does not have comes with an empty list.
        """
        return stored

    def tap_layers(self, strides: Sequence[int] | None = None) -> tuple[str, ...]:
        """Returns the names of the layers that are its taps."""
        return tuple(tap.name for tap in self.add(Draft(None), strides))

    def low_level_layer(self) -> str:
        """Returns the name of the layer that the decoder of DeepLabv3+ reads."""
        return self.low_level or self.tap_layers((4,))[0]

    def with_alpha(self, alpha: float | None) -> Self:
        """Returns the encoder at a width; every encoder accepts None and 1, the usual width."""
        if "alpha" in (field.name for field in fields(self)):
            return self if alpha is None else replace(self, alpha=alpha)
        if alpha not in (None, 1):
            raise ConfigError(
                f"alpha is {alpha}, expected 1, as encoder {self.name} has one width"
            )
        return self

    def checked(
        self, draft: Draft, strides: Sequence[int] | None, output_stride: int
    ) -> tuple[int, ...]:
        """Returns the strides, by default all; raises ``ConfigError`` if one is impossible."""
        chosen = self.strides if strides is None else tuple(strides)
        if not chosen or not set(chosen) <= set(self.strides):
            raise ConfigError(
                f"strides is {chosen}, expected some of {self.strides}, which encoder {self.name} "
                "has taps of"
            )
        if output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"output_stride is {output_stride}, expected one of {OUTPUT_STRIDES}"
            )
        deepest = min(output_stride, max(chosen))
        if not draft.dynamic and min(draft.input_size) < deepest:
            height, width = draft.input_size
            raise ConfigError(
                f"input {height}x{width} is smaller than the encoder's stride, "
                f"expected at least {deepest}x{deepest}"
            )
        return chosen
