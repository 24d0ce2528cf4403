"""The contract of every search space; a space's test class inherits the suite."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_tf import networks, spaces
from nas_tf.errors import GenotypeError
from nas_tf.genotype import Genotype

SEEDS = st.integers(0, 2**32)


class SpaceContract:
    space: spaces.SearchSpace

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
            networks.cost(networks.blueprint_of(item, 5, input_size=(129, 193)).deployed())
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
