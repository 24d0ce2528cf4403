"""Genotypes as users type them are read correctly, or refused in a line."""

import json

import pytest
from hypothesis import strategies as st

from nas_tf import spaces
from tests.fuzz.fuzzed import VALUES, another, hold, mangled, often, refused_at_most
from tests.spaces.test_dpc import TOP1_AS_RELEASED

BRACKETS = st.text("[]() ,'\"-.0123456789eEntrufals", max_size=80)
NEAR = st.sampled_from(sorted(spaces.PUBLISHED)).flatmap(
    lambda name: mangled(str(spaces.PUBLISHED[name].genotype).encode())
)
RELEASED = another(TOP1_AS_RELEASED).map(json.dumps)
DEEP = st.integers(1, 9000).map(lambda depth: "[" * depth + "]" * depth)
TEXTS = (
    st.text()
    | BRACKETS
    | NEAR.map(lambda content: content.decode("utf-8", "replace"))
    | RELEASED
    | DEEP
    | st.lists(VALUES).map(json.dumps)
    | st.recursive(st.integers(-1, 12), st.lists, max_leaves=60).map(json.dumps)
)


def understood(text: str, space: str | None) -> None:
    """Checks that a genotype is a member of its space and reads back as itself."""
    with refused_at_most():
        genotype = spaces.resolve(text, space)
        home = spaces.space_of(genotype)
        home.validate(genotype)
        assert spaces.resolve(home.spell(genotype), home) == genotype
        assert spaces.describe(genotype)
        home.canonical(genotype)


@often
def test_text_is_read_right_or_refused(times: int) -> None:
    names = st.none() | st.sampled_from([*spaces.SPACES, "darts"])
    hold(times, 100, understood, text=TEXTS, space=names)


@often
@pytest.mark.parametrize("space", spaces.SPACES)
def test_a_space_parses_its_own_or_refuses(times: int, space: str) -> None:
    home = spaces.get(space)

    def parsed(tokens: list[int], value: object) -> None:
        with refused_at_most():
            genotype = home.decode(tokens)
            assert home.encode(genotype) == tokens
            assert home.parse(home.spell(genotype)) == genotype
        with refused_at_most():
            home.validate(home.parse(value))

    length = len(home.tokens)
    tokens = st.lists(st.integers(-1, 12), min_size=length, max_size=length)
    right = st.tuples(*(st.integers(0, token.size - 1) for token in home.tokens)).map(list)
    hold(times, 60, parsed, tokens=tokens | right, value=VALUES.filter(bool))
