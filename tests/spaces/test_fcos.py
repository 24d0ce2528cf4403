"""The space of NAS-FCOS: pyramid, head, or both."""

import random

import pytest

from nas_tf import spaces
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces import FcosSpace
from nas_tf.spaces.fcos import FcosDesign
from tests.contracts.space_contract import SpaceContract

PYRAMID = spaces.resolve("nas-fcos-fpn")
FEW = "[[0,1,0,0,0],[4,4,0,0,0],[5,5,0,0,0],[6,6,0,0,0],[7,7,0,0,0],[8,8,0,0,0],[1,1,0,0,0]]"


class FcosContract(SpaceContract):
    """Some codes are refused, and the arguments are names, which brackets show in part."""

    width = 32

    def test_neighbours_are_all_single_changes(self) -> None:
        genotype = self.sampled(3)
        neighbours = list(self.space.neighbours(genotype))
        tokens, every = self.space.encode(genotype), 0
        for place, token in enumerate(self.space.tokens):
            for value in range(token.size):
                near = self.space.decode([*tokens[:place], value, *tokens[place + 1 :]])
                every += near != genotype and self.space.refusal(near) is None
        assert len(set(neighbours)) == len(neighbours) == every

    def test_brackets_are_recognised_by_their_shape(self) -> None:
        genotype = self.sampled(5)
        assert spaces.resolve(str(genotype), self.space) == genotype
        assert spaces.resolve(str(genotype)) == genotype

    def test_arguments_have_ranges(self) -> None:
        for key in ("search", "ops"):
            with pytest.raises(ConfigError, match=f"^{key} is 'all', expected one of"):
                FcosSpace(**{key: "all"})

    def test_a_genotype_of_another_size_is_refused_by_the_argument(self) -> None:
        other = PYRAMID if self.space.search != "fpn" else spaces.resolve("nas-fcos")
        with pytest.raises(GenotypeError, match=r"^genotype has (no head|a head|7 parts)"):
            self.space.encode(other)


class TestPyramids(FcosContract):
    space = FcosSpace(search="fpn")


class TestHeads(FcosContract):
    space = FcosSpace(search="head", fpn=str(PYRAMID))

    def test_another_pyramid_is_refused(self) -> None:
        other = FcosSpace().sample(random.Random(2))
        with pytest.raises(GenotypeError, match=r"another pyramid than the fixed one"):
            self.space.encode(other)


class TestBoth(FcosContract):
    space = FcosSpace()


class TestPortable(FcosContract):
    space = FcosSpace(search="fpn", ops="portable")

    def test_no_sample_has_a_deformable_convolution(self) -> None:
        for seed in range(50):
            assert "deformable3x3" not in self.space.choices(self.sampled(seed))["operations"]


def test_cardinalities() -> None:
    assert FcosSpace(search="fpn").size == 285_768_000_000_000_000_000_000
    assert FcosSpace(search="head", fpn=str(PYRAMID)).size == 326_592


def test_a_ninth_of_codes_has_too_few_outputs() -> None:
    space, rng = FcosSpace(search="fpn"), random.Random(1)
    count = sum(space.refusal(space.sample_any(rng)) is None for _ in range(20_000))
    assert count / 20_000 == pytest.approx(0.9097, abs=0.006)


def test_the_published_ones_in_words() -> None:
    lines = spaces.describe(spaces.resolve("nas-fcos")).splitlines()
    assert lines[3] == (
        "block 4: concat of deformable3x3 of the stride-8 tap and skip of the stride-32 tap"
    )
    assert lines[7:] == [
        "levels: P5 block 5, P4 block 6, P3 block 7",
        "added to each level: block 3",
        "head layer 1: deformable3x3, shared",
        "head layer 2: conv3x3, shared",
        "head layer 3: deformable3x3, shared",
        "head layer 4: conv1x1, shared",
        "head layer 5: skip, shared",
        "head layer 6: skip, shared",
    ]
    assert spaces.describe(PYRAMID).splitlines()[-1].startswith("head: that of FCOS")


