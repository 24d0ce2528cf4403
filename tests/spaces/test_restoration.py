"""The space of IR-NAS and HiNAS: its genotypes, and what is read off a super-net."""

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from nas_tf import networks, spaces
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.spaces import RestorationSpace
from nas_tf.spaces.derivation import derived_cell, paths_by_probability, sources_of
from nas_tf.spaces.restoration import VARIANTS, RestorationDesign
from tests.contracts.space_contract import SpaceContract

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/restoration/hinas.json").read_text())
CELL = [[0, 0], [1, 1], [2, 1], [5, 2]]


class RestorationContract(SpaceContract):
    """Some paths are refused, and not all arguments are integers."""

    def test_neighbours_are_all_single_changes(self) -> None:
        genotype = self.sampled(3)
        neighbours = list(self.space.neighbours(genotype))
        cells = sum(token.size - 1 for token in self.space.tokens[: -self.space.layers])
        levels = [RestorationDesign.of(item).levels for item in neighbours[cells:]]
        allowed = {path for path, _ in every_path(self.space.layers)}
        assert len(set(neighbours)) == len(neighbours)
        assert levels
        assert set(levels) <= allowed - {RestorationDesign.of(genotype).levels}

    def test_arguments_have_ranges(self) -> None:
        for key, most in (("layers", 12), ("nodes", 6)):
            assert getattr(RestorationSpace(**{key: most}), key) == most
            for value in (0, most + 1, "3", True):
                with pytest.raises(
                    ConfigError, match=f"^{key} is .*, expected an integer of 1 to"
                ):
                    RestorationSpace(**{key: value})

    def test_a_genotype_of_another_size_is_refused_by_the_argument(self) -> None:
        other = RestorationSpace(preset=self.space.preset, layers=2).sample(random.Random(1))
        with pytest.raises(GenotypeError, match=r"^genotype has layers=2, expected 3 for space"):
            self.space.encode(other)


class TestPublic(RestorationContract):
    space = RestorationSpace()


class TestSlides(RestorationContract):
    space = RestorationSpace(preset="slides")

    def test_all_layers_have_one_cell(self) -> None:
        cells = RestorationDesign.of(self.sampled(1)).cells
        assert len(set(cells)) == 1
        with pytest.raises(GenotypeError, match=r"^genotype has tied=False, expected None"):
            self.space.parse([[[[0, 0], [0, 1]] * 4, [[0, 0], [1, 1]] * 4, CELL * 2], [0] * 3])


def every_path(layers: int) -> list[tuple[tuple[int, ...], float]]:
    return list(paths_by_probability([[0, 0, 0]] * len(sources_of(layers, 3)), layers, 3))


@pytest.mark.parametrize(("layers", "count"), [(2, 5), (3, 12), (4, 29), (5, 70), (12, 33_461)])
def test_paths_are_those_of_the_published_count(layers: int, count: int) -> None:
    paths = [path for path, _ in every_path(layers)]
    assert len(paths) == len(set(paths)) == count


@pytest.mark.parametrize("record", GOLDEN["viterbi"], ids=lambda item: f"{item['path']}")
def test_the_most_probable_path(record: dict[str, Any]) -> None:
    ranked = paths_by_probability(record["beta"], record["layers"], record["levels"])
    (path, probability), (second, following) = islice(ranked, 2)
    assert (list(path), list(second)) == (record["path"], record["second_path"])
    assert probability == pytest.approx(record["probability"], rel=1e-12)
    assert following == pytest.approx(record["second_probability"], rel=1e-12)


def test_paths_come_in_the_order_of_their_probability() -> None:
    rng = random.Random(4)
    beta = [[rng.gauss(0, 1) for _ in range(3)] for _ in sources_of(5, 3)]
    ranked = [probability for _, probability in paths_by_probability(beta, 5, 3)]
    assert ranked == sorted(ranked, reverse=True)
    assert sum(ranked) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["alpha", "alpha_v1"])
def test_cells_rank_edges_by_their_softmax(kind: str) -> None:
    ops = GOLDEN["conventions"]["ops_public" if kind == "alpha" else "ops_v1"]
    for record in GOLDEN[kind]:
        cell = derived_cell(record["alpha"], record["nodes"])
        assert [[ops[op], source] for op, source in cell] == record["cell"]


