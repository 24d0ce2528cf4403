import itertools
import random
from fractions import Fraction

import pytest

from nas_tf import spaces
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.spaces.auxcell import AuxCellDesign, AuxCellSpace
from tests.contracts.space_contract import SpaceContract
from tests.networks.identity import fingerprint

ARCH0 = "[[[3,3],[3,2],[3,0]],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]"


class TestAuxCellSpace(SpaceContract):
    space = AuxCellSpace()


class TestOtherSizes(SpaceContract):
    space = AuxCellSpace(blocks=4, branches=2)


class TestSmallest(SpaceContract):
    space = AuxCellSpace(blocks=1, branches=1)


def test_size_and_tokens_of_the_paper() -> None:
    space = AuxCellSpace()
    assert len(space.tokens) == 19
    assert space.size == (4 * 5 * 6) ** 2 * 11 * (2 * 5 * 8 * 11**3) ** 2


def test_both_orders_are_read() -> None:
    space = AuxCellSpace()
    code_order = "[[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]],[[3,3],[3,2],[3,0]]]"
    assert space.parse(code_order) == space.parse(ARCH0) == spaces.resolve("arch0")
    assert space.spell(space.parse(code_order)) == ARCH0


def test_loose_ends_of_arch1() -> None:
    design = AuxCellDesign.of(spaces.resolve("arch1"))
    assert design.loose_positions == [4, 7, 10]
    assert design.loose_blocks == [5, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[[[3,3],[3,2]],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]",
            "genotype has blocks=2, expected 3 for space auxcell: give another genotype, or "
            "space={name: auxcell, blocks: 2}",
        ),
        (
            "[[[3,3],[3,2],[3,0]],[8,[0,0,5,2]]]",
            "genotype has branches=1, expected 3 for space auxcell: give another genotype, or "
            "space={name: auxcell, branches: 1}",
        ),
        (
            "[[[3,3],[3,2],[3,0]],[11,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]",
            "token cell.o1 is 11, expected 0–10 (operations)",
        ),
        (
            "[[[3,3],[3,2],[3,0]],[8,[0,0,5,2],[0,2,8,8],[0,8,1,4]]]",
            "token cell.i7 is 8, expected 0–7 (earlier positions)",
        ),
        (
            "[[[3,4],[3,2],[3,0]],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]",
            "token connections.c2 is 4, expected 0–3 (taps 0–3, then earlier blocks)",
        ),
        (
            "[[[3,3],[3,2],[3,true]],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]",
            "token connections.c6 is True, expected an integer",
        ),
        (
            "[[[3,3],[3,2],7],[8,[0,0,5,2],[0,2,8,8],[0,5,1,4]]]",
            "connections pair 3 is 7, expected a list of 2 layers",
        ),
        ("conv3x3", "genotype 'conv3x3' is not a bracketed list such as [[[3,3],…],[8,…]]"),
        (
            "[" * 5000,
            "genotype '" + "[" * 37 + "…' is not a bracketed list such as [[[3,3],…],[8,…]]",
        ),
    ],
)
def test_bad_text_is_reported_in_one_line(text: str, message: str) -> None:
    with pytest.raises(GenotypeError) as caught:
        AuxCellSpace().parse(text)
    assert str(caught.value) == message


def test_a_space_needs_a_block() -> None:
    accepted = "expected an integer of 1 to 10 for space auxcell"
    with pytest.raises(ConfigError, match=rf"^blocks is 0, {accepted}$"):
        AuxCellSpace(blocks=0)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        # the two sides of a branch, which renames what later branches read
        (
            "[[[0,1],[2,3],[4,5]],[0,[0,1,2,3],[2,4,1,1],[0,0,1,1]]]",
            "[[[0,1],[2,3],[4,5]],[0,[1,0,3,2],[3,4,1,1],[0,0,1,1]]]",
        ),
        # two blocks that do not read each other
        (
            "[[[0,1],[2,3],[4,5]],[0,[0,1,2,3],[2,4,1,1],[0,0,1,1]]]",
            "[[[3,2],[1,0],[4,5]],[0,[0,1,2,3],[2,4,1,1],[0,0,1,1]]]",
        ),
        # zero may read any position that is read anyway
        (
            "[[[0,1],[2,3],[4,5]],[0,[0,1,2,3],[2,4,10,1],[0,0,1,1]]]",
            "[[[0,1],[2,3],[4,5]],[0,[0,1,2,3],[0,4,10,1],[0,0,1,1]]]",
        ),
        # what a skip hands on is what it read
        (
            "[[[0,1],[2,3],[4,5]],[0,[0,1,9,3],[2,4,1,1],[0,0,1,1]]]",
            "[[[0,1],[2,3],[4,5]],[0,[0,1,9,3],[0,4,1,1],[0,0,1,1]]]",
        ),
    ],
)
def test_the_same_network_has_one_canonical_form(first: str, other: str) -> None:
    space = AuxCellSpace()
    assert space.canonical(space.parse(first)) == space.canonical(space.parse(other))


