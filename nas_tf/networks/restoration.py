"""Builds image restoration networks from their genotypes (IR-NAS, CVPR 2020; HiNAS)."""

from dataclasses import dataclass, field
from typing import Any

from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.cost import cost, cost_by_part
from nas_tf.networks.draft import Draft
from nas_tf.networks.heads import Head
from nas_tf.networks.settings import Builder, Settings
from nas_tf.spaces.derivation import INPUTS
from nas_tf.spaces.restoration import Cell, RestorationDesign, Variant

STEM = 64
_DECODER, _SKIP, _ASPP, _RATES = 128, 48, 512, (2, 4, 6)
_DEFORMABLE_GROUPS = 2


@dataclass(frozen=True)
class Units:
    """Adds the convolutions of which networks and super-nets consist, named after a prefix.

    Args:
        draft: Receives the layers.
        slope: The factor of negative values in activations; 0 is ReLU.
        affine: Gives batch normalisations a learned scale and offset.
    """

    draft: Draft
    slope: float
    affine: bool = True
    _activated: dict[str, Layer] = field(default_factory=dict)

    def act(self, x: Layer) -> Layer:
        """Returns the activation of a layer, which is added once."""
        if x.name not in self._activated:
            name = f"{x.name}.relu"
            self._activated[x.name] = (
                self.draft.leaky_relu(x, name, slope=self.slope)
                if self.slope
                else self.draft.relu(x, name)
            )
        return self._activated[x.name]

    def conv(self, x: Layer, name: str, channels: int, *, kernel: int = 1, rate: int = 1) -> Layer:
        """Adds a convolution without bias, and batch normalisation."""
        init = _uniform(kernel * kernel * x.channels)
        x = self.draft.conv(x, f"{name}.conv", channels, kernel=kernel, rate=rate, init=init)
        return self.draft.batch_norm(x, f"{name}.bn", affine=self.affine)

    def conv_act(self, x: Layer, name: str, channels: int, *, kernel: int = 1) -> Layer:
        """Adds a convolution without bias, batch normalisation and activation."""
        return self.act(self.conv(x, name, channels, kernel=kernel))

    def separable(self, x: Layer, name: str, channels: int, *, rate: int = 1) -> Layer:
        """Adds a depthwise 3x3 and a pointwise convolution, each normalised and activated.

        Their normalisation always learns scale and offset.
        """
        draft, init = self.draft, _uniform(3 * 3)
        x = draft.depthwise(x, f"{name}.depthwise", kernel=3, rate=(rate, rate), init=init)
        x = self.act(draft.batch_norm(x, f"{name}.depthwise.bn"))
        x = draft.conv(x, f"{name}.pointwise", channels, init=_uniform(x.channels))
        return self.act(self.draft.batch_norm(x, f"{name}.bn"))

    def operation(self, op: str, x: Layer, name: str) -> Layer:
        """Adds an operation of a cell, which begins with an activation unless it is ``skip``."""
        if op == "skip":
            return x
        family, kernel, name = op[:3], int(op[-1]), f"{name}.{op}"
        if family == "sep":
            for unit in ("unit1", "unit2"):
                x, init = self.act(x), _uniform(kernel * kernel)
                x = self.draft.depthwise(x, f"{name}.{unit}.depthwise", kernel=kernel, init=init)
                x = self.conv(x, f"{name}.{unit}", x.channels)
            return x
        if family == "def":
            if x.channels % _DEFORMABLE_GROUPS:
                raise ConfigError(f"{name} has {x.channels} channels, expected an even number")
            groups = _DEFORMABLE_GROUPS
            x = self.draft.deformable(self.act(x), f"{name}.conv", x.channels, groups=groups)
            return self.draft.batch_norm(x, f"{name}.bn", affine=self.affine)
        rate = 2 if family == "dil" else 1
        return self.conv(self.act(x), name, x.channels, kernel=kernel, rate=rate)


def _uniform(fan_in: int) -> str:
    """Returns the initialisation of the released code, which is PyTorch's.

    The last convolution is not normalised: with Glorot's, twice as large, the first pictures are
    twice as far from the clean ones, and so are those after some hundred steps.
    """
    return f"uniform:{fan_in**-0.5:.6g}"


def image_of(draft: Draft, head: Head) -> Layer:
    """Adds the image and returns it in the range 0 to 1; as grey, if the head has one channel."""
    if head.channels not in (1, 3):
        raise ConfigError(
            f"{head.task} head has {head.channels} outputs, expected the 1 or 3 channels of an "
            "image for space restoration"
        )
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    x = draft.image()
    if head.channels == 1:
        x = draft.luma(x, "image.luma")
    return draft.normalise(x, "image.unit", mean=[-1.0] * x.channels, deviation=[2.0] * x.channels)


