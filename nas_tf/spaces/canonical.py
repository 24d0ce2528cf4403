"""Isomorphic genotypes: the canonical order of their nodes, and the class of one of them."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

Node: TypeAlias = Hashable
Row: TypeAlias = tuple[Any, ...]
Form = TypeVar("Form", bound=Hashable)
Spelling: TypeAlias = tuple[Row, tuple[Node, ...]]


def smallest_rows(
    given: Sequence[Node],
    items: Sequence[Any],
    spellings: Callable[[Any, Mapping[Node, int]], Iterable[Spelling]],
) -> list[Row]:
    """Writes all items, each after what it reads, so that the list of rows is smallest.

    Args:
        given: Nodes that exist from the start; they are numbered 0, 1, ….
        items: What is to be ordered.
        spellings: Ways to write an item given the numbers of the nodes so far: the row, and the
            nodes it adds in the order in which they are numbered. None while it reads a node
            that has no number yet.

    Choosing the smallest row at each place is exact as long as every tie is followed up.
    """
    states = [({node: number for number, node in enumerate(given)}, frozenset[int]())]
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
    """Everything that elementary rewrites reach."""
    seen, open_ends = {start}, [start]
    while open_ends:
        for other in rewrites(open_ends.pop()):
            if other not in seen:
                seen.add(other)
                open_ends.append(other)
    return seen
