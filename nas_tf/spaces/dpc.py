"""The space of dense prediction cells (DPC, NeurIPS 2018): concatenated branches, 81 operators."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from reprlib import repr as short
from typing import Annotated, Any, ClassVar, NamedTuple

from msgspec import Meta

from nas_tf.errors import GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces.base import SearchSpace, Token
from nas_tf.spaces.canonical import smallest_rows

RATES = (1, 3, 6, 9, 12, 15, 18, 21)
GRIDS = (1, 2, 4, 8)


class Operator(NamedTuple):
    """One of the 81 operators: ``conv1x1``, ``sep3x3`` with rates, or ``pool`` with a grid."""

    kind: str
    rows: int
    columns: int

    def __str__(self) -> str:
        return self.kind if self.kind == "conv1x1" else f"{self.kind}_{self.rows}x{self.columns}"


OPS = (
    Operator("conv1x1", 1, 1),
    *(Operator("sep3x3", rows, columns) for rows in RATES for columns in RATES),
    *(Operator("pool", rows, columns) for rows in GRIDS for columns in GRIDS),
)
_NUMBER = {str(op): number for number, op in enumerate(OPS)}


class Branch(NamedTuple):
    """The input of a branch (0 the feature map, ``k`` the ``k``-th branch) and its operator."""

    source: int
    op: int

    @property
    def operator(self) -> Operator:
        """The operator of number ``op``."""
        return OPS[self.op]


def branches_of(genotype: Genotype) -> tuple[Branch, ...]:
    """Returns the branches of a genotype."""
    return tuple(Branch(*part) for part in genotype.parts)  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class DPCSpace(SearchSpace):
    """The space of Chen et al., NeurIPS 2018: B! · 81^B cells.

    ::

        space = DPCSpace(branches=2)
        genotype = space.parse([[0, "conv1x1"], [1, "sep3x3_1x6"]])

    Args:
        branches: B; branch ``k`` reads the feature map or an earlier branch.
    """

    name = "dpc"
    taps = (32,)
    smallest_side = 16  # the published output stride, at which that tap is computed
    network_settings = ("width", "output_stride", "pool_mode", "decoder")
    fixed_size = True
    vocabulary: ClassVar[Mapping[str, Sequence[str]]] = {
        "operations": ("conv1x1", "sep3x3", "pool"),
        "rates": tuple(f"rate {rate}" for rate in RATES),
    }
    branches: Annotated[int, Meta(ge=1, le=10)] = 5

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The input and the operator of each branch in turn."""
        reads = "0 the feature map, then earlier branches"
        operators = "0 conv1x1, 1–64 sep3x3 by rates, 65–80 pool by grid"
        return tuple(
            token
            for k in range(1, self.branches + 1)
            for token in (
                Token(f"branch{k}.input", k, reads),
                Token(f"branch{k}.op", len(OPS), operators),
            )
        )

    def _layout(self, tokens: Sequence[int]) -> Any:
        return [list(pair) for pair in zip(tokens[::2], tokens[1::2], strict=True)]

    def _flatten(self, brackets: Any) -> list[Any]:
        if not isinstance(brackets, (list, tuple)):
            raise GenotypeError(f"genotype is {short(brackets)}, expected a list of branches")
        if len(brackets) != self.branches:
            raise GenotypeError(f"cell has {len(brackets)} branches, expected {self.branches}")
        tokens: list[Any] = []
        for k, branch in enumerate(brackets, 1):
            if not isinstance(branch, (list, tuple)) or len(branch) != 2:
                raise GenotypeError(f"branch{k} is {short(branch)}, expected [input, operator]")
            tokens += branch
        return tokens

    def read(self, brackets: Any) -> Any:
        """Accepts the released JSON (dictionaries, −1 the feature map), names and numbers.

        Pairs may count their inputs from −1 as the release does. The first branch shows which
        count it is, as it can read the feature map only.
        """
        if not isinstance(brackets, (list, tuple)) or not brackets:
            return brackets
        pairs = [_pair(k, branch) for k, branch in enumerate(brackets, 1)]
        first = pairs[0]
        if isinstance(first, (list, tuple)) and first and first[0] == -1:
            return [_counted_from_0(pair) for pair in pairs]
        return pairs

    @classmethod
    def arguments_of(cls, brackets: Any) -> Mapping[str, int] | None:
        """Recognises a list of branches, each a dictionary or a pair that begins with a number."""
        if not isinstance(brackets, (list, tuple)) or not brackets:
            return None
        return {"branches": len(brackets)} if all(map(_looks_like_branch, brackets)) else None

    @staticmethod
    def parts(genotype: Genotype) -> list[Genotype]:
        """Returns a cell for every non-empty subset of a cell's branches, the smallest first.

        The 31 parts of ASPP are those of the paper's pilot study.
        """
        for k, branch in enumerate(branches_of(genotype), 1):
            if branch.source:
                raise GenotypeError(
                    f"branch{k} reads branch{branch.source}, expected a cell whose branches all "
                    "read the feature map, such as aspp"
                )
        pairs = genotype.parts
        return [
            Genotype(genotype.space, chosen)
            for count in range(1, len(pairs) + 1)
            for chosen in combinations(pairs, count)
        ]

    def describe(self, genotype: Genotype) -> list[str]:
        """Describes each branch by its operator and its input."""
        lines = []
        for k, branch in enumerate(branches_of(genotype), 1):
            source = "the feature map" if branch.source == 0 else f"branch {branch.source}"
            lines.append(f"branch {k}: {branch.operator} of {source}")
        return [*lines, "output: all branches concatenated"]

    def choices(self, genotype: Genotype) -> Mapping[str, list[str]]:
        """Returns the kinds of operators, the rates, and the inputs of the branches."""
        branches = branches_of(genotype)
        operators = [branch.operator for branch in branches]
        dilated = [operator for operator in operators if operator.kind == "sep3x3"]
        return {
            "operations": [operator.kind for operator in operators],
            "rates": [f"rate {rate}" for op in dilated for rate in (op.rows, op.columns)],
            "connections": [
                f"branch {branch.source}" if branch.source else "feature map"
                for branch in branches
            ],
        }

    def spell(self, genotype: Genotype) -> str:
        """Returns pairs of input and operator name."""
        return "[" + ",".join(f'[{b.source},"{b.operator}"]' for b in branches_of(genotype)) + "]"

    def released(self, genotype: Genotype) -> list[dict[str, Any]]:
        """Returns the cell in the released JSON, a dictionary a branch, as ``parse`` reads it.

        Inputs count from -1, the feature map.
        """
        self.validate(genotype)
        return [
            {"input": branch.source - 1, **_released(branch.operator)}
            for branch in branches_of(genotype)
        ]

    def canonical(self, genotype: Genotype) -> Genotype:
        """Returns the smallest order of the branches; their order does not change the network."""
        self.validate(genotype)

        def spellings(item: tuple[int, Branch], numbers: Mapping[Any, int]) -> Iterator[Any]:
            number, branch = item
            if branch.source in numbers:
                yield (numbers[branch.source], branch.op), (number,)

        items = list(enumerate(branches_of(genotype), 1))
        return Genotype.of(self.name, smallest_rows((0,), items, spellings))

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        """Yields swaps of neighbouring branches that do not read each other."""
        branches = branches_of(genotype)
        for k in range(1, len(branches)):
            if branches[k].source == k:
                continue
            numbers = {k: k + 1, k + 1: k}
            swapped = (*branches[: k - 1], branches[k], branches[k - 1], *branches[k + 1 :])
            parts = [(numbers.get(b.source, b.source), b.op) for b in swapped]
            yield Genotype.of(self.name, parts)


