"""The space of IR-NAS (CVPR 2020) and HiNAS: cells and widths of image restoration networks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

from msgspec import Meta

from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces.base import SearchSpace, Token, expect_length, read_brackets
from nas_tf.spaces.canonical import closure, smallest_rows
from nas_tf.spaces.derivation import INPUTS

Factors: TypeAlias = tuple[Annotated[float, Meta(gt=0, le=100)], ...]
_SOURCES = ("the layer before last", "the last layer")


class Edge(NamedTuple):
    """An operation on a source: 0 and 1 are h(l-2) and h(l-1), then come the cell's nodes."""

    op: int
    source: int


Node: TypeAlias = tuple[Edge, Edge]
Cell: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """The choices that all networks of a space share, and its super-net.

    Args:
        ops: The operations; a super-net has ``none`` after them.
        factors: The widths of the levels, as multiples of the first.
        tied: All layers have the same cell.
        slope: The factor of negative values in activations; 0 is ReLU.
        residual: A network computes the degradation, which is subtracted from the image;
            otherwise it computes the restored image by a sigmoid.
    """

    ops: tuple[str, ...]
    factors: tuple[float, ...]
    tied: bool
    slope: float
    residual: bool

    def widths(self, width: int) -> tuple[int, ...]:
        """Returns the channels of a node at each level."""
        return tuple(int(width * factor) for factor in self.factors)


VARIANTS: Mapping[str, Variant] = {
    "public": Variant(
        ("conv3x3", "sep3x3", "sep5x5", "dil3x3", "dil5x5", "skip"), (1, 1.5, 2), False, 0.2, True
    ),
    "slides": Variant(
        ("conv3x3", "sep3x3", "dil3x3", "def3x3", "skip"), (1, 2, 4), True, 0, False
    ),
}
"""The released code of HiNAS, and IR-NAS as its authors' slides show it."""
_NAMES = tuple(VARIANTS)


@dataclass(frozen=True, slots=True)
class RestorationDesign:
    """A genotype of this space with its parts named: the cell and the level of each layer.

    ::

        design = RestorationDesign.of(spaces.resolve("hinas-skip"))
        design.levels  # (0, 0, 0)
    """

    cells: tuple[Cell, ...]
    levels: tuple[int, ...]
    variant: Variant

    @classmethod
    def of(cls, genotype: Genotype) -> "RestorationDesign":
        """Returns the design of a genotype."""
        cells, levels, *tail = genotype.parts
        nodes = tuple(_nodes(cell) for cell in cells)
        return cls(nodes, tuple(levels), _variant(tail[0] if tail else [0]))

    @property
    def skip_layer(self) -> int | None:
        """The last layer of the first level, which the decoder reads too, unless it ends there.

        None stands for the stem, at the end of which a convolution adapts the width.
        """
        narrow = [layer for layer, level in enumerate(self.levels) if level == 0]
        return narrow[-1] if narrow and narrow[-1] < len(self.levels) - 1 else None


