"""The space of template decoders (WACV 2020): blocks that use a few two-operation templates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, NamedTuple, TypeAlias

from msgspec import Meta

from nas_tf.genotype import Genotype
from nas_tf.spaces.base import SearchSpace, Token, expect_length, starts_with_list
from nas_tf.spaces.canonical import smallest_rows
from nas_tf.spaces.wording import decoder_vocabulary, layer, listed, short_layer

OPS = ("sep3x3", "sep5x5", "gap", "maxpool3x3", "sep5x5_rate6", "skip")
AGGREGATIONS = ("sum", "concat")
TAPS = 2
MOST_REPEATS = 4
Count: TypeAlias = Annotated[int, Meta(ge=1, le=20)]


class Template(NamedTuple):
    """Two operations and the aggregation that joins their results."""

    left_op: int
    right_op: int
    aggregation: int


class Block(NamedTuple):
    """Two earlier layers, the template that joins them, its repeats and its stride."""

    left: int
    right: int
    template: int
    repeats_token: int
    stride_token: int

    @property
    def repeats(self) -> int:
        """The number of instances of the template in sequence."""
        return self.repeats_token + 1

    @property
    def stride(self) -> int:
        """The stride of the template's operations."""
        return 1 << self.stride_token


@dataclass(frozen=True, slots=True)
class TemplateDesign:
    """A genotype of this space with its parts named.

    Layers 0–1 are the taps, then come the blocks.

    ::

        design = TemplateDesign.of(spaces.resolve("wacv-arch0"))
        design.blocks[0].stride
    """

    templates: tuple[Template, ...]
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, genotype: Genotype) -> "TemplateDesign":
        """Returns the design of a genotype."""
        templates, structure = genotype.parts
        return cls(tuple(Template(*t) for t in templates), tuple(Block(*b) for b in structure))

    def genotype(self) -> Genotype:
        """Returns the genotype of this design."""
        return Genotype.of("template", (self.templates, self.blocks))

    @property
    def first_half(self) -> int:
        """The number of blocks that may have a stride and that resize to the smaller input."""
        return len(self.blocks) // 2

    @property
    def loose_blocks(self) -> list[int]:
        """Layer numbers of the blocks that no later block reads; they form the output."""
        read = {layer for block in self.blocks for layer in block[:2]}
        return [n for n in range(TAPS, TAPS + len(self.blocks)) if n not in read]