def test_a_pyramid_may_be_in_brackets_of_its_own() -> None:
    assert FcosSpace(search="fpn").parse(f"[{PYRAMID}]") == PYRAMID


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            {},
            "space.fpn is missing, expected the pyramid of the heads: a run, such as runs/NAME#1",
        ),
        ({"fpn": "[[0,1],[1]]"}, "space.fpn: pyramid has 2 blocks, expected 7"),
        ({"fpn": "[[0,1"}, "space.fpn: genotype .* is not a bracketed list"),
        ({"fpn": FEW}, "space.fpn: 2 of its blocks are read by no other, expected 3 or more"),
        ({"fpn": str(PYRAMID), "ops": "portable"}, "space.fpn: it has deformable convolutions"),
        ({"search": "fpn", "fpn": str(PYRAMID)}, "space.fpn is given, expected none for search"),
    ],
)
def test_a_fixed_pyramid_is_checked(arguments: dict, line: str) -> None:
    with pytest.raises(ConfigError, match=f"^{line}"):
        FcosSpace(**{"search": "head", **arguments})


def test_a_fixed_pyramid_has_one_spelling() -> None:
    """Of a genotype with a head, by its name or with spaces: it is the same space."""
    section = {"name": "fcos", "search": "head"}
    space = spaces.get({**section, "fpn": str(PYRAMID)})
    for other in ("nas-fcos", "nas-fcos-fpn", f" {PYRAMID}".replace(",", ", ")):
        assert spaces.get({**section, "fpn": other}) == space
    assert space.baseline == PYRAMID
    space.check_size(PYRAMID.parts)
    with pytest.raises(GenotypeError, match=r"^genotype has no head, expected one for a search"):
        space.check_size(FcosSpace(search="fpn").sample(random.Random(1)).parts)
    assert str(space) == f"fcos (search=head, fpn=fcos-{PYRAMID.digest})"
    with pytest.raises(GenotypeError, match=r"^arch0 belongs to space auxcell, not"):
        spaces.get({**section, "fpn": "arch0"})


@pytest.mark.parametrize(("share", "word"), [(0, "all"), (1, "from layer 2"), (6, "none")])
def test_the_layers_that_levels_share_are_a_choice(share: int, word: str) -> None:
    head = FcosSpace().parse(f"[{PYRAMID},[{share}],[0,1,2,3,4,5]]")
    assert FcosSpace().choices(head)["shared layers"] == [word]
    kinds = FcosSpace(search="head", fpn=str(PYRAMID)).choices(head)
    assert list(kinds) == ["head operations", "shared layers"]
    assert "shared layers" not in FcosSpace(search="fpn").choices(PYRAMID)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[0,1,2,3,0]]", "pyramid has 5 blocks, expected 7"),
        (str(PYRAMID).replace(",1],", "],", 1), "block 1 has 4 integers, expected 5"),
        (str(PYRAMID).replace("[3,3,", "[4,3,", 1), "token block1.l1 is 4, expected 0–3"),
    ],
)
def test_a_wrong_pyramid_is_one_line(text: str, line: str) -> None:
    with pytest.raises(GenotypeError, match=f"^{line}"):
        FcosSpace(search="fpn").parse(text)


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("[7],[0,0,0,0,0,0]", "token head.share is 7, expected 0–6"),
        ("[0],[0,0,0,0,0]", "tower has 5 operations, expected 6"),
        ("[0],[0,0,0,0,0,6]", "token head.op6 is 6, expected 0–5"),
    ],
)
def test_a_wrong_head_is_one_line(head: str, line: str) -> None:
    with pytest.raises(GenotypeError, match=f"^{line}"):
        FcosSpace().parse(f"[{PYRAMID},{head}]")


def test_the_order_of_outputs_is_part_of_a_network() -> None:
    """Blocks 6 and 7 become P4 and P3; exchanged, they would be another network."""
    blocks = list(FcosDesign.of(PYRAMID).blocks)
    blocks[5], blocks[6] = blocks[6], blocks[5]
    swapped = Genotype.of("fcos", [list(block) for block in blocks])
    space = FcosSpace(search="fpn")
    assert space.canonical(swapped) != space.canonical(PYRAMID)


def test_layers_without_weights_move_to_the_end() -> None:
    space = FcosSpace()
    spread = space.parse(f"[{PYRAMID},[3],[4,0,4,1,2,3]]")
    compact = space.parse(f"[{PYRAMID},[1],[0,1,2,3,4,4]]")
    assert space.canonical(spread) == space.canonical(compact)
    more = space.parse(f"[{PYRAMID},[4],[4,0,4,1,2,3]]")
    assert space.canonical(more) != space.canonical(compact), "one more layer is not shared"