@dataclass(frozen=True, kw_only=True)
class RestorationSpace(SearchSpace):
    """The space of Zhang et al., CVPR 2020: a cell and a width for each layer.

    A node of a cell sums two operations on two different sources. The levels of adjacent layers
    differ by one at most, and the first layer has one of the first two.

    ::

        space = RestorationSpace(preset="slides", layers=4)

    Args:
        preset: The operations, widths and activations of the ``public`` code of HiNAS, or of
            the ``slides`` of IR-NAS with deformable convolutions.
        layers: Number of layers.
        nodes: Number of nodes of a cell.
        factors: The widths of the levels as ascending multiples of the narrowest, in hundredths;
            those of the preset if null.
        tied: Gives all layers the same cell; as in the preset if null.
    """

    name = "restoration"
    taps = ()
    network_settings = ("width", "aspp")
    vocabulary: ClassVar[Mapping[str, Sequence[str]]] = {
        "operations": tuple(dict.fromkeys(op for own in VARIANTS.values() for op in own.ops)),
        "connections": _SOURCES,
    }
    preset: Literal["public", "slides"] = "public"
    layers: Annotated[int, Meta(ge=1, le=12)] = 3
    nodes: Annotated[int, Meta(ge=1, le=6)] = 4
    factors: Factors | None = None
    tied: bool | None = None

    def __post_init__(self) -> None:
        """Raises ``ConfigError`` unless the factors ascend; those of the preset become null."""
        SearchSpace.__post_init__(self)
        usual = VARIANTS[self.preset]
        if self.factors is not None:
            object.__setattr__(self, "factors", tuple(map(float, self.factors)))
            exact = tuple(n / 100 for n in _hundredths(self.factors)) == self.factors
            ascend = all(low < high for low, high in pairwise(self.factors))
            if not self.factors or not exact or not ascend:
                raise ConfigError(
                    f"factors is {list(self.factors)}, expected ascending multiples of 0.01"
                )
        for key in ("factors", "tied"):
            if getattr(self, key) == getattr(usual, key):
                object.__setattr__(self, key, None)

    @cached_property
    def variant(self) -> Variant:
        """The choices of the preset, with the factors and the tying of this space."""
        given = {key: getattr(self, key) for key in ("factors", "tied")}
        changes = {key: value for key, value in given.items() if value is not None}
        return replace(VARIANTS[self.preset], **changes)

    @property
    def levels(self) -> int:
        """The number of levels."""
        return len(self.variant.factors)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of each cell, node by node, or of the only one; then the levels."""
        ops, found = len(self.variant.ops), []
        for cell in (
            ["cell"] if self.variant.tied else [f"cell{n + 1}" for n in range(self.layers)]
        ):
            for i in range(self.nodes):
                node, sources = f"{cell}.node{i + 1}", "h(l-2), h(l-1), then earlier nodes"
                found += [
                    Token(f"{node}.op1", ops, "operations"),
                    Token(f"{node}.source1", INPUTS + i, sources),
                    Token(f"{node}.op2", ops, "operations"),
                    Token(f"{node}.source2", INPUTS + i - 1, f"{sources}, without source1"),
                ]
        for layer in range(self.layers):
            size = self.levels if layer else min(2, self.levels)
            found.append(Token(f"layer{layer + 1}.level", size, "widths, the narrowest first"))
        return tuple(found)

    @property
    def _tail(self) -> list[list[int]]:
        """The last part of the brackets, which names another preset and other factors."""
        own = VARIANTS[self.preset]
        factors = [] if self.variant.factors == own.factors else _hundredths(self.variant.factors)
        tail = [_NAMES.index(self.preset), *factors]
        return [] if tail == [0] else [tail]

    def genotype_of(
        self, cells: Sequence[Sequence[tuple[int, int]]], levels: Sequence[int]
    ) -> Genotype:
        """Returns the genotype of pairs of operation and source, and of a level for each layer."""
        genotype = Genotype.of(self.name, [cells, levels, *self._tail])
        self.validate(genotype)
        return genotype

    def _layout(self, tokens: Sequence[int]) -> Any:
        each = 4 * self.nodes
        cells = [
            _pairs(tokens[start : start + each])
            for start in range(0, len(tokens) - self.layers, each)
        ]
        if self.variant.tied:
            cells *= self.layers
        return [cells, list(tokens[-self.layers :]), *self._tail]

    def _flatten(self, brackets: Any) -> list[Any]:
        entries = "parts (cells, levels)" if not self._tail else "parts (cells, levels, preset)"
        cells, levels, *tail = expect_length("genotype", brackets, 2 + len(self._tail), entries)
        if [list(part) for part in tail] != self._tail:
            raise GenotypeError(f"genotype ends in {tail[0]}, expected {self._tail[0]}")
        expect_length("cells", cells, self.layers, "cells")
        tokens: list[Any] = []
        for n, cell in enumerate(cells, 1):
            if self.variant.tied and list(cell) != list(cells[0]):
                raise GenotypeError(
                    f"cell {n} differs from cell 1, expected the same, as it is tied"
                )
            if n == 1 or not self.variant.tied:
                tokens += self._flat_cell(f"cell {n}", cell)
        return [*tokens, *expect_length("levels", levels, self.layers, "levels")]

    def _flat_cell(self, name: str, cell: Any) -> list[Any]:
        tokens: list[Any] = []
        pairs = expect_length(name, cell, 2 * self.nodes, "pairs of operation and source")
        for i in range(self.nodes):
            where = f"{name} node {i + 1}"
            (op, source), (other_op, other) = (
                expect_length(where, pair, 2, "integers") for pair in pairs[2 * i : 2 * i + 2]
            )
            if source == other:
                raise GenotypeError(f"{where} reads source {source} twice, expected two sources")
            is_after = isinstance(source, int) and isinstance(other, int) and other > source
            tokens += [op, source, other_op, other - is_after if is_after else other]
        return tokens

    def parse(self, text: str | Sequence[Any]) -> Genotype:
        """Reads brackets; the last part may be left out where the space states it."""
        brackets = read_brackets(text) if isinstance(text, str) else text
        if self._tail and _is_list(brackets) and len(brackets) == 2:
            brackets = [*brackets, *self._tail]
        return SearchSpace.parse(self, brackets)

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, Any] | None:
        """Recognises cells of pairs and as many levels, with or without a last part."""
        if (
            not _is_list(brackets)
            or len(brackets) not in (2, 3)
            or not all(map(_is_list, brackets))
        ):
            return None
        cells, levels, *tail = brackets
        sizes = {len(cell) if _is_list(cell) else 0 for cell in cells}
        pairs = [pair for cell in cells if _is_list(cell) for pair in cell]
        if len(cells) != len(levels) or len(sizes) != 1 or any(map(_is_list, levels)):
            return None
        if min(sizes) < 2 or min(sizes) % 2 or not all(_is_list(p) and len(p) == 2 for p in pairs):
            return None
        found = {"layers": len(cells), "nodes": min(sizes) // 2, "preset": _NAMES[0]}
        if tail and tail[0]:
            preset, *factors = tail[0]
            if preset not in range(len(_NAMES)) or not all(isinstance(n, int) for n in factors):
                return None
            found |= {"preset": _NAMES[preset]}
            found |= {"factors": tuple(n / 100 for n in factors)} if factors else {}
        if VARIANTS[found["preset"]].tied and any(list(c) != list(cells[0]) for c in cells):
            found["tied"] = False
        return found

    def refusal(self, genotype: Genotype) -> str | None:
        """Returns a reason if the level jumps between layers."""
        levels = RestorationDesign.of(genotype).levels
        for n, (before, after) in enumerate(pairwise([0, *levels])):
            if abs(after - before) > 1:
                where = f"layer {n} to layer {n + 1}" if n else "the stem to layer 1"
                return (
                    f"from {where} its level goes {before} to {after}, expected one step at most"
                )
        return None

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes the width of each layer and the two operations of each node."""
        design = RestorationDesign.of(genotype)
        lines = []
        for n, (cell, level) in enumerate(zip(design.cells, design.levels, strict=True), 1):
            lines.append(f"layer {n}: width x{design.variant.factors[level]:g}")
            for i, node in enumerate(cell, 1):
                sides = [f"{design.variant.ops[op]} of {_source(source)}" for op, source in node]
                lines.append(f"layer {n} node {i}: {' + '.join(sides)}")
        skip = design.skip_layer
        also = "the stem" if skip is None else f"layer {skip + 1}"
        return [*lines, f"decoder: the last layer, and {also}"]

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns the operations, their sources, and the widths of the layers."""
        design = RestorationDesign.of(genotype)
        edges = [edge for cell in design.cells for node in cell for edge in node]
        return {
            "operations": [design.variant.ops[edge.op] for edge in edges],
            "connections": [_source(edge.source) for edge in edges],
            "widths": [f"x{design.variant.factors[level]:g}" for level in design.levels],
        }

    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the smallest order of the nodes, and of the edges of each."""
        self.validate(genotype)
        cells, *rest = genotype.parts
        return Genotype.of(self.name, [[_brackets(_canonical(_nodes(c))) for c in cells], *rest])

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields swaps of the edges of a node and of independent nodes, in all cells if tied."""
        cells, *rest = genotype.parts
        for n, cell in enumerate(cells[:1] if self.variant.tied else cells):
            for other in _rewrites(_nodes(cell)):
                changed = [_brackets(other)]
                changed = (
                    changed * len(cells)
                    if self.variant.tied
                    else [*cells[:n], *changed, *cells[n + 1 :]]
                )
                yield Genotype.of(self.name, [changed, *rest])

    def class_size(self, genotype: Genotype) -> int:
        """Multiplies the class sizes of the cells, which are independent unless tied."""
        cells = RestorationDesign.of(genotype).cells[: 1 if self.variant.tied else None]
        return prod(len(closure(cell, _rewrites)) for cell in cells)


def _is_list(part: Any) -> bool:
    return isinstance(part, (list, tuple))


def _hundredths(factors: Sequence[float]) -> list[int]:
    return [round(100 * factor) for factor in factors]


def _variant(tail: Sequence[int]) -> Variant:
    """Returns the variant that the last part of the brackets names."""
    preset, *factors = tail
    usual = VARIANTS[_NAMES[preset]]
    return replace(usual, factors=tuple(n / 100 for n in factors)) if factors else usual


def _nodes(pairs: Sequence[Sequence[int]]) -> Cell:
    edges = [Edge(*pair) for pair in pairs]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _brackets(cell: Cell) -> list[Edge]:
    return [edge for node in cell for edge in node]


def _pairs(tokens: Sequence[int]) -> list[list[int]]:
    """Returns the pairs that the tokens of a cell spell."""
    pairs = []
    for n in range(0, len(tokens), 4):
        op, source, other_op, other = tokens[n : n + 4]
        pairs += [[op, source], [other_op, other + (other >= source)]]
    return pairs


def _source(number: int) -> str:
    return _SOURCES[number] if number < INPUTS else f"node {number - INPUTS + 1}"


def _canonical(cell: Cell) -> Cell:
    def spellings(item: tuple[int, Node], numbers: Mapping[Any, int]) -> Iterator[Any]:
        number, node = item
        if all(edge.source in numbers for edge in node):
            yield tuple(sorted(Edge(op, numbers[source]) for op, source in node)), (number,)

    rows = smallest_rows(range(INPUTS), list(enumerate(cell, INPUTS)), spellings)
    return tuple(rows)


def _rewrites(cell: Cell) -> Iterator[Cell]:
    for i, (first, second) in enumerate(cell):
        yield (*cell[:i], (second, first), *cell[i + 1 :])
    for i in range(len(cell) - 1):
        here, following = INPUTS + i, INPUTS + i + 1
        if here in (edge.source for edge in cell[i + 1]):
            continue
        numbers = {here: following, following: here}
        swapped = [*cell[:i], cell[i + 1], cell[i], *cell[i + 2 :]]
        yield tuple(
            tuple(edge._replace(source=numbers.get(edge.source, edge.source)) for edge in node)
            for node in swapped
        )
