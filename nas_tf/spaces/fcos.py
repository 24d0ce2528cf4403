"""The space of NAS-FCOS (CVPR 2020): a detector's feature pyramid, and its head."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces.base import SearchSpace, Token, expect_length, read_brackets
from nas_tf.spaces.canonical import closure, smallest_rows
from nas_tf.spaces.wording import decoder_vocabulary, layer, listed, short_layer

OPS = ("sep3x3", "sep3x3_rate3", "sep5x5_rate6", "skip", "deformable3x3")
AGGREGATIONS = ("weighted_sum", "concat")
HEAD_OPS = ("conv1x1", "conv3x3", "sep3x3", "sep3x3_rate3", "skip", "deformable3x3")
TAPS, BLOCKS, LAYERS, OUTPUTS = 4, 7, 6, 3
SHARING = ("all", *(f"from layer {n}" for n in range(2, LAYERS + 1)), "none")
_SUM, _HEAD_SKIP = AGGREGATIONS.index("weighted_sum"), HEAD_OPS.index("skip")


class Block(NamedTuple):
    """Two earlier features, the operations on them, and how the results are aggregated."""

    left: int
    right: int
    left_op: int
    right_op: int
    aggregation: int

    @property
    def mirrored(self) -> "Block":
        """The block with its sides exchanged."""
        return Block(self.right, self.left, self.right_op, self.left_op, self.aggregation)


class Head(NamedTuple):
    """The layers of a tower; those before ``share`` have weights of their own in each level."""

    share: int
    ops: tuple[int, ...]

    @property
    def unshared(self) -> int:
        """The number of layers with weights that the levels do not share."""
        return sum(op != _HEAD_SKIP for op in self.ops[: self.share])


@dataclass(frozen=True, slots=True)
class FcosDesign:
    """A genotype of this space with its parts named.

    Features 0–3 are those of the encoder, then come the blocks. Without blocks, the pyramid is the
    hand-made one of FPN. ``head`` is None for the plain head of FCOS.

    ::

        design = FcosDesign.of(spaces.resolve("nas-fcos"))
        design.outputs  # [8, 9, 10]
    """

    blocks: tuple[Block, ...]
    head: Head | None = None

    @classmethod
    def of(cls, genotype: Genotype) -> "FcosDesign":
        """Returns the design of a genotype."""
        blocks, *head = genotype.parts if _has_head(genotype.parts) else (genotype.parts,)
        tower = Head(head[0][0], tuple(head[1])) if head else None
        return cls(tuple(Block(*block) for block in blocks), tower)

    def genotype(self) -> Genotype:
        """Returns the genotype of this design."""
        blocks = [list(block) for block in self.blocks]
        if self.head is None:
            return Genotype.of("fcos", blocks)
        return Genotype.of("fcos", [blocks, [self.head.share], list(self.head.ops)])

    @property
    def loose(self) -> list[int]:
        """The blocks' features that no later block reads, in their order."""
        read = {feature for block in self.blocks for feature in block[:2]}
        return [n for n in range(TAPS, TAPS + len(self.blocks)) if n not in read]

    @property
    def outputs(self) -> list[int]:
        """The features of the levels P5, P4 and P3, in this order."""
        return self.loose[-OUTPUTS:]

    @property
    def added(self) -> list[int]:
        """The other loose features, which are added to each of the outputs."""
        return self.loose[:-OUTPUTS]


