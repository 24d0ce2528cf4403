"""Reads a genotype off the architecture weights of a super-net, within limits on its cost."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.spaces.derivation import (
    best_path,
    derived_cell,
    edges_of,
    paths_by_probability,
    softmax,
)
from nas_tf.spaces.restoration import RestorationSpace

Table = Sequence[Sequence[float]]
Costs = Callable[[Genotype], Sequence[float]]
"""Returns the costs of a network, each divided by its limit; operations add up to them."""
_MOST_PATHS = 200


@dataclass(frozen=True)
class ReadOff:
    """A genotype, the probability of its path, and whether a limit has changed it."""

    genotype: Genotype
    probability: float
    is_limited: bool = False


def read_off(
    space: RestorationSpace, alpha: Table, beta: Table, costs: Costs | None = None
) -> ReadOff:
    """Returns the most probable genotype, or the best found whose ``costs`` are 1 at most.

    Under a limit, the operations of each of the most probable paths are exchanged for cheaper
    ones, those first that lose the least probability for what they save; the path and operations
    of the largest probability are the result.
    """
    cells = _cells(space, alpha)
    path, probability = best_path(beta, space.layers, space.levels)
    best = space.genotype_of(cells, path)
    if costs is None or max(costs(best), default=0) <= 1:
        return ReadOff(best, probability)
    found: list[tuple[float, ReadOff]] = []
    for path, probability in islice(
        paths_by_probability(beta, space.layers, space.levels), _MOST_PATHS
    ):
        if found and math.log(probability) <= found[0][0]:
            break  # cheaper operations only lower it
        reduced = _Reduction(space, alpha, path, costs).run(cells)
        if reduced is not None:
            genotype, loss = reduced
            found.append((math.log(probability) - loss, ReadOff(genotype, probability, True)))
            found.sort(key=lambda entry: -entry[0])
    if not found:
        raise ConfigError(
            "limits exclude every network of the super-net's paths, expected larger limits"
        )
    return found[0][1]


def entropy(alpha: Table) -> float:
    """Returns the mean entropy of the operations of an edge, as a share of the largest."""
    rows = [softmax(row) for row in alpha]
    each = [-math.fsum(p * math.log(p) for p in row if p > 0) for row in rows]
    return math.fsum(each) / len(each) / math.log(len(alpha[0]))


def _cells(space: RestorationSpace, alpha: Table) -> list[list[tuple[int, int]]]:
    cells = [derived_cell(rows, space.nodes) for rows in _rows_by_cell(space, alpha)]
    return cells * space.layers if space.variant.tied else cells


def _rows_by_cell(space: RestorationSpace, alpha: Table) -> list[Table]:
    edges = len(edges_of(space.nodes))
    return [alpha[start : start + edges] for start in range(0, len(alpha), edges)]


@dataclass(frozen=True)
class _Exchange:
    """Another operation of a pair: the probability lost as a logarithm, and the costs saved."""

    cell: int
    pair: int
    op: int
    lost: float
    saved: np.ndarray


@dataclass(frozen=True)
class _Reduction:
    """The reduction of a path's operations until the network is within the limits."""

    space: RestorationSpace
    alpha: Table
    path: Sequence[int]
    costs: Costs

    def run(self, cells: Sequence[Sequence[tuple[int, int]]]) -> tuple[Genotype, float] | None:
        """Returns the genotype and the logarithm of the probability lost; None if none fits."""
        cells, lost = [list(cell) for cell in cells], 0.0
        costs, prices = self._costs(cells), self._prices(cells)
        while costs.max() > 1:
            over = costs > 1
            useful = [
                (exchange.lost / gain, exchange)
                for exchange in self._exchanges(cells, prices)
                if (gain := float(np.minimum(exchange.saved, costs - 1)[over].sum())) > 0
            ]
            if not useful:
                return None
            _, best = min(useful, key=lambda option: option[0])
            source = cells[best.cell][best.pair][1]
            for cell in cells if self.space.variant.tied else [cells[best.cell]]:
                cell[best.pair] = best.op, source
            lost += best.lost
            costs = costs - best.saved
        return self.space.genotype_of(cells, self.path), lost

    def _costs(self, cells: Sequence[Sequence[tuple[int, int]]]) -> np.ndarray:
        return np.array(self.costs(self.space.genotype_of(cells, self.path)))

    def _prices(self, cells: list[list[tuple[int, int]]]) -> np.ndarray:
        """Returns the costs of each operation in each cell, all cells at once if tied."""
        tied, prices = self.space.variant.tied, []
        for number in range(1 if tied else len(cells)):
            row = []
            for op in range(len(self.space.variant.ops)):
                changed = [list(cell) for cell in cells]
                for cell in changed if tied else [changed[number]]:
                    cell[0] = op, cell[0][1]
                row.append(self._costs(changed))
            prices.append(row)
        return np.array(prices)

    def _exchanges(
        self, cells: list[list[tuple[int, int]]], prices: np.ndarray
    ) -> Iterator[_Exchange]:
        for number, rows in enumerate(_rows_by_cell(self.space, self.alpha)):
            edges = dict(zip(edges_of(self.space.nodes), rows, strict=True))
            for pair, (op, source) in enumerate(cells[number]):
                weights = softmax(edges[pair // 2, source])
                for other in range(len(weights) - 1):
                    lost = math.log(weights[op] / weights[other])
                    saved = prices[number][op] - prices[number][other]
                    yield _Exchange(number, pair, other, max(lost, 1e-9), saved)