def add_picture(units: Units, x: Layer, image: Layer, variant: Variant, *, sigmoid: bool) -> None:
    """Adds the last convolution and the output: the restored picture in the range 0 to 1."""
    draft = units.draft
    init = _uniform(3 * 3 * x.channels)
    x = draft.conv(x, "output.conv", image.channels, kernel=3, bias=True, init=init)
    if variant.residual:
        x = draft.subtract(image, x, "output.difference")
    draft.output(draft.sigmoid(x, "output.sigmoid") if sigmoid else x, "logits")


def add_network(draft: Draft, genotype: Genotype, head: Head, settings: Settings) -> None:
    """Adds the stem, the cells, and the decoder, which reads the last cell and a narrow one."""
    design = RestorationDesign.of(genotype)
    variant, image = design.variant, image_of(draft, head)
    widths = variant.widths(settings.width)
    units = Units(draft, variant.slope)
    before_last = units.conv_act(image, "stem1", STEM, kernel=3)
    last = stem = units.conv(units.act(before_last), "stem2", STEM, kernel=3)
    outputs = []
    for n, (cell, level) in enumerate(zip(design.cells, design.levels, strict=True)):
        name, width = f"cell{n + 1}", widths[level]
        inputs = [
            units.conv(units.act(x), f"{name}.{side}", width)
            for x, side in ((before_last, "source0"), (last, "source1"))
        ]
        before_last, last = last, _add_cell(units, cell, variant, inputs, name)
        outputs.append(last)
    channels = widths[0] * len(design.cells[0])
    plain = Units(draft, variant.slope, affine=False)
    reduced = plain.conv(stem, "reduce", channels, kernel=3)
    skip = reduced if design.skip_layer is None else outputs[design.skip_layer]
    x = _add_decoder(units, units.act(last), skip, aspp=settings.aspp)
    add_picture(units, x, image, variant, sigmoid=not variant.residual)


def _add_cell(units: Units, cell: Cell, variant: Variant, inputs: list[Layer], name: str) -> Layer:
    nodes = list(inputs)
    for i, node in enumerate(cell, 1):
        sides = [
            units.operation(variant.ops[op], nodes[source], f"{name}.node{i}.{side}")
            for side, (op, source) in zip(("first", "second"), node, strict=True)
        ]
        nodes.append(units.draft.add(*sides, f"{name}.node{i}.sum"))
    return units.draft.concat(nodes[INPUTS:], f"{name}.concat")


def _add_decoder(units: Units, x: Layer, skip: Layer, *, aspp: bool) -> Layer:
    if aspp:
        scales = [
            units.separable(x, f"decoder.rate{rate}", _DECODER, rate=rate) for rate in _RATES
        ]
        scales.append(units.conv_act(x, "decoder.plain", _DECODER))
        x = units.draft.concat(scales, "decoder.scales")
    x = units.conv_act(x, "decoder.main", _DECODER)
    narrow = units.conv_act(skip, "decoder.skip", _SKIP)
    x = units.draft.concat([narrow, x], "decoder.concat")
    for number in (1, 2):
        x = units.separable(x, f"decoder.separable{number}", _DECODER)
    return x


def counts(blueprint: Blueprint) -> dict[str, Any]:
    """Counts a network: all that the released code builds, what is used of it, and each cell.

    The code builds the convolution ``reduce`` of the stem's end even where the decoder reads a
    cell instead. A cell counts without the convolutions that adapt its inputs.
    """
    shipped = cost(blueprint.deployed())
    parts = cost_by_part(blueprint, _cell_of)
    cells = sorted((part for part in parts if part), key=lambda part: int(part[4:]))
    return {
        "params": cost(blueprint).params,
        "params_used": shipped.params,
        "params_cells": [parts[cell][0] for cell in cells],
        "madds": shipped.madds,
    }


def _cell_of(layer: Layer) -> str:
    """Returns the cell of a layer, nothing for one outside and for the inputs of a cell."""
    first, _, rest = layer.name.partition(".")
    return first if first.startswith("cell") and not rest.startswith("source") else ""


BUILDER = Builder(
    add_network=add_network,
    published=Settings(width=20, auxiliary="none"),
    search=Settings(width=10, auxiliary="none"),
    counts=counts,
)
