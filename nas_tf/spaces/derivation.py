"""Reads cells and paths off the weights of a trained super-net, in plain Python."""

import heapq
import math
from collections.abc import Iterator, Sequence

from nas_tf.errors import ConfigError

INPUTS = 2
"""The sources of a cell that are no nodes: the outputs of the two layers before it."""


def softmax(logits: Sequence[float]) -> list[float]:
    """Returns the softmax of a row."""
    top = max(logits)
    powers = [math.exp(value - top) for value in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def edges_of(nodes: int) -> list[tuple[int, int]]:
    """Returns the node and the source of each edge: node by node, sources ascending."""
    return [(node, source) for node in range(nodes) for source in range(INPUTS + node)]


def derived_cell(alpha: Sequence[Sequence[float]], nodes: int) -> list[tuple[int, int]]:
    """Returns two pairs of operation and source for each node, the stronger first.

    ``alpha`` has the logits of each edge; the last column is the operation ``none``. It takes
    part in the softmax and is never chosen. An edge is as strong as its best operation.

    ::

        derived_cell([[0, 2, 0], [1, 0, 0]], nodes=1)  # [(1, 0), (0, 1)]
    """
    edges = edges_of(nodes)
    if len(alpha) != len(edges) or len({len(row) for row in alpha}) != 1 or len(alpha[0]) < 2:
        raise ConfigError(
            f"alpha has {_shape(alpha)}, expected {len(edges)} of one length above 1 for {nodes} "
            "nodes"
        )
    strongest: list[list[tuple[float, int, int]]] = [[] for _ in range(nodes)]
    for (node, source), row in zip(edges, alpha, strict=True):
        weights = softmax(row)[:-1]
        op = max(range(len(weights)), key=weights.__getitem__)
        strongest[node].append((-weights[op], source, op))
    return [(op, source) for found in strongest for _, source, op in sorted(found)[:2]]


def sources_of(layers: int, levels: int) -> list[tuple[int, int]]:
    """Returns the layer from 0 and the level of each row of beta.

    A row belongs to what a layer receives from a level of the layer before: its columns lead to
    the narrower level, the same and the wider.
    """
    return [(layer, level) for layer in range(layers) for level in range(min(layer + 1, levels))]


def masked_moves(sources: Sequence[tuple[int, int]], levels: int) -> list[tuple[int, int]]:
    """Returns the row and the column of the moves beyond the narrowest and the widest level."""
    return [
        (row, column)
        for row, (_, level) in enumerate(sources)
        for column in range(3)
        if not 0 <= level + column - 1 < levels
    ]


def paths_by_probability(
    beta: Sequence[Sequence[float]], layers: int, levels: int
) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yields the paths from the most to the least probable, with their probabilities.

    A path has the level of each layer and starts from level 0; its probability is the product of
    the softmax of the rows of ``beta`` that it passes. The first is that of Viterbi's algorithm,
    whose table of best continuations orders the others too.
    """
    sources = sources_of(layers, levels)
    if len(beta) != len(sources) or any(len(row) != 3 for row in beta):
        raise ConfigError(
            f"beta has {_shape(beta)}, expected {len(sources)} of 3 for {layers} layers and "
            f"{levels} levels"
        )
    moves = {}
    for (layer, level), row in zip(sources, beta, strict=True):
        reached = [n for n in (level - 1, level, level + 1) if 0 <= n < levels]
        weights = softmax([row[n - level + 1] for n in reached])
        moves[layer, level] = dict(zip(reached, weights, strict=True))
    best = {(layers, level): 1.0 for level in range(levels)}
    for layer, level in reversed(sources):
        following = moves[layer, level].items()
        best[layer, level] = max(weight * best[layer + 1, n] for n, weight in following)
    pending: list[tuple[float, tuple[int, ...], float]] = [(-best[0, 0], (), 1.0)]
    while pending:
        _, path, probability = heapq.heappop(pending)
        if len(path) == layers:
            yield path, probability
            continue
        for level, weight in moves[len(path), path[-1] if path else 0].items():
            longer = probability * weight
            bound = -longer * best[len(path) + 1, level]
            heapq.heappush(pending, (bound, (*path, level), longer))


def best_path(
    beta: Sequence[Sequence[float]], layers: int, levels: int
) -> tuple[tuple[int, ...], float]:
    """Returns the most probable path and its probability."""
    return next(paths_by_probability(beta, layers, levels))


def _shape(table: Sequence[Sequence[float]]) -> str:
    lengths = sorted({len(row) for row in table})
    return f"{len(table)} rows of {' or '.join(map(str, lengths))}"
