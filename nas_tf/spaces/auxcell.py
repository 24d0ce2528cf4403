"""The space of decoders with auxiliary cells (CVPR 2019): blocks of two layers, and one cell."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple, TypeAlias

from msgspec import Meta

from nas_tf.genotype import Genotype
from nas_tf.spaces.base import SearchSpace, Token, expect_length, starts_with_list
from nas_tf.spaces.canonical import closure, smallest_rows
from nas_tf.spaces.wording import decoder_vocabulary, layer, listed, short_layer

OPS = (
    "conv1x1",
    "conv3x3",
    "sep3x3",
    "sep5x5",
    "gap",
    "conv3x3_rate3",
    "conv3x3_rate12",
    "sep3x3_rate3",
    "sep5x5_rate6",
    "skip",
    "zero",
)
SKIP, ZERO = OPS.index("skip"), OPS.index("zero")
TAPS = 4
Count: TypeAlias = Annotated[int, Meta(ge=1, le=10)]


class Branch(NamedTuple):
    """Two earlier positions of the cell and the operations on them, whose results are summed."""

    left: int
    right: int
    left_op: int
    right_op: int


@dataclass(frozen=True, slots=True)
class AuxCellDesign:
    """A genotype of this space with its parts named.

    Positions inside the cell: 0 is its input, 1 the first operation, then for branch ``b`` (from
    0) ``2 + 3b`` and ``3 + 3b`` are its two operations and ``4 + 3b`` is their sum. Layers: 0–3
    are the taps, then come the blocks.

    ::

        design = AuxCellDesign.of(spaces.resolve("arch1"))
        design.loose_blocks  # [5, 6]
    """

    blocks: tuple[tuple[int, int], ...]
    first_op: int
    branches: tuple[Branch, ...]

    @classmethod
    def of(cls, genotype: Genotype) -> "AuxCellDesign":
        """Returns the design of a genotype."""
        connections, (first_op, *branches) = genotype.parts
        return cls(connections, first_op, tuple(Branch(*branch) for branch in branches))

    def genotype(self) -> Genotype:
        """Returns the genotype of this design, in the paper's order."""
        return Genotype.of("auxcell", (self.blocks, (self.first_op, *self.branches)))

    @property
    def loose_positions(self) -> list[int]:
        """The first operation and the branch sums that no later branch reads; they are summed."""
        return _loose_positions(self.branches)

    @property
    def loose_blocks(self) -> list[int]:
        """Layer numbers of the blocks that no later block reads; they form the output."""
        read = {layer for block in self.blocks for layer in block}
        return [n for n in range(TAPS, TAPS + len(self.blocks)) if n not in read]


