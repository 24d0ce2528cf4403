"""Fuzzing here means inputs close to valid ones, with a readable refusal as the only failure."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas_tf.errors import NasTfError
from tests import sampling

_LONGEST = 1500

#: Runs a test with few examples, and as a slow one with many.
often = pytest.mark.parametrize(
    "times",
    [
        pytest.param(1, id="few"),
        pytest.param(sampling.times(10, 4), id="many", marks=pytest.mark.slow),
    ],
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["9" * 5000, -1, 10**30, "1e999", "\x00", "../..", "é"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)


def hold(times: int, examples: int, check: Callable[..., None], **inputs: Any) -> None:
    """Checks a property on ``times * examples`` inputs; NAS_TF_FUZZ multiplies their number."""
    more = int(os.environ.get("NAS_TF_FUZZ", 1))
    quiet = settings(
        max_examples=more * times * examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    quiet(given(**inputs)(check))()


@contextmanager
def refused_at_most(naming: str = "") -> Iterator[None]:
    """Suppresses an error for users if it is one readable line that contains ``naming``."""
    try:
        yield
    except NasTfError as error:
        line = " ".join(str(error).split())
        assert 0 < len(line) <= _LONGEST, f"{len(line)} characters: {line[:200]}"
        assert naming in line


def mangled(content: bytes) -> st.SearchStrategy[bytes]:
    """Returns file contents with some bytes changed, removed, doubled or inserted."""
    place = st.integers(0, max(0, len(content) - 1))
    edit = st.tuples(place, st.integers(0, 12), st.binary(max_size=6))

    def apply(edits: list[tuple[int, int, bytes]], end: int) -> bytes:
        result = bytearray(content)
        for start, removed, inserted in edits:
            result[start : start + removed] = inserted
        return bytes(result[:end])

    cut = st.just(2 * len(content) + 100) | place
    return st.builds(apply, st.lists(edit, max_size=3), cut) | st.binary(max_size=64)


@st.composite
def another(draw: st.DrawFn, value: Any) -> Any:
    """Generates JSON with one of its values changed or removed."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        return rest if not draw(st.integers(0, 4)) else rest | {key: draw(another(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(another(value[place])), *value[place + 1 :]]
    return draw(VALUES | _alike(value))


def _alike(value: Any) -> st.SearchStrategy[Any]:
    """Returns other values of the same type, which a schema accepts."""
    if isinstance(value, str):
        spoilt = mangled(value.encode()).map(lambda content: content.decode("utf-8", "replace"))
        return spoilt | st.text() | st.just(f"[bold]{value}[/]")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return st.integers() | st.floats() | st.integers(-2, 2)
    return VALUES


def other_json(text: str) -> st.SearchStrategy[bytes]:
    """Returns files of changed JSON, and of JSON mangled byte by byte."""
    spoilt = another(json.loads(text)).map(lambda value: json.dumps(value).encode())
    return spoilt | mangled(text.encode())
