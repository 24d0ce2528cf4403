"""Builds the super-net of a restoration space: every cell and path at once, with mixed layers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.heads import Head
from nas_tf.networks.restoration import STEM, Units, add_picture, image_of
from nas_tf.sizes import Size
from nas_tf.spaces.derivation import INPUTS, edges_of, masked_moves, sources_of
from nas_tf.spaces.restoration import RestorationSpace, Variant

ARCHITECTURE = "architecture"
"""The part of the tables ``alpha`` and ``beta``, whose softmax weighs operations and moves."""
_ALPHA = "alpha"
_RATE = 16
_MOVES = ("narrower", "same", "wider")


def supernet(
    space: RestorationSpace,
    head: Head,
    *,
    width: int = 10,
    affine: bool = False,
    input_size: Size | None = None,
) -> Blueprint:
    """Builds the super-net of a space, of which ``width`` is that of a node at the first level.

    ``alpha`` has a row for each edge, layer by layer or for all of them if tied, with a column
    for each operation and a last one for ``none``. ``beta`` has a row for each source and the
    columns narrower, same and wider; moves beyond the levels have no share.

    ::

        blueprint = supernet(RestorationSpace(), Head("restoration", 1), input_size=(64, 64))
        cost(blueprint).params  # 1475669
    """
    return supernet_of(
        space.variant, head, space.layers, space.nodes, width, affine=affine, input_size=input_size
    )


def supernet_of(
    variant: Variant,
    head: Head,
    layers: int,
    nodes: int,
    width: int,
    *,
    affine: bool = False,
    input_size: Size | None = None,
) -> Blueprint:
    """Builds the super-net of a variant."""
    draft, widths = Draft(input_size), variant.widths(width)
    image, sources = image_of(draft, head), sources_of(layers, len(widths))
    rows = len(edges_of(nodes)) * (1 if variant.tied else layers)
    tables = (
        draft.table(image, _ALPHA, ARCHITECTURE, (rows, len(variant.ops) + 1)),
        draft.table(image, "beta", ARCHITECTURE, (len(sources), len(_MOVES))),
    )
    units = Units(draft, variant.slope, affine)
    net = _SuperNet(
        units, variant, nodes, widths, *tables, sources, masked_moves(sources, len(widths))
    )
    hidden, before = net.add_stem(image)
    for layer in range(layers):
        mixed = net.add_routers(hidden, layer)
        net.add_missing(before, len(mixed))
        hidden = [net.add_cell(layer, level, [before[level], x]) for level, x in enumerate(mixed)]
        before = mixed
    x = net.add_decoder(hidden)
    add_picture(net.units, x, image, variant, sigmoid=True)
    return draft.finish()


def with_operations(blueprint: Blueprint, entries: Collection[tuple[int, int]]) -> Blueprint:
    """Returns a super-net whose nodes read only these entries of ``alpha``.

    Operations that no node reads are left out. Where ``alpha`` gives them no share, the outputs
    are those of the entire super-net.
    """
    layers = []
    for layer in blueprint.layers:
        if layer.kind == "mix" and layer.inputs[0] == _ALPHA:
            read = zip(layer.inputs[1:], layer.options["entries"], strict=True)
            names, own = zip(*(pair for pair in read if pair[1] in entries), strict=True)
            options = {**layer.options, "entries": own}
            layer = replace(layer, inputs=(_ALPHA, *names), options=options)
        layers.append(layer)
    return replace(blueprint, layers=tuple(layers)).live()


@dataclass(frozen=True)
class _SuperNet:
    """Adds the parts of a super-net."""

    units: Units
    variant: Variant
    nodes: int
    widths: Sequence[int]
    alpha: Layer
    beta: Layer
    sources: Sequence[tuple[int, int]]
    masked: Sequence[tuple[int, int]]

    def add_stem(self, image: Layer) -> tuple[list[Layer], list[Layer]]:
        """Adds the stem; returns the hidden state and the input before it, of the first level."""
        units, width = self.units, self.widths[0]
        stem = units.conv_act(image, "stem1", STEM, kernel=3)
        before = units.conv(stem, "reduce", width, kernel=3)
        hidden = units.conv(units.act(stem), "stem2", width * self.nodes, kernel=3)
        return [hidden], [before]

    def add_routers(self, hidden: list[Layer], layer: int) -> list[Layer]:
        """Adds convolutions of each hidden state to its neighbours, and mixes what arrives."""
        arriving: dict[int, list[tuple[Layer, tuple[int, int]]]] = {}
        for level, x in enumerate(hidden):
            row = self.sources.index((layer, level))
            for column, move in enumerate(_MOVES):
                target = level + column - 1
                if 0 <= target < len(self.widths):
                    name = f"router{layer + 1}.level{level}.{move}"
                    routed = self.units.conv(x, name, self.widths[target])
                    arriving.setdefault(target, []).append((routed, (row, column)))
        return [
            self._mix(self.beta, found, f"router{layer + 1}.mix{level}", self.masked)
            for level, found in sorted(arriving.items())
        ]

    def _mix(
        self,
        table: Layer,
        arriving: Sequence[tuple[Layer, tuple[int, int]]],
        name: str,
        masked: Sequence[tuple[int, int]] = (),
    ) -> Layer:
        maps, entries = zip(*arriving, strict=True)
        return self.units.draft.mix(table, maps, name, entries=entries, masked=masked)

    def add_missing(self, before: list[Layer], count: int) -> None:
        """Adds the inputs before last of levels that have none, each from the next narrower."""
        while len(before) < count:
            level = len(before)
            before.append(self.units.conv(before[-1], f"wider{level}", self.widths[level]))

    def add_cell(self, layer: int, level: int, inputs: list[Layer]) -> Layer:
        """Adds all operations of all edges, mixed at each node."""
        name, values = f"cell{layer + 1}.level{level}", list(inputs)
        row = 0 if self.variant.tied else layer * len(edges_of(self.nodes))
        for node in range(1, self.nodes + 1):
            arriving = []
            for source, x in enumerate(values):
                where = f"{name}.node{node}.source{source}"
                for column, op in enumerate(self.variant.ops):
                    arriving.append((self.units.operation(op, x, where), (row, column)))
                row += 1
            values.append(self._mix(self.alpha, arriving, f"{name}.node{node}.mix"))
        return self.units.draft.concat(values[INPUTS:], f"{name}.concat")

    def add_decoder(self, hidden: list[Layer]) -> Layer:
        """Adds two scales for each level, which are joined."""
        units, channels = self.units, self.widths[0] * self.nodes
        levels = []
        for level, x in enumerate(hidden):
            name = f"decoder.level{level}"
            scales = [
                units.separable(x, f"{name}.atrous", channels, rate=_RATE),
                units.conv_act(x, f"{name}.plain", channels),
            ]
            both = units.draft.concat(scales, f"{name}.scales")
            levels.append(units.conv_act(both, f"{name}.joined", channels))
        x = units.draft.concat(levels, "decoder.concat")
        return units.conv_act(x, "decoder", x.channels, kernel=3)
