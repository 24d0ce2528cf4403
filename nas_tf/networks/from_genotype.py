"""Builds the blueprint of a genotype of any space."""

from collections.abc import Sequence
from typing import Any

from nas_tf import spaces
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.networks import auxcell, baseline, dpc, fcos, restoration, template
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.draft import Draft
from nas_tf.networks.encoders import ENCODERS, Encoder
from nas_tf.networks.heads import Head, segmentation
from nas_tf.networks.settings import Settings, builder_of, register
from nas_tf.sizes import Size

for _space, _builder in {
    "auxcell": auxcell.BUILDER,
    "template": template.BUILDER,
    "dpc": dpc.BUILDER,
    "fcos": fcos.BUILDER,
    "restoration": restoration.BUILDER,
    "baseline": baseline.BUILDER,
}.items():
    register(_space, _builder)


def blueprint_of(
    genotype: Genotype | str | Sequence[Any],
    head: Head | int,
    *,
    input_size: Size | None = None,
    settings: Settings | None = None,
) -> Blueprint:
    """Builds the blueprint of the entire network, with everything that the paper counts.

    ::

        blueprint = blueprint_of("arch0", 21, input_size=(512, 512))

    Args:
        genotype: A genotype, a published name, or brackets.
        head: A task's head, or a number of classes for segmentation.
        input_size: Height and width; None for a network that takes any size.
        settings: Defaults to those of the space's published networks.
    """
    genotype = spaces.resolve(genotype)
    draft = Draft(checked_size(input_size))
    head = segmentation(head) if isinstance(head, int) else head
    if not isinstance(head, Head):
        raise ConfigError(f"head is {head!r:.40}, expected a number of classes or a Head")
    reason = spaces.space_of(genotype).refusal(genotype)
    if reason is not None:
        raise GenotypeError(f"genotype {genotype} cannot be built: {reason}")
    builder = builder_of(genotype.space)
    builder.add_network(draft, genotype, head, settings or builder.published)
    return draft.finish()


def encoder_blueprint(
    encoder: Encoder | None = ENCODERS["mobilenet_v2"],
    *,
    input_size: Size | None = None,
    strides: Sequence[int] | None = None,
    output_stride: int = 32,
    low_level: bool = False,
) -> Blueprint:
    """Builds the blueprint of an encoder with its taps as outputs ``tap0``, ``tap1``, ….

    With ``low_level``, the layer that the decoder of DeepLabv3+ reads is the last output, unless
    it is a tap. Without an encoder the image itself is the only tap.
    """
    draft = Draft(checked_size(input_size))
    if encoder is None:
        taps = [draft.image()]
    else:
        taps = encoder.add(draft, strides, output_stride=output_stride)
        low = draft.layer(encoder.low_level_layer()) if low_level else taps[0]
        taps += [] if low in taps else [low]
    for n, tap in enumerate(taps):
        draft.output(tap, f"tap{n}")
    return draft.finish()


def encoder_of(space: str, settings: Settings | None = None) -> Encoder | None:
    """Returns the encoder of a space's networks, None if they read no taps."""
    return (settings or builder_of(space).published).encoder if spaces.get(space).taps else None


def tap_layers(encoder: Encoder | None, **options: Any) -> tuple[str, ...]:
    """Returns the names of the layers that are the outputs of ``encoder_blueprint``, in order."""
    blueprint = encoder_blueprint(encoder, **options)
    return tuple(blueprint.by_name[name].inputs[0] for name in blueprint.outputs.values())


def checked_size(size: Size | None, key: str = "input_size") -> Size | None:
    """Returns the size; raises ``ConfigError`` unless it is None or two integers of 1–16384."""
    if size is None:
        return None
    is_pair = isinstance(size, (tuple, list)) and len(size) == 2
    if not is_pair or not all(isinstance(n, int) and 1 <= n <= 16384 for n in size):
        raise ConfigError(f"{key} is {size!r}, expected (height, width) of 1–16384 each")
    return size[0], size[1]
