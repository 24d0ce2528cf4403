"""Splits that join others: train+val has the examples of train, then those of val."""

_PUBLISHED = {"trainval": ("train", "val")}
"""Splits of published lists that contain other splits of their data set."""


def parts(split: str) -> tuple[str, ...]:
    """Returns the splits of a data set that a split joins; a plain split is its only part."""
    return tuple(split.split("+"))


def overlap(first: str, second: str) -> bool:
    """Returns whether two splits of a data set have examples in common, by their names."""
    return not _contained(first).isdisjoint(_contained(second))


def _contained(split: str) -> set[str]:
    """Returns the parts of a split, and the splits that these contain."""
    return {name for part in parts(split) for name in (part, *_PUBLISHED.get(part, ()))}