@dataclass(frozen=True, kw_only=True)
class TemplateSpace(SearchSpace):
    """The space of Nekrasov et al., WACV 2020: 3·M + 5·N tokens.

    ::

        space = TemplateSpace(templates=2, blocks=4)
        genotype = space.sample(random.Random(0))

    Args:
        templates: M, the number of templates that a genotype defines.
        blocks: N, the number of blocks that use them.
    """

    name = "template"
    taps = (4, 8)
    vocabulary = decoder_vocabulary(OPS, taps)
    templates: Count = 3
    blocks: Count = 7

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the templates, then those of the blocks.

        The stride can be chosen in the first half of the blocks only.
        """
        tokens = []
        for m in range(1, self.templates + 1):
            tokens += [Token(f"template{m}.op{n}", len(OPS), "operations") for n in (1, 2)]
            tokens.append(Token(f"template{m}.aggregation", len(AGGREGATIONS), "sum, concat"))
        for k in range(self.blocks):
            block = f"block{k + 1}"
            reads = "taps 0–1, then earlier blocks"
            tokens += [Token(f"{block}.loc{n}", TAPS + k, reads) for n in (1, 2)]
            tokens.append(Token(f"{block}.template", self.templates, "templates"))
            tokens.append(Token(f"{block}.repeats", MOST_REPEATS, "repeats minus one"))
            free = k < self.blocks // 2
            chooses = (
                "log2 of the stride" if free else "no stride in the second half of the blocks"
            )
            tokens.append(Token(f"{block}.stride", 2 if free else 1, chooses))
        return tuple(tokens)

    def _layout(self, tokens: Sequence[int]) -> Any:
        head, tail = tokens[: 3 * self.templates], tokens[3 * self.templates :]
        return [
            [head[n : n + 3] for n in range(0, len(head), 3)],
            [tail[n : n + 5] for n in range(0, len(tail), 5)],
        ]

    def _flatten(self, brackets: Any) -> list[Any]:
        templates, structure = expect_length("genotype", brackets, 2, "parts (templates, blocks)")
        expect_length("templates", templates, self.templates, "templates")
        expect_length("structure", structure, self.blocks, "blocks")
        tokens: list[Any] = []
        for m, template in enumerate(templates, 1):
            tokens += expect_length(f"template {m}", template, 3, "integers (op, op, aggregation)")
        for k, block in enumerate(structure, 1):
            entries = "integers (layer, layer, template, repeats − 1, log2 stride)"
            tokens += expect_length(f"block {k}", block, 5, entries)
        return tokens

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, int] | None:
        """Recognises two parts of lists: the templates and the blocks."""
        if not isinstance(brackets, (list, tuple)) or len(brackets) != 2:
            return None
        if not all(starts_with_list(part) for part in brackets):
            return None
        return {"templates": len(brackets[0]), "blocks": len(brackets[1])}

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes each template and each block that applies one."""
        design = TemplateDesign.of(genotype)
        lines = []
        for m, (left, right, aggregation) in enumerate(design.templates, 1):
            used = sum(block.template == m - 1 for block in design.blocks)
            lines.append(
                f"template {m}: {AGGREGATIONS[aggregation]} of {OPS[left]} and {OPS[right]}, "
                f"used by {used} block{'s' * (used != 1)}"
            )
        for k, block in enumerate(design.blocks, 1):
            text = f"block {k}: template {block.template + 1} on {layer(block.left, self.taps)}"
            text += f" and {layer(block.right, self.taps)}"
            text += f", {block.repeats} times" if block.repeats > 1 else ""
            text += f", stride {block.stride}" if block.stride > 1 else ""
            lines.append(text)
        lines.append(f"output: {listed([layer(n, self.taps) for n in design.loose_blocks])}")
        return lines

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns what the blocks use: operations, inputs, repeats and down-sampling factors."""
        design = TemplateDesign.of(genotype)
        used = [design.templates[block.template] for block in design.blocks]
        ops = [op for template in used for op in (template.left_op, template.right_op)]
        joined = [number for block in design.blocks for number in block[:2]]
        return {
            "operations": [OPS[op] for op in ops],
            "connections": [short_layer(number, self.taps) for number in joined],
            "aggregations": [AGGREGATIONS[template.aggregation] for template in used],
            "repeats": [f"{block.repeats} times" for block in design.blocks],
            "down-sampling factors": [
                f"factor {block.stride}" for block in design.blocks[: design.first_half]
            ],
        }

    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the smallest order of the blocks in each half, with templates in order of use.

        A block that applies its template once is symmetric, so its pairs of layer and operation
        are sorted. Templates that no block uses become ``[0, 0, 0]``. Repeats that are divided
        between two blocks in another way, and blocks that could be in the other half as well, are
        not recognised as equal.
        """
        self.validate(genotype)
        return _renumbered(_ordered(TemplateDesign.of(genotype)), self.templates).genotype()

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields renumbered, mirrored or unused templates, and swaps of independent neighbours."""
        design = TemplateDesign.of(genotype)
        for templates, blocks in (*_template_rewrites(design), *_block_rewrites(design)):
            yield TemplateDesign(tuple(templates), tuple(blocks)).genotype()


def _content(design: TemplateDesign, block: Block) -> tuple[int, ...]:
    """Returns a block without its inputs; the operations of a single instance are sorted."""
    left, right, aggregation = design.templates[block.template]
    if block.repeats == 1:
        left, right = min(left, right), max(left, right)
    return left, right, aggregation, block.repeats_token, block.stride_token


def _ordered(design: TemplateDesign) -> list[tuple[tuple[int, int], tuple[int, ...]]]:
    """Returns rows of (layers, content) in canonical order."""

    def spellings(item: tuple[int, Block], numbers: Mapping[Any, int]) -> Iterator[Any]:
        layer, block = item
        late = layer >= TAPS + design.first_half
        if late and len(numbers) < TAPS + design.first_half:
            return
        if block.left not in numbers or block.right not in numbers:
            return
        left_op, right_op, _ = design.templates[block.template]
        ends = ((left_op, numbers[block.left]), (right_op, numbers[block.right]))
        if block.repeats == 1:
            ends = tuple(sorted(ends))  # type: ignore[assignment]
        yield ((ends[0][1], ends[1][1]), _content(design, block)), (layer,)

    return smallest_rows(range(TAPS), list(enumerate(design.blocks, TAPS)), spellings)  # type: ignore[return-value]


def _renumbered(rows: list[Any], count: int) -> TemplateDesign:
    """Assigns templates to the rows, mirroring single instances to fit the repeated ones."""
    repeated = {Template(*content[:3]) for _, content in rows if content[3] > 0}
    templates: list[Template] = []
    blocks = []
    for (left, right), content in rows:
        template = Template(*content[:3])
        mirrored = Template(template.right_op, template.left_op, template.aggregation)
        if template not in repeated and mirrored in repeated:
            template, left, right = mirrored, right, left
        if template not in templates:
            templates.append(template)
        blocks.append(Block(left, right, templates.index(template), *content[3:]))
    templates += [Template(0, 0, 0)] * (count - len(templates))
    return TemplateDesign(tuple(templates), tuple(blocks))


def _template_rewrites(design: TemplateDesign) -> Iterator[tuple[Any, Any]]:
    templates, blocks = design.templates, design.blocks
    for m in range(len(templates) - 1):
        order = [*templates[:m], templates[m + 1], templates[m], *templates[m + 2 :]]
        names = {m: m + 1, m + 1: m}
        yield order, [b._replace(template=names.get(b.template, b.template)) for b in blocks]
    for m, template in enumerate(templates):
        users = [b for b in blocks if b.template == m]
        mirrored = template._replace(left_op=template.right_op, right_op=template.left_op)
        others = [mirrored] if all(b.repeats == 1 for b in users) else []
        if not users:
            others += [
                template._replace(left_op=(template.left_op + 1) % len(OPS)),
                template._replace(aggregation=1 - template.aggregation),
            ]
        for other in others:
            swapped = [b._replace(left=b.right, right=b.left) for b in blocks]
            users_mirrored = [
                n if o.template == m else o for o, n in zip(blocks, swapped, strict=True)
            ]
            yield [*templates[:m], other, *templates[m + 1 :]], users_mirrored


def _block_rewrites(design: TemplateDesign) -> Iterator[tuple[Any, Any]]:
    blocks, templates = design.blocks, design.templates
    for k, block in enumerate(blocks):
        own = templates[block.template]
        mirrored = Template(own.right_op, own.left_op, own.aggregation)
        for m, template in enumerate(templates):
            same, crossed = (
                block._replace(template=m),
                block._replace(left=block.right, right=block.left, template=m),
            )
            if template == own and same != block:
                yield templates, (*blocks[:k], same, *blocks[k + 1 :])
            if template == mirrored and block.repeats == 1 and crossed != block:
                yield templates, (*blocks[:k], crossed, *blocks[k + 1 :])
    for k in range(len(blocks) - 1):
        layer = TAPS + k
        if k + 1 == design.first_half or layer in blocks[k + 1][:2]:
            continue
        numbers = {layer: layer + 1, layer + 1: layer}
        swapped = (*blocks[:k], blocks[k + 1], blocks[k], *blocks[k + 2 :])
        yield (
            templates,
            [
                b._replace(left=numbers.get(b.left, b.left), right=numbers.get(b.right, b.right))
                for b in swapped
            ],
        )
