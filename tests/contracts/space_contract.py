"""The contract of every search space; a space's test class inherits the suite."""

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from nas_tf import networks, spaces
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.spaces.base import argument_types

SEEDS = st.integers(0, 2**32)


def refusing(space: spaces.SearchSpace) -> spaces.SearchSpace:
    """The same space, which refuses about half of its genotypes."""

    @dataclass(frozen=True, kw_only=True)
    class Refusing(type(space)):
        def refusal(self, genotype: Genotype) -> str | None:
            return "its digest is odd" if int(genotype.digest, 16) % 2 else None

    return Refusing(**space.arguments)


class SpaceContract:
    space: spaces.SearchSpace
    width = 8

    def sampled(self, seed: int) -> Genotype:
        return self.space.sample(random.Random(seed))

    @given(SEEDS)
    def test_decode_undoes_encode(self, seed: int) -> None:
        genotype = self.sampled(seed)
        tokens = self.space.encode(genotype)
        assert len(tokens) == len(self.space.tokens)
        assert self.space.decode(tokens) == genotype

    @given(SEEDS)
    def test_every_notation_reads_back(self, seed: int) -> None:
        genotype = self.sampled(seed)
        assert self.space.parse(str(genotype)) == genotype
        assert self.space.parse(self.space.spell(genotype)) == genotype
        assert Genotype.from_json(genotype.to_json()) == genotype

    def test_same_seed_same_sample(self) -> None:
        assert self.sampled(11) == self.sampled(11)
        assert len({self.sampled(seed) for seed in range(50)}) > 40

    @given(SEEDS, SEEDS)
    def test_mutation_changes_one_token(self, seed: int, other: int) -> None:
        genotype = self.sampled(seed)
        mutant = self.space.mutate(genotype, random.Random(other))
        pairs = zip(self.space.encode(genotype), self.space.encode(mutant), strict=True)
        assert sum(a != b for a, b in pairs) == 1

    def test_neighbours_are_all_single_changes(self) -> None:
        neighbours = list(self.space.neighbours(self.sampled(3)))
        assert len(neighbours) == sum(token.size - 1 for token in self.space.tokens)
        assert len(set(neighbours)) == len(neighbours)

    @given(SEEDS)
    def test_canonical_is_idempotent_and_shared_by_rewrites(self, seed: int) -> None:
        genotype = self.sampled(seed)
        canonical = self.space.canonical(genotype)
        assert self.space.canonical(canonical) == canonical
        for rewritten in self.space.rewrites(genotype):
            self.space.validate(rewritten)
            assert self.space.canonical(rewritten) == canonical

    @given(SEEDS)
    @settings(max_examples=40, deadline=None)
    def test_canonical_keeps_the_cost(self, seed: int) -> None:
        genotype = self.sampled(seed)
        costs = [
            networks.cost(networks.blueprint_of(item, 3, input_size=(129, 193)).deployed())
            for item in (genotype, self.space.canonical(genotype))
        ]
        assert costs[0].params == costs[1].params
        assert costs[0].madds == costs[1].madds
        assert costs[0].output == costs[1].output

    def test_a_token_out_of_range_is_named(self) -> None:
        tokens = self.space.encode(self.sampled(5))
        for place, token in enumerate(self.space.tokens):
            for value in (token.size, -1):
                wrong = [*tokens[:place], value, *tokens[place + 1 :]]
                with pytest.raises(GenotypeError) as caught:
                    self.space.decode(wrong)
                accepted = "0" if token.size == 1 else f"0–{token.size - 1}"
                assert str(caught.value) == (
                    f"token {token.name} is {value}, expected {accepted} ({token.chooses})"
                )

    def test_wrong_number_of_tokens(self) -> None:
        with pytest.raises(GenotypeError, match=r"^3 tokens given, expected \d+ for space"):
            self.space.decode([0, 0, 0])

    def test_a_genotype_of_another_space_is_refused(self) -> None:
        with pytest.raises(GenotypeError, match="belongs to space 'other'"):
            self.space.validate(Genotype("other", ()))

    def test_token_names_are_unique(self) -> None:
        names = [token.name for token in self.space.tokens]
        assert len(set(names)) == len(names)

    def test_a_description_has_a_line_for_each_part(self) -> None:
        assert len(spaces.describe(self.sampled(1)).splitlines()) >= 5

    @given(SEEDS)
    def test_choices_are_words_by_kind(self, seed: int) -> None:
        choices = self.space.choices(self.sampled(seed))
        assert set(self.space.vocabulary) & set(choices)
        for kind, words in choices.items():
            assert all(isinstance(word, str) for word in words), kind

    def test_the_example_is_of_the_space(self) -> None:
        example = spaces.example(self.space)
        self.space.validate(example.genotype)
        settings = networks.settings.search(self.space.name, width=self.width)
        size = example.input_size
        networks.blueprint_of(example.genotype, 3, input_size=size, settings=settings)

    @given(SEEDS)
    def test_brackets_are_recognised_by_their_shape(self, seed: int) -> None:
        genotype = self.sampled(seed)
        for text in (str(genotype), self.space.spell(genotype)):
            assert spaces.resolve(text) == genotype
            assert spaces.resolve(text, self.space) == genotype
        assert spaces.space_of(genotype) == self.space
        others = [kind for name, kind in spaces.SPACES.items() if name != self.space.name]
        assert all(kind.arguments_of(genotype.parts) is None for kind in others)

    def test_a_section_stands_for_the_space(self) -> None:
        section = self.space.section()
        assert spaces.get(section) == self.space
        usual = spaces.get(self.space.name)
        assert (section == self.space.name) == (self.space == usual)
        if self.space != usual:
            assert section == {"name": self.space.name, **self.space.arguments}

    def test_arguments_have_ranges(self) -> None:
        for key, hint in argument_types(type(self.space)).items():
            info = inspect.type_info(hint)
            for value in (info.ge, info.le):
                assert getattr(replace(self.space, **{key: value}), key) == value
            for value in (info.ge - 1, info.le + 1, "3", 2.5, True, None):
                accepted = f"expected an integer of {info.ge} to {info.le} for space"
                with pytest.raises(ConfigError, match=f"^{key} is .*, {accepted}"):
                    replace(self.space, **{key: value})

    def test_a_genotype_of_another_size_is_refused_by_the_argument(self) -> None:
        for key, value in self.space.arguments.items():
            larger = replace(self.space, **{key: value + 1})
            genotype = larger.sample(random.Random(1))
            expected = f"^genotype has {key}={value + 1}, expected {value} for space"
            for given_space in (self.space, self.space.section()):
                for text in (genotype, str(genotype)):
                    with pytest.raises(GenotypeError, match=expected):
                        spaces.resolve(text, given_space)
            with pytest.raises(GenotypeError, match=expected):
                self.space.encode(genotype)

    @given(SEEDS, SEEDS)
    @settings(max_examples=20)
    def test_a_refused_genotype_is_never_given(self, seed: int, other: int) -> None:
        space = refusing(self.space)
        genotype = space.sample(random.Random(seed))
        assert space.refusal(genotype) is None
        assert space.refusal(space.mutate(genotype, random.Random(other))) is None

    def test_neighbours_are_not_refused(self) -> None:
        space = refusing(self.space)
        every = self.space.neighbours(self.sampled(3))
        accepted = [near for near in every if space.refusal(near) is None]
        assert list(space.neighbours(self.sampled(3))) == accepted

    def test_a_space_that_refuses_everything_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = refusing(self.space)
        monkeypatch.setattr(type(space), "refusal", lambda *_: "no output")
        with pytest.raises(GenotypeError, match=r"refuses 10,000 genotypes in a row.*no output$"):
            space.sample(random.Random(1))
