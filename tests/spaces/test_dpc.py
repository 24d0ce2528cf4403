import json
import random

import pytest

from nas_tf import spaces
from nas_tf.errors import GenotypeError
from nas_tf.spaces.dpc import OPS, DPCSpace
from tests.contracts.space_contract import SpaceContract

TOP1_AS_RELEASED = [
    {"kernel": 3, "rate": [1, 6], "op": "conv", "input": -1},
    {"kernel": 3, "rate": [18, 15], "op": "conv", "input": 0},
    {"kernel": [3, 3], "rate": [6, 3], "op": "conv", "input": 1},
    {"kernel": 3, "rate": [1, 1], "op": "conv", "input": 0},
    {"kernel": 3, "rate": [6, 21], "op": "conv", "input": 0},
]


class TestDPCSpace(SpaceContract):
    space = DPCSpace()


class TestThreeBranches(SpaceContract):
    space = DPCSpace(branches=3)

    def test_a_description_has_a_line_for_each_part(self) -> None:
        assert len(spaces.describe(self.sampled(1)).splitlines()) == 4


@pytest.mark.parametrize(
    ("branches", "size"),
    [(1, 81), (2, 13_122), (3, 3_188_646), (4, 1_033_121_304), (5, 418_414_128_120)],
)
def test_cardinality(branches: int, size: int) -> None:
    assert DPCSpace(branches=branches).size == size


def test_there_are_81_operators() -> None:
    kinds = [op.kind for op in OPS]
    assert [kinds.count(kind) for kind in ("conv1x1", "sep3x3", "pool")] == [1, 64, 16]
    assert len(set(OPS)) == 81


def test_the_released_json_is_the_published_cell() -> None:
    space = DPCSpace()
    assert space.parse(TOP1_AS_RELEASED) == spaces.resolve("dpc-top1")
    assert spaces.resolve(json.dumps(TOP1_AS_RELEASED)) == spaces.resolve("dpc-top1")


def test_pairs_may_count_inputs_as_the_release_does() -> None:
    names = ["sep3x3 1x6", "sep3x3 18x15", "sep3x3 6x3", "sep3x3 1x1", "sep3x3 6x21"]
    pairs = [[source, name] for source, name in zip((-1, 0, 1, 0, 0), names, strict=True)]
    assert DPCSpace().parse(pairs) == spaces.resolve("dpc-top1")


@pytest.mark.parametrize("second", [0, [], ["a"], [None, 1]])
def test_a_branch_that_is_none_is_refused_in_the_release_s_count_too(second: object) -> None:
    with pytest.raises(GenotypeError, match=r"branch2|2 branches"):
        DPCSpace(branches=2).parse([[-1, 0], second])


def test_the_published_cell_is_written_as_it_was_released() -> None:
    released = DPCSpace().released(spaces.resolve("dpc-top1"))
    assert released == [{**branch, "kernel": 3} for branch in TOP1_AS_RELEASED]
    assert released[0] == {"input": -1, "op": "conv", "kernel": 3, "rate": [1, 6]}


@pytest.mark.parametrize("branches", [1, 2, 5, 6, 10])
def test_cells_of_any_size_survive_the_released_json(branches: int) -> None:
    space, rng = DPCSpace(branches=branches), random.Random(branches)
    for _ in range(20):
        genotype = space.sample(rng)
        text = json.dumps(space.released(genotype))
        assert space.parse(json.loads(text)) == genotype
        assert spaces.resolve(text) == genotype


def test_every_operator_survives_the_released_json() -> None:
    space = DPCSpace(branches=1)
    for number in range(len(OPS)):
        genotype = space.parse([[0, number]])
        assert space.parse(space.released(genotype)) == genotype


def test_kernels_and_rates_may_be_numbers_or_pairs_and_rates_may_be_missing() -> None:
    space = DPCSpace(branches=1)
    for kernel in (1, [1, 1]):
        assert space.parse([{"input": -1, "op": "conv", "kernel": kernel}]).parts == ((0, 0),)
    plain = space.parse([[0, "sep3x3_1x1"]])
    assert space.parse([{"input": -1, "op": "conv", "kernel": [3, 3]}]) == plain
    assert space.parse([{"input": -1, "op": "conv", "kernel": 3, "rate": 1}]) == plain


def test_aspp_in_released_json() -> None:
    cell = [
        {"kernel": 1, "op": "conv", "input": -1},
        *({"kernel": 3, "rate": [r, r], "op": "conv", "input": -1} for r in (6, 12, 18)),
        {"op": "pyramid_pooling", "grid_size": [1, 1], "input": -1},
    ]
    assert DPCSpace().parse(cell) == spaces.resolve("aspp")


def _with(branch: int, **changes: object) -> list[dict]:
    cell = [dict(entry) for entry in TOP1_AS_RELEASED]
    cell[branch].update(changes)
    return cell


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            _with(1, input=3),
            "token branch2.input is 3, expected -1–0 (-1 the feature map)",
        ),
        (_with(0, input=0), "token branch1.input is 0, expected -1 (the feature map)"),
        (
            _with(2, rate=[2, 3]),
            "token branch3.rate is [2, 3], expected a pair of [1, 3, 6, 9, 12, 15, 18, 21]",
        ),
        (_with(2, op="pool"), "token branch3.op is 'pool', expected 'conv' or 'pyramid_pooling'"),
        (_with(2, kernel=5), "token branch3.kernel is 5, expected 1 or 3"),
        (
            _with(4, op="pyramid_pooling", grid_size=[3, 3]),
            "token branch5.grid_size is [3, 3], expected a pair of [1, 2, 4, 8]",
        ),
        (
            _with(4, op="pyramid_pooling"),
            "branch5 has no 'grid_size', it has ['input', 'kernel', 'op', 'rate']",
        ),
        (
            TOP1_AS_RELEASED[:4],
            "genotype has branches=4, expected 5 for space dpc: give another genotype, or "
            "space={name: dpc, branches: 4}",
        ),
        (
            [[0, 0], [2, 1], [0, 0], [0, 0], [0, 0]],
            "token branch2.input is 2, expected 0–1 (0 the feature map, then earlier branches)",
        ),
        (
            [[0, "conv7x7"], [0, 0], [0, 0], [0, 0], [0, 0]],
            "token branch1.op is 'conv7x7', expected conv1x1, sep3x3_RxC with rates of "
            "[1, 3, 6, 9, 12, 15, 18, 21], or pool_RxC with grids of [1, 2, 4, 8]",
        ),
        ([[0], [0, 0], [0, 0], [0, 0], [0, 0]], "branch1 is [0], expected [input, operator]"),
    ],
)
def test_bad_cells_are_reported_in_one_line(cell: list, message: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        DPCSpace().parse(cell)
    assert str(caught.value) == message


def test_the_parts_of_a_cell_are_all_selections_of_its_branches() -> None:
    aspp = spaces.resolve("aspp")
    parts = DPCSpace.parts(aspp)
    assert len(parts) == len(set(parts)) == 31
    assert [len(part.parts) for part in parts] == [1] * 5 + [2] * 10 + [3] * 10 + [4] * 5 + [5]
    assert parts[-1] == aspp
    assert all({*part.parts} <= {*aspp.parts} for part in parts)
    with pytest.raises(GenotypeError, match="branch2 reads branch1, expected"):
        DPCSpace.parts(spaces.resolve("dpc-top1"))


def test_parsing_leaves_the_given_cell_alone() -> None:
    before = json.dumps(TOP1_AS_RELEASED)
    DPCSpace().parse(TOP1_AS_RELEASED)
    assert json.dumps(TOP1_AS_RELEASED) == before
