"""The section ``degradation``: from clean pictures to those that a network restores."""

from typing import Annotated, TypeAlias

from msgspec import Meta

from nas_tf.config.section import Change, Section

Sigma: TypeAlias = float | tuple[float, ...] | str
"""Deviations of 0 to 255: one, a list, or a range as text; ``conflicts`` checks them."""


class Rain(Section):
    """Bright streaks: the share of pixels at which one begins, and its length in pixels."""

    share: Change = 0.004
    length: Annotated[int, Meta(ge=1, le=255)] = 15


class Downscale(Section):
    """A picture made smaller by a factor and enlarged again."""

    factor: Annotated[float, Meta(ge=1, le=16)]


class Noise(Section):
    """Gaussian noise; ``sigma`` is its deviation on the scale 0–255, a list, or a range 0-55.

    Of a list or a range, each picture of each epoch has one at random; scores have all of a list,
    and the ends and the middle of a range.
    """

    sigma: Sigma


class Jpeg(Section):
    """The traces of a JPEG file of a quality."""

    quality: Annotated[int, Meta(ge=1, le=100)]


class Missing(Section):
    """Black pixels at random places, a share of all."""

    share: Change


class Degradation(Section):
    """The degradation that a network learns to undo; several are applied in this order."""

    rain: Rain | None = None
    downscale: Downscale | None = None
    noise: Noise | None = None
    jpeg: Jpeg | None = None
    missing: Missing | None = None
