"""Genotypes read off architecture weights, with limits and without."""

import itertools
import math
import random

import pytest

from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks import blueprint_of, cost
from nas_tf.networks.heads import Head
from nas_tf.search.read_off import entropy, read_off
from nas_tf.spaces.derivation import derived_cell, edges_of, paths_by_probability, softmax
from nas_tf.spaces.restoration import RestorationSpace

HEAD = Head("restoration", 1)


def tables(space: RestorationSpace, seed: int) -> tuple[list, list]:
    rng = random.Random(seed)
    rows = len(edges_of(space.nodes)) * (1 if space.variant.tied else space.layers)
    sources = sum(min(layer + 1, space.levels) for layer in range(space.layers))
    alpha = [[rng.gauss(0, 1) for _ in range(len(space.variant.ops) + 1)] for _ in range(rows)]
    return alpha, [[rng.gauss(0, 1) for _ in range(3)] for _ in range(sources)]


def params(genotype: Genotype) -> int:
    return cost(blueprint_of(genotype, HEAD, input_size=(16, 16))).params


def log_probability(space: RestorationSpace, alpha: list, beta: list, found: Genotype) -> float:
    """The logarithm of the probabilities of a genotype's operations and path, edges given."""
    cells, levels = found.parts[:2]
    paths = dict(paths_by_probability(beta, space.layers, space.levels))
    edges, total = edges_of(space.nodes), math.log(paths[tuple(levels)])
    for n, cell in enumerate(cells):
        rows = alpha[n * len(edges) : (n + 1) * len(edges)]
        for pair, (op, source) in enumerate(cell):
            total += math.log(softmax(rows[edges.index((pair // 2, source))])[op])
    return total


def test_without_limits_it_is_the_derived_cells_and_the_best_path() -> None:
    space = RestorationSpace(layers=3, nodes=2)
    alpha, beta = tables(space, 1)
    found = read_off(space, alpha, beta)
    cells, levels = found.genotype.parts
    edges = len(edges_of(2))
    assert [[tuple(pair) for pair in cell] for cell in cells] == [
        derived_cell(alpha[n * edges : (n + 1) * edges], 2) for n in range(3)
    ]
    path, probability = next(iter(paths_by_probability(beta, 3, space.levels)))
    assert (tuple(levels), found.probability) == (path, probability)
    assert not found.is_limited
    assert read_off(space, alpha, beta, lambda _: [0.5]) == found


@pytest.mark.parametrize("preset", ["public", "slides"])
@pytest.mark.parametrize("seed", range(3))
def test_a_limit_costs_as_little_probability_as_an_exhaustive_search(
    preset: str, seed: int
) -> None:
    space = RestorationSpace(preset=preset, layers=2, nodes=1, tied=False)
    alpha, beta = tables(space, seed)
    usual = read_off(space, alpha, beta).genotype
    ops, sources = range(len(space.variant.ops)), [[pair[1] for pair in c] for c in usual.parts[0]]
    known = {}
    for levels, _ in paths_by_probability(beta, space.layers, space.levels):
        for chosen in itertools.product(ops, repeat=4):
            pairs = [
                [(op, source) for op, source in zip(part, own, strict=True)]
                for part, own in zip((chosen[:2], chosen[2:]), sources, strict=True)
            ]
            genotype = space.genotype_of(pairs, levels)
            known[genotype] = None
    counts = {genotype: params(genotype) for genotype in random.Random(0).sample([*known], 60)}
    limit = sorted(counts.values())[20]
    found = read_off(space, alpha, beta, lambda genotype: [params(genotype) / limit])
    assert params(found.genotype) <= limit
    assert found.is_limited == (params(usual) > limit)
    best = max(
        log_probability(space, alpha, beta, genotype)
        for genotype, count in counts.items()
        if count <= limit
    )
    assert log_probability(space, alpha, beta, found.genotype) >= best


def test_both_costs_are_within_their_limits() -> None:
    space = RestorationSpace(layers=3, nodes=4)
    alpha, beta = tables(space, 5)

    def costs(genotype: Genotype) -> list[float]:
        counted = cost(blueprint_of(genotype, HEAD, input_size=(16, 16)))
        return [counted.params / 250_000, counted.madds / 60_000_000]

    assert max(costs(read_off(space, alpha, beta).genotype)) > 1
    assert max(costs(read_off(space, alpha, beta, costs).genotype)) <= 1


def test_a_tied_space_exchanges_an_operation_in_all_layers() -> None:
    space = RestorationSpace(preset="slides", layers=3, nodes=2)
    alpha, beta = tables(space, 2)
    limit = params(read_off(space, alpha, beta).genotype) * 0.9
    found = read_off(space, alpha, beta, lambda genotype: [params(genotype) / limit])
    assert params(found.genotype) <= limit
    assert len({str(cell) for cell in found.genotype.parts[0]}) == 1


def test_a_limit_below_every_network_is_refused() -> None:
    space = RestorationSpace(layers=2, nodes=1)
    with pytest.raises(ConfigError, match="exclude every network"):
        read_off(space, *tables(space, 0), lambda _: [2.0])


def test_entropy_is_a_share_of_the_largest() -> None:
    assert entropy([[1.0] * 7] * 3) == pytest.approx(1)
    assert entropy([[50.0, 0, 0]]) == pytest.approx(0, abs=1e-6)
