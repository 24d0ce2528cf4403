import random

import pytest

from nas_tf import spaces
from nas_tf.errors import GenotypeError
from nas_tf.spaces.template import TemplateSpace
from tests.contracts.space_contract import SpaceContract
from tests.networks.identity import fingerprint


class TestTemplateSpace(SpaceContract):
    space = TemplateSpace()


class TestOtherSizes(SpaceContract):
    space = TemplateSpace(templates=2, blocks=4)


class TestSmallest(SpaceContract):
    space = TemplateSpace(templates=1, blocks=1)

    def test_a_description_has_a_line_for_each_part(self) -> None:
        assert len(spaces.describe(self.sampled(1)).splitlines()) == 3


def test_size_and_tokens_of_the_paper() -> None:
    space = TemplateSpace()
    assert len(space.tokens) == 3 * 3 + 5 * 7
    locations = (2 * 3 * 4 * 5 * 6 * 7 * 8) ** 2
    assert space.size == (6 * 6 * 2) ** 3 * locations * (3 * 4) ** 7 * 2**3


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("structure", 2, 3), 9, "token block3.repeats is 9, expected 0–3 (repeats minus one)"),
        (
            ("structure", 3, 4),
            1,
            "token block4.stride is 1, expected 0 (no stride in the second half of the blocks)",
        ),
        (("templates", 1, 0), 6, "token template2.op1 is 6, expected 0–5 (operations)"),
        (("structure", 0, 2), "x", "token block1.template is 'x', expected an integer"),
    ],
)
def test_bad_tokens_are_named(place: tuple[str, int, int], value: object, message: str) -> None:
    parts = {"templates": [[0, 0, 0]] * 3, "structure": [[0, 1, 0, 0, 0]] * 7}
    part, row, column = place
    parts[part] = [list(entry) for entry in parts[part]]
    parts[part][row][column] = value
    with pytest.raises(GenotypeError) as caught:
        TemplateSpace().parse(list(parts.values()))
    assert str(caught.value) == message


def test_unused_and_equal_templates_do_not_make_a_network_differ() -> None:
    space = TemplateSpace(templates=3, blocks=2)
    blocks = "[[0,1,{},1,0],[1,2,{},0,0]]"
    parse = space.parse(f"[[[1,2,0],[1,2,0],[5,5,1]],{blocks.format(0, 1)}]")
    other = space.parse(f"[[[4,4,1],[0,0,0],[1,2,0]],{blocks.format(2, 2)}]")
    assert space.canonical(parse) == space.canonical(other)


def test_a_single_instance_is_symmetric_and_a_repeated_one_is_not() -> None:
    space = TemplateSpace(templates=2, blocks=2)
    once = [space.parse(f"[[{t},[0,0,0]],[{b},[2,2,1,1,0]]]") for t, b in _MIRRORED[0]]
    twice = [space.parse(f"[[{t},[0,0,0]],[{b},[2,2,1,1,0]]]") for t, b in _MIRRORED[1]]
    assert space.canonical(once[0]) == space.canonical(once[1])
    assert space.canonical(twice[0]) != space.canonical(twice[1])


_MIRRORED = [
    [("[1,3,1]", "[0,1,0,0,0]"), ("[3,1,1]", "[1,0,0,0,0]")],
    [("[1,3,1]", "[0,1,0,1,0]"), ("[3,1,1]", "[1,0,0,1,0]")],
]


@pytest.mark.slow
def test_canonical_agrees_with_the_identity_of_graphs() -> None:
    """A stride in the first half, so that no block can change halves or split its repeats."""
    space = TemplateSpace(templates=2, blocks=2)
    rng = random.Random(2)
    prints: dict = {}
    forms: dict = {}
    for _ in range(1500):
        tokens = [rng.randrange(token.size) for token in space.tokens]
        for n, token in enumerate(space.tokens):
            if ".op" in token.name:
                tokens[n] = rng.choice([0, 3])
            if token.name.endswith("repeats"):
                tokens[n] = rng.choice([0, 0, 1])
            if token.name == "block1.stride":
                tokens[n] = 1
        genotype = space.decode(tokens)
        prints.setdefault(space.canonical(genotype), set()).add(fingerprint(genotype))
        forms.setdefault(fingerprint(genotype), set()).add(space.canonical(genotype))
    assert len(forms) > 200
    assert all(len(item) == 1 for item in prints.values())
    assert all(len(form) == 1 for form in forms.values())