@dataclass(frozen=True, kw_only=True)
class AuxCellSpace(SearchSpace):
    """The space of Nekrasov et al., CVPR 2019: 19 tokens with three blocks and three branches.

    ::

        space = AuxCellSpace()
        genotype = space.sample(random.Random(0))
        space.decode(space.encode(genotype)) == genotype

    Args:
        blocks: Number of blocks; each chooses two of the four taps and the earlier blocks.
        branches: Number of branches; each chooses two earlier positions and two operations.
    """

    name = "auxcell"
    network_settings = ("width", "sep_repeats", "auxiliary")
    vocabulary = decoder_vocabulary(OPS, SearchSpace.taps)
    blocks: Count = 3
    branches: Count = 3

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the connections, then those of the cell, numbered as in the paper."""
        connections = [
            Token(f"connections.c{2 * k + side}", TAPS + k, "taps 0–3, then earlier blocks")
            for k in range(self.blocks)
            for side in (1, 2)
        ]
        cell = [Token("cell.o1", len(OPS), "operations")]
        for b in range(self.branches):
            for kind, size, chooses in (
                ("i", 2 + 3 * b, "earlier positions"),
                ("o", len(OPS), "operations"),
            ):
                cell += [Token(f"cell.{kind}{2 * b + n}", size, chooses) for n in (2, 3)]
        return (*connections, *cell)

    def _layout(self, tokens: Sequence[int]) -> Any:
        pairs, cell = tokens[: 2 * self.blocks], tokens[2 * self.blocks :]
        return [
            [pairs[n : n + 2] for n in range(0, len(pairs), 2)],
            [cell[0], *(cell[n : n + 4] for n in range(1, len(cell), 4))],
        ]

    def _flatten(self, brackets: Any) -> list[Any]:
        connections, cell = expect_length("genotype", brackets, 2, "parts (connections, cell)")
        expect_length("connections", connections, self.blocks, "pairs")
        expect_length("cell", cell, 1 + self.branches, "entries (first operation, branches)")
        tokens: list[Any] = []
        for k, pair in enumerate(connections):
            tokens += expect_length(f"connections pair {k + 1}", pair, 2, "layers")
        tokens.append(cell[0])
        for b, branch in enumerate(cell[1:]):
            tokens += expect_length(f"cell branch {b + 1}", branch, 4, "integers")
        return tokens

    def read(self, brackets: Any) -> Any:
        """Accepts the order of the authors' code too, in which the cell is first."""
        return _connections_first(brackets)

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, int] | None:
        """Recognises two parts, pairs and a cell, in either order."""
        parts = _connections_first(brackets)
        if not isinstance(parts, (list, tuple)) or len(parts) != 2:
            return None
        connections, cell = parts
        if not _looks_like_cell(cell) or not starts_with_list(connections):
            return None
        if starts_with_list(connections[0]):  # a restoration network's cell of pairs
            return None
        return {"blocks": len(connections), "branches": len(cell) - 1}

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes each block and its inputs, then the cell by its operations."""
        design = AuxCellDesign.of(genotype)
        lines = [
            f"block {k}: a cell on {layer(a, self.taps)} + a cell on {layer(b, self.taps)}"
            for k, (a, b) in enumerate(design.blocks, 1)
        ]
        lines.append(f"output: {listed([layer(n, self.taps) for n in design.loose_blocks])}")
        lines.append(f"cell op1: {OPS[design.first_op]} of the input")
        for b, branch in enumerate(design.branches, 1):
            lines.append(
                f"cell branch {b}: {OPS[branch.left_op]} of {_position(branch.left)} + "
                f"{OPS[branch.right_op]} of {_position(branch.right)}"
            )
        lines.append(f"cell output: {listed([_position(n) for n in design.loose_positions])}")
        return lines

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns the operations of the cell and the inputs of the blocks."""
        design = AuxCellDesign.of(genotype)
        ops = [design.first_op]
        for branch in design.branches:
            ops += [branch.left_op, branch.right_op]
        joined = [number for block in design.blocks for number in block]
        return {
            "operations": [OPS[op] for op in ops],
            "connections": [short_layer(number, self.taps) for number in joined],
        }

    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the smallest order of blocks and branches, with inputs of ``zero`` set to 0.

        Genotypes have the same canonical form if they differ in order, in the sides of a pair, in
        the inputs of ``zero``, or in reading a ``skip`` instead of its input. Sums that are equal
        only in another grouping, which needs a ``skip`` or ``zero``, are not recognised.
        """
        self.validate(genotype)
        design = AuxCellDesign.of(genotype)
        branches = min(_canonical_branches(variant) for variant in _zero_variants(design))
        return AuxCellDesign(_canonical_blocks(design), design.first_op, branches).genotype()

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields swaps in a pair, swaps of independent neighbours, and other ``zero`` inputs."""
        design = AuxCellDesign.of(genotype)
        for blocks in _block_rewrites(design.blocks):
            yield AuxCellDesign(blocks, design.first_op, design.branches).genotype()
        for branches in _branch_rewrites(design.branches):
            yield AuxCellDesign(design.blocks, design.first_op, branches).genotype()

    def class_size(self, genotype: Genotype) -> int:
        """Multiplies the class sizes of connections and cell, which are independent."""
        design = AuxCellDesign.of(genotype)
        blocks = closure(design.blocks, _block_rewrites)
        return len(blocks) * len(closure(design.branches, _branch_rewrites))


def _position(number: int) -> str:
    """Names a position inside a cell."""
    if number < 2:
        return ("the input", "op1")[number]
    branch, part = divmod(number - 2, 3)
    return f"branch {branch + 1}" + (" left", " right", "")[part]


def _connections_first(brackets: Any) -> Any:
    is_pair = isinstance(brackets, (list, tuple)) and len(brackets) == 2
    return [brackets[1], brackets[0]] if is_pair and _looks_like_cell(brackets[0]) else brackets


def _looks_like_cell(part: Any) -> bool:
    return isinstance(part, (list, tuple)) and bool(part) and isinstance(part[0], int)


def _canonical_blocks(design: AuxCellDesign) -> tuple[tuple[int, int], ...]:
    def spellings(item: tuple[int, tuple[int, int]], numbers: Mapping[Any, int]) -> Iterator[Any]:
        layer, pair = item
        if all(source in numbers for source in pair):
            yield tuple(sorted(numbers[source] for source in pair)), (layer,)

    blocks = list(enumerate(design.blocks, TAPS))
    return tuple(smallest_rows(range(TAPS), blocks, spellings))  # type: ignore[arg-type]


def _canonical_branches(design: AuxCellDesign) -> tuple[Branch, ...]:
    def spellings(item: tuple[int, Branch], numbers: Mapping[Any, int]) -> Iterator[Any]:
        first, branch = item
        if branch.left in numbers and branch.right in numbers:
            left, right = numbers[branch.left], numbers[branch.right]
            positions = (first, first + 1, first + 2)
            yield Branch(left, right, branch.left_op, branch.right_op), positions
            positions = (first + 1, first, first + 2)
            yield Branch(right, left, branch.right_op, branch.left_op), positions

    items = [(2 + 3 * b, branch) for b, branch in enumerate(design.branches)]
    return tuple(smallest_rows((0, 1), items, spellings))  # type: ignore[arg-type]


