"""Finds the canonical order of a genotype's nodes, and all genotypes isomorphic to it."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

Node: TypeAlias = Hashable
Row: TypeAlias = tuple[Any, ...]
Form = TypeVar("Form", bound=Hashable)
Spelling: TypeAlias = tuple[Row, tuple[Node, ...]]


def smallest_rows(
    inputs: Sequence[Node],
    items: Sequence[Any],
    spellings: Callable[[Any, Mapping[Node, int]], Iterable[Spelling]],
) -> list[Row]:
    """Writes all items, each after the items it reads, so that the list of rows is smallest.

    Args:
        inputs: Nodes that exist from the start; they are numbered 0, 1, ….
        items: The items to order.
        spellings: Function from an item and the numbers of the nodes so far to the ways to write
            it: the row, and the nodes it adds in the order in which they are numbered. There are
            no ways while it reads a node without a number.

    Choosing the smallest row at each place is exact as long as every tie is followed up.
    """
    states = [({node: number for number, node in enumerate(inputs)}, frozenset[int]())]
    rows: list[Row] = []
    for _ in items:
        best: Row | None = None
        following: list[tuple[dict[Node, int], frozenset[int]]] = []
        for numbers, written in states:
            for index, item in enumerate(items):
                if index in written:
                    continue
                for row, nodes in spellings(item, numbers):
                    if best is None or row < best:
                        best, following = row, []
                    if row == best:
                        longer = dict(numbers)
                        for node in nodes:
                            longer[node] = len(longer)
                        following.append((longer, written | {index}))
        if best is None:
            raise ValueError("an item reads a node that no item adds")
        rows.append(best)
        states = following
    return rows


def closure(start: Form, rewrites: Callable[[Form], Iterable[Form]]) -> set[Form]:
    """Returns everything that elementary rewrites reach from ``start``, itself included."""
    reached, pending = {start}, [start]
    while pending:
        for other in rewrites(pending.pop()):
            if other not in reached:
                reached.add(other)
                pending.append(other)
    return reached
