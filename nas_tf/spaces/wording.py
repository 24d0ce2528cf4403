"""Names of a decoder's layers, and lists of names, for descriptions and statistics."""

from collections.abc import Mapping, Sequence


def layer(number: int, taps: Sequence[int]) -> str:
    """Names a layer of a decoder: a tap by its stride, or a block by its number."""
    if number < len(taps):
        return f"the stride-{taps[number]} tap"
    return f"block {number - len(taps) + 1}"


def short_layer(number: int, taps: Sequence[int]) -> str:
    """Names a layer of a decoder as a choice in statistics."""
    if number < len(taps):
        return f"stride {taps[number]}"
    return f"block {number - len(taps) + 1}"


def decoder_vocabulary(
    operations: Sequence[str], taps: Sequence[int]
) -> Mapping[str, Sequence[str]]:
    """Returns a decoder's operations and connections in the order of reports."""
    return {"operations": operations, "connections": [f"stride {stride}" for stride in taps]}


def listed(names: Sequence[str]) -> str:
    """Joins names by commas and a last ``and``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