def _loose_positions(branches: Sequence[Branch]) -> list[int]:
    read = {position for branch in branches for position in branch[:2]}
    sums = range(4, 4 + 3 * len(branches), 3)
    return [position for position in (1, *sums) if position not in read]


def _reads_through_skips(branches: Sequence[Branch]) -> Callable[[int], int]:
    """Returns a function from a position to the position whose value it holds, past all skips."""
    inner = {
        2 + 3 * b + side: (branch[side], branch[2 + side])
        for b, branch in enumerate(branches)
        for side in (0, 1)
    }

    def source(position: int) -> int:
        while position in inner and inner[position][1] == SKIP:
            position = inner[position][0]
        return position

    return source


def _zero_variants(design: AuxCellDesign) -> Iterator[AuxCellDesign]:
    """Yields the design with inputs past all skips, for each way ``zero`` can keep positions read.

    An operation ``zero`` ignores the value that it reads, but a position that it reads is no
    longer loose. Only that effect is preserved: each position that nothing but ``zero`` reads is
    assigned to one of the later ``zero`` operations, and all others read 0. (The input of a skip
    is read by the skip itself, so reading it directly makes no position loose.)
    """
    source = _reads_through_skips(design.branches)
    refs = [(source(b[side]), b[2 + side]) for b in design.branches for side in (0, 1)]
    settled = {position for position, op in refs if op != ZERO} | set(design.loose_positions)
    sums = range(4, 4 + 3 * len(design.branches), 3)
    hidden = [position for position in (1, *sums) if position not in settled]
    zeros = [n for n, (_, op) in enumerate(refs) if op == ZERO]
    for chosen in itertools.permutations(zeros, len(hidden)):
        hides = dict(zip(chosen, hidden, strict=True))
        if any(position >= 2 + 3 * (n // 2) for n, position in hides.items()):
            continue
        reads = [hides.get(n, 0) if op == ZERO else p for n, (p, op) in enumerate(refs)]
        branches = tuple(
            Branch(reads[2 * b], reads[2 * b + 1], branch.left_op, branch.right_op)
            for b, branch in enumerate(design.branches)
        )
        yield AuxCellDesign(design.blocks, design.first_op, branches)


def _block_rewrites(
    blocks: tuple[tuple[int, int], ...],
) -> Iterator[tuple[tuple[int, int], ...]]:
    for k, (first, second) in enumerate(blocks):
        yield (*blocks[:k], (second, first), *blocks[k + 1 :])
    for k in range(len(blocks) - 1):
        layer = TAPS + k
        if layer in blocks[k + 1]:
            continue
        numbers = {layer: layer + 1, layer + 1: layer}
        swapped = [*blocks[:k], blocks[k + 1], blocks[k], *blocks[k + 2 :]]
        yield tuple((numbers.get(a, a), numbers.get(b, b)) for a, b in swapped)


def _branch_rewrites(branches: tuple[Branch, ...]) -> Iterator[tuple[Branch, ...]]:
    yield from _reordered_branches(branches)
    source = _reads_through_skips(branches)
    for b, branch in enumerate(branches):
        for side, position in itertools.product((0, 1), range(2 + 3 * b)):
            same_value = branch[2 + side] == ZERO or source(position) == source(branch[side])
            if not same_value or position == branch[side]:
                continue
            moved = branch._replace(**{Branch._fields[side]: position})
            after = (*branches[:b], moved, *branches[b + 1 :])
            if _loose_positions(after) == _loose_positions(branches):
                yield after


def _reordered_branches(branches: tuple[Branch, ...]) -> Iterator[tuple[Branch, ...]]:
    for b, branch in enumerate(branches):
        first = 2 + 3 * b
        mirrored = Branch(branch.right, branch.left, branch.right_op, branch.left_op)
        numbers = {first: first + 1, first + 1: first}
        yield _renumbered((*branches[:b], mirrored, *branches[b + 1 :]), numbers)
        own = range(first, first + 3)
        if b + 1 < len(branches) and not set(branches[b + 1][:2]) & set(own):
            numbers = {n: n + 3 for n in own} | {n + 3: n for n in own}
            swapped = (*branches[:b], branches[b + 1], branch, *branches[b + 2 :])
            yield _renumbered(swapped, numbers)


def _renumbered(branches: tuple[Branch, ...], numbers: Mapping[int, int]) -> tuple[Branch, ...]:
    return tuple(
        Branch(numbers.get(b.left, b.left), numbers.get(b.right, b.right), b.left_op, b.right_op)
        for b in branches
    )