@dataclass(frozen=True, kw_only=True)
class FcosSpace(SearchSpace):
    """The space of Wang et al., CVPR 2020: a pyramid of seven blocks, and towers of six layers.

    ::

        space = spaces.get({"name": "fcos", "search": "head", "fpn": "nas-fcos-fpn"})

    Args:
        search: The part that the tokens choose: the pyramid ``fpn`` under the plain head of FCOS,
            the ``head`` on a fixed pyramid, or ``both``.
        fpn: The brackets of the fixed pyramid, for ``search: head``.
        ops: The operations of the ``paper``, or the ``portable`` ones, which leave out deformable
            convolutions: few runtimes have them.
    """

    name = "fcos"
    network_settings = ("width", "head_width")
    fixed_parts = ("fpn",)
    vocabulary: ClassVar[Mapping[str, Sequence[str]]] = {
        **decoder_vocabulary(OPS, SearchSpace.taps),
        "aggregations": AGGREGATIONS,
        "head operations": HEAD_OPS,
        "shared layers": SHARING,
    }
    search: Literal["fpn", "head", "both"] = "both"
    fpn: str = ""
    ops: Literal["paper", "portable"] = "paper"

    def __post_init__(self) -> None:
        """Raises ``ConfigError`` if the fixed pyramid is missing, or given without effect."""
        super().__post_init__()
        if self.search == "head" and not self.fpn:
            known = "a run, such as runs/NAME#1, a published name, or brackets"
            raise ConfigError(f"space.fpn is missing, expected the pyramid of the heads: {known}")
        if self.fpn and self.search != "head":
            raise ConfigError(f"space.fpn is given, expected none for search {self.search}")
        if self.fpn:
            object.__setattr__(self, "fpn", str(FcosDesign(self._fixed).genotype()))

    def __str__(self) -> str:
        text = super().__str__()
        return text.replace(self.fpn, f"fcos-{self.baseline.digest}") if self.baseline else text

    @property
    def baseline(self) -> Genotype | None:
        """The fixed pyramid with the plain head, where heads are searched."""
        return FcosDesign(self._fixed).genotype() if self.fpn else None

    @cached_property
    def _fixed(self) -> tuple[Block, ...]:
        """The pyramid that is not searched."""
        pyramids = FcosSpace(search="fpn")
        try:
            brackets = read_brackets(self.fpn)
            found = pyramids.parse(brackets[0] if _has_head(brackets) else brackets)
        except GenotypeError as error:
            raise ConfigError(f"space.fpn: {error}") from None
        blocks, reason = FcosDesign.of(found).blocks, pyramids.refusal(found)
        if self.ops == "portable" and any(len(OPS) - 1 in block[2:4] for block in blocks):
            reason = "it has deformable convolutions, expected space.ops=paper with it"
        if reason:
            raise ConfigError(f"space.fpn: {reason}")
        return blocks

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the pyramid block by block, then the sharing and those of the tower."""
        left_out = 0 if self.ops == "paper" else 1
        pyramid = [
            token
            for t in range(BLOCKS)
            for token in (
                Token(f"block{t + 1}.l1", TAPS + t, "features 0–3, then earlier blocks"),
                Token(f"block{t + 1}.l2", TAPS + t, "features 0–3, then earlier blocks"),
                Token(f"block{t + 1}.op1", len(OPS) - left_out, "operations"),
                Token(f"block{t + 1}.op2", len(OPS) - left_out, "operations"),
                Token(f"block{t + 1}.agg", len(AGGREGATIONS), "aggregations"),
            )
        ]
        head = [Token("head.share", LAYERS + 1, "first layer that the levels share")]
        head += [
            Token(f"head.op{n + 1}", len(HEAD_OPS) - left_out, "head operations")
            for n in range(LAYERS)
        ]
        return tuple({"fpn": pyramid, "head": head, "both": pyramid + head}[self.search])

    def _layout(self, tokens: Sequence[int]) -> Any:
        rows = [list(block) for block in self._fixed] if self.search == "head" else []
        count = 0 if self.search == "head" else 5 * BLOCKS
        rows += [list(tokens[n : n + 5]) for n in range(0, count, 5)]
        head = tokens[count:]
        return [rows, [head[0]], list(head[1:])] if head else rows

    def _flatten(self, brackets: Any) -> list[Any]:
        if self.search == "fpn":
            return _flat_pyramid(brackets)
        entries = "parts (pyramid, sharing, layers of a tower)"
        pyramid, share, ops = expect_length("genotype", brackets, 3, entries)
        blocks = _flat_pyramid(pyramid)
        head = [
            *expect_length("sharing", share, 1, "integers"),
            *expect_length("tower", ops, LAYERS, "operations"),
        ]
        if self.search == "both":
            return blocks + head
        if blocks != [value for block in self._fixed for value in block]:
            raise GenotypeError(
                "genotype has another pyramid than the fixed one, expected that of the space's fpn"
            )
        return head

    def read(self, brackets: Any) -> Any:
        """Accepts a pyramid in brackets of its own, or without a head where that is fixed."""
        return brackets[0] if self.search == "fpn" and _is_wrapped(brackets) else brackets

    def parse(self, text: str | Sequence[Any]) -> Genotype:
        """Reads brackets; a pyramid alone, where both are searched, has the plain head."""
        brackets = read_brackets(text) if isinstance(text, str) else text
        if self.search == "both" and (self.arguments_of(brackets) or {}).get("search") == "fpn":
            return FcosSpace(search="fpn", ops=self.ops).parse(brackets)
        return SearchSpace.parse(self, brackets)

    def check_size(self, brackets: Any) -> None:
        """Raises an error if brackets have a head, or have none, unless it is the baseline."""
        found = (self.arguments_of(brackets) or {}).get("search")
        if found == "fpn" and self.search == "head" and [*map(tuple, brackets)] != [*self._fixed]:
            raise GenotypeError("genotype has no head, expected one for a search of heads")
        if found == "both" and self.search == "fpn":
            raise GenotypeError("genotype has a head, expected a pyramid alone for space fcos")

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, Any] | None:
        """Recognises a pyramid of rows of five, alone or with a head."""
        has_head = _has_head(brackets)
        rows = brackets[0] if has_head or _is_wrapped(brackets) else brackets
        if not isinstance(rows, (list, tuple)) or len(rows) != BLOCKS:
            return None
        if not all(isinstance(row, (list, tuple)) and len(row) == 5 for row in rows):
            return None
        return {"search": "both" if has_head else "fpn"}

    def refusal(self, genotype: Genotype) -> str | None:
        """Returns a reason if the pyramid has too few outputs."""
        count = len(FcosDesign.of(genotype).loose)
        if count >= OUTPUTS or not genotype.parts:
            return None
        return f"{count} of its blocks are read by no other, expected {OUTPUTS} or more as outputs"

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes each block and its inputs, the levels, then the towers."""
        design = FcosDesign.of(genotype)
        lines = []
        for k, block in enumerate(design.blocks, 1):
            sides = [
                f"{OPS[block[2 + side]]} of {layer(block[side], self.taps)}" for side in (0, 1)
            ]
            lines.append(f"block {k}: {AGGREGATIONS[block.aggregation]} of {' and '.join(sides)}")
        names = [layer(n, self.taps) for n in design.outputs]
        lines.append("levels: " + ", ".join(f"P{5 - n} {name}" for n, name in enumerate(names)))
        if not design.blocks:
            lines = [
                "pyramid: that of FPN, by hand",
                "levels: P3 to P5 of strides 8 to 32, P6, P7",
            ]
        if design.added:
            added = listed([layer(n, self.taps) for n in design.added])
            lines.append(f"added to each level: {added}")
        if design.head is None:
            return [*lines, "head: that of FCOS, four conv3x3, shared by all levels"]
        share, ops = design.head
        lines += [
            f"head layer {n + 1}: {HEAD_OPS[op]}, {'own weights' if n < share else 'shared'}"
            for n, op in enumerate(ops)
        ]
        return lines

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns the choices of the part that is searched, the layers that levels share too."""
        design = FcosDesign.of(genotype)
        blocks, head = design.blocks, design.head
        pyramid = {
            "operations": [OPS[op] for block in blocks for op in block[2:4]],
            "connections": [short_layer(n, self.taps) for block in blocks for n in block[:2]],
            "aggregations": [AGGREGATIONS[block.aggregation] for block in blocks],
        }
        towers = {
            "head operations": [HEAD_OPS[op] for op in head.ops] if head else [],
            "shared layers": [SHARING[head.share]] if head else [],
        }
        return {"fpn": pyramid, "head": towers, "both": pyramid | towers}[self.search]

    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the smallest order of blocks, sides of sums, and layers without weights.

        The order of outputs is part of a network: it decides which level each becomes. Sides of a
        concatenation are not exchanged, since they fill different channels.
        """
        self.validate(genotype)
        design = FcosDesign.of(genotype)
        blocks = design.blocks if self.search == "head" else _canonical_blocks(design)
        return FcosDesign(blocks, _canonical_head(design.head)).genotype()

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields swaps of sides and of independent blocks, and of layers without weights."""
        design = FcosDesign.of(genotype)
        if self.search != "head":
            for blocks in _block_rewrites(design.blocks):
                yield FcosDesign(blocks, design.head).genotype()
        for head in _head_rewrites(design.head):
            yield FcosDesign(design.blocks, head).genotype()

    def class_size(self, genotype: Genotype) -> int:
        """Multiplies the class sizes of pyramid and head, which are independent."""
        design = FcosDesign.of(genotype)
        heads = len(closure(design.head, _head_rewrites))
        if self.search == "head":
            return heads
        return heads * len(closure(design.blocks, _block_rewrites))


def _is_list(part: Any) -> bool:
    return isinstance(part, (list, tuple))


def _has_head(brackets: Any) -> bool:
    return _is_list(brackets) and len(brackets) == 3 and _is_list(brackets[0])


def _is_wrapped(brackets: Any) -> bool:
    return _is_list(brackets) and len(brackets) == 1


def _flat_pyramid(pyramid: Any) -> list[Any]:
    tokens: list[Any] = []
    for t, block in enumerate(expect_length("pyramid", pyramid, BLOCKS, "blocks"), 1):
        tokens += expect_length(f"block {t}", block, 5, "integers")
    return tokens


def _canonical_blocks(design: FcosDesign) -> tuple[Block, ...]:
    ordered, added = design.outputs, set(design.added)

    def spellings(item: tuple[int, Block], numbers: Mapping[Any, int]) -> Iterator[Any]:
        feature, block = item
        if any(source not in numbers for source in block[:2]):
            return
        if feature in ordered:
            before = {*added, *ordered[: ordered.index(feature)]}
            if any(other not in numbers for other in before):
                return
        forms = [block, block.mirrored] if block.aggregation == _SUM else [block]
        for form in forms:
            yield (numbers[form.left], numbers[form.right], *form[2:]), (feature,)

    items = list(enumerate(design.blocks, TAPS))
    return tuple(Block(*row) for row in smallest_rows(range(TAPS), items, spellings))


def _block_rewrites(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, ...]]:
    for k, block in enumerate(blocks):
        if block.aggregation == _SUM:
            yield (*blocks[:k], block.mirrored, *blocks[k + 1 :])
    design = FcosDesign(blocks)
    for k in range(len(blocks) - 1):
        first, second = TAPS + k, TAPS + k + 1
        if first in blocks[k + 1][:2]:
            continue
        if {first, second} <= set(design.loose) and second in design.outputs:
            continue  # the order of outputs, and what is before them, decides
        numbers = {first: second, second: first}
        swapped = [*blocks[:k], blocks[k + 1], blocks[k], *blocks[k + 2 :]]
        yield tuple(
            block._replace(
                left=numbers.get(block.left, block.left),
                right=numbers.get(block.right, block.right),
            )
            for block in swapped
        )


def _canonical_head(head: Head | None) -> Head | None:
    """Moves the layers without weights to the end."""
    if head is None:
        return None
    weighted = [op for op in head.ops if op != _HEAD_SKIP]
    skips = [_HEAD_SKIP] * (len(head.ops) - len(weighted))
    return Head(head.unshared, (*weighted, *skips))


def _head_rewrites(head: Head | None) -> Iterator[Head]:
    """Yields a skip and its neighbour exchanged, and other shares, of the same unshared layers."""
    if head is None:
        return
    orders = [head.ops]
    for n in range(LAYERS - 1):
        first, second = head.ops[n : n + 2]
        if (first == _HEAD_SKIP) != (second == _HEAD_SKIP):
            orders.append((*head.ops[:n], second, first, *head.ops[n + 2 :]))
    for ops in orders:
        for share in range(LAYERS + 1):
            other = Head(share, ops)
            if other != head and other.unshared == head.unshared:
                yield other