def test_tables_of_other_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^alpha has 2 rows of 2, expected 5 of one length"):
        derived_cell([[0, 1], [1, 0]], nodes=2)
    with pytest.raises(
        ConfigError, match=r"^beta has 1 rows of 3, expected 3 of 3 for 2 layers and 3"
    ):
        next(paths_by_probability([[0, 0, 0]], 2, 3))


@pytest.mark.parametrize(
    ("arguments", "brackets", "message"),
    [
        (
            {"layers": 2},
            [[CELL] * 2, [0, 2]],
            "from layer 1 to layer 2 its level goes 0 to 2, expected one step at most",
        ),
        (
            {"layers": 1},
            [[CELL], [2]],
            "token layer1.level is 2, expected 0–1 (widths, the narrowest first)",
        ),
        (
            {"layers": 1},
            [[[[0, 1], [1, 1], [2, 1], [5, 2]]], [0]],
            "cell 1 node 1 reads source 1 twice, expected two sources",
        ),
        (
            {"layers": 2, "tied": True},
            [[CELL, [*CELL[2:], *CELL[2:]]], [0, 0]],
            "cell 2 differs from cell 1, expected the same, as it is tied",
        ),
        ({"layers": 1, "preset": "slides"}, [[CELL], [0]], "expected 0–4 (operations)"),
        ({"layers": 1}, [[CELL], [0], [1]], "genotype has preset=slides, expected public"),
    ],
)
def test_what_cannot_be_built_is_named(
    arguments: dict[str, Any], brackets: list[Any], message: str
) -> None:
    space = RestorationSpace(nodes=2, **arguments)
    with pytest.raises(GenotypeError) as caught:
        networks.blueprint_of(space.parse(brackets), 1)
    assert message in str(caught.value)


def test_other_factors_are_part_of_the_genotype() -> None:
    space = RestorationSpace(layers=1, nodes=1, factors=[1, 1.25])
    genotype = space.parse([[[[0, 0], [1, 1]]], [1]])
    assert str(genotype) == "[[[[0,0],[1,1]]],[1],[0,100,125]]"
    assert spaces.space_of(genotype) == space
    assert RestorationDesign.of(genotype).variant.widths(10) == (10, 12)
    assert RestorationSpace(factors=(1, 1.5, 2), tied=False) == RestorationSpace()
    for factors in ([2, 1], [1, 1.001], []):
        with pytest.raises(ConfigError, match=r"expected ascending multiples of 0\.01$"):
            RestorationSpace(factors=factors)


def test_a_description_names_width_operations_and_sources() -> None:
    genotype = RestorationSpace(layers=2, nodes=2).parse([[CELL] * 2, [0, 1]])
    assert spaces.describe(genotype).splitlines() == [
        "layer 1: width x1",
        "layer 1 node 1: conv3x3 of the layer before last + sep3x3 of the last layer",
        "layer 1 node 2: sep5x5 of the last layer + skip of node 1",
        "layer 2: width x1.5",
        "layer 2 node 1: conv3x3 of the layer before last + sep3x3 of the last layer",
        "layer 2 node 2: sep5x5 of the last layer + skip of node 1",
        "decoder: the last layer, and layer 1",
    ]


def test_orders_of_nodes_and_edges_are_one_network() -> None:
    space = RestorationSpace(layers=1, nodes=2)
    genotype = space.parse([[[[0, 0], [1, 1], [2, 1], [3, 0]]], [0]])
    others = {
        str(space.parse([[cell], [0]]))
        for first, second in (([[0, 0], [1, 1]], [[2, 1], [3, 0]]),)
        for a in (first, first[::-1])
        for b in (second, second[::-1])
        for cell in ([*a, *b], [*b, *a])
    }
    assert space.class_size(genotype) == len(others) == 8
    assert len({space.canonical(space.parse(text)) for text in others}) == 1


def test_presets_are_those_of_code_and_slides() -> None:
    for name, kind in (("public", "ops_public"), ("slides", "ops_v1")):
        assert [*VARIANTS[name].ops, "none"] == GOLDEN["conventions"][kind]