def _looks_like_branch(branch: Any) -> bool:
    is_pair = isinstance(branch, (list, tuple)) and len(branch) == 2
    return isinstance(branch, Mapping) or (is_pair and isinstance(branch[0], int))


def _counted_from_0(pair: Any) -> Any:
    """Converts a pair of the release, where -1 is the feature map, to one where it is 0."""
    if not isinstance(pair, (list, tuple)) or not pair or not isinstance(pair[0], int):
        return pair
    return [pair[0] + 1, *pair[1:]]


def _pair(k: int, branch: Any) -> Any:
    """Converts a branch of any notation to [input, operator number]."""
    if isinstance(branch, Mapping):
        return [_released_input(k, branch), _released_operator(k, branch)]
    if isinstance(branch, (list, tuple)) and len(branch) == 2 and isinstance(branch[1], str):
        name = re.sub(r"[\s:]+", "_", branch[1].strip())
        if name not in _NUMBER:
            raise GenotypeError(
                f"token branch{k}.op is {short(branch[1])}, expected conv1x1, "
                f"sep3x3_RxC with rates of {list(RATES)}, or pool_RxC with grids of {list(GRIDS)}"
            )
        return [branch[0], _NUMBER[name]]
    return branch


def _released(operator: Operator) -> dict[str, Any]:
    """Returns the keys of an operator in the released JSON."""
    pair = [operator.rows, operator.columns]
    if operator.kind == "pool":
        return {"op": "pyramid_pooling", "grid_size": pair}
    if operator.kind == "conv1x1":
        return {"op": "conv", "kernel": 1}
    return {"op": "conv", "kernel": 3, "rate": pair}


def _field(k: int, branch: Mapping[str, Any], key: str) -> Any:
    if key not in branch:
        raise GenotypeError(f"branch{k} has no {key!r}, it has {short(sorted(map(str, branch)))}")
    return branch[key]


def _released_input(k: int, branch: Mapping[str, Any]) -> int:
    source = _field(k, branch, "input")
    if isinstance(source, bool) or not isinstance(source, int) or not -1 <= source < k - 1:
        accepted = "-1 (the feature map)" if k == 1 else f"-1–{k - 2} (-1 the feature map)"
        raise GenotypeError(f"token branch{k}.input is {short(source)}, expected {accepted}")
    return source


def _released_operator(k: int, branch: Mapping[str, Any]) -> int:
    kind = _field(k, branch, "op")
    if kind == "pyramid_pooling":
        return _numbered(k, "pool", "grid_size", _field(k, branch, "grid_size"), GRIDS)
    if kind != "conv":
        raise GenotypeError(
            f"token branch{k}.op is {short(kind)}, expected 'conv' or 'pyramid_pooling'"
        )
    kernel = _field(k, branch, "kernel")
    if kernel in (1, [1, 1], (1, 1)):
        return 0
    if kernel not in (3, [3, 3], (3, 3)):
        raise GenotypeError(f"token branch{k}.kernel is {short(kernel)}, expected 1 or 3")
    return _numbered(k, "sep3x3", "rate", branch.get("rate", [1, 1]), RATES)


def _numbered(k: int, kind: str, key: str, pair: Any, accepted: tuple[int, ...]) -> int:
    rows, columns = pair if isinstance(pair, (list, tuple)) and len(pair) == 2 else (pair, pair)
    if rows not in accepted or columns not in accepted:
        raise GenotypeError(
            f"token branch{k}.{key} is {short(pair)}, expected a pair of {list(accepted)}"
        )
    return _NUMBER[str(Operator(kind, int(rows), int(columns)))]