def test_zero_that_hides_a_loose_end_is_kept_apart() -> None:
    space = AuxCellSpace()
    hides = space.parse("[[[0,1],[2,3],[4,5]],[0,[0,0,2,3],[4,0,10,1],[0,0,1,1]]]")
    reads_input = space.parse("[[[0,1],[2,3],[4,5]],[0,[0,0,2,3],[0,0,10,1],[0,0,1,1]]]")
    assert space.canonical(hides) != space.canonical(reads_input)


def _all(space: spaces.SearchSpace) -> list:
    return [
        space.decode(tokens)
        for tokens in itertools.product(*(range(token.size) for token in space.tokens))
    ]


@pytest.mark.slow
def test_one_canonical_form_is_one_network_on_every_cell_of_the_smallest_space() -> None:
    """Against an identity of graphs that knows nothing of genotypes."""
    space = AuxCellSpace(blocks=1, branches=1)
    genotypes = [g for g in _all(space) if g.parts[0] == ((0, 3),)]
    assert len(genotypes) == 11 * 484
    networks: dict = {}
    for genotype in genotypes:
        networks.setdefault(space.canonical(genotype), set()).add(fingerprint(genotype))
    assert all(len(prints) == 1 for prints in networks.values())


@pytest.mark.slow
@pytest.mark.parametrize("space", [AuxCellSpace(blocks=2, branches=2), AuxCellSpace()])
def test_one_network_has_one_canonical_form_where_no_skip_or_zero_makes_sums_coincide(
    space,
) -> None:
    rng = random.Random(4)
    forms: dict[str, set] = {}
    start = space.sample(rng)
    for step in range(1200):
        tokens = space.encode(start if step % 3 else space.sample(rng))
        for n, token in enumerate(space.tokens):
            if token.name.startswith("cell.o"):
                tokens[n] = rng.choice([1, 4])
            elif rng.random() < 0.4:
                tokens[n] = rng.randrange(token.size)
        genotype = start = space.decode(tokens)
        forms.setdefault(fingerprint(genotype), set()).add(space.canonical(genotype))
    assert len(forms) > 100
    assert all(len(form) == 1 for form in forms.values())


@pytest.mark.slow
def test_class_sizes_add_up_to_the_space() -> None:
    space = AuxCellSpace(blocks=1, branches=1)
    sizes: dict = {}
    for genotype in _all(space):
        form = space.canonical(genotype)
        sizes[form] = sizes.get(form, 0) + 1
    for form in random.Random(0).sample(sorted(sizes), 200):
        assert space.class_size(form) == sizes[form]


@pytest.mark.slow
def test_estimated_number_of_networks_meets_the_exact_one() -> None:
    space = AuxCellSpace(blocks=1, branches=1)
    exact = len({space.canonical(g) for g in _all(space)})
    estimate, error = spaces.distinct_networks(space, samples=4000, seed=1)
    assert abs(estimate - exact) < 4 * error
    assert error < 0.02 * exact


def test_estimate_weighs_each_class_once() -> None:
    space = AuxCellSpace(blocks=1, branches=1)
    rng = random.Random(9)
    shares = [Fraction(1, space.class_size(space.sample(rng))) for _ in range(50)]
    assert spaces.distinct_networks(space, samples=50, seed=9)[0] == pytest.approx(
        float(sum(shares) / 50 * space.size)
    )
