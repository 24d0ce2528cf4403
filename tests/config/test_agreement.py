"""A price on latency names where latency comes from."""

import pytest

from nas_tf import config
from nas_tf.config.schema import Goal, Goals
from tests.config.test_mistakes import SMALL, refused

_WITH = "expected search.latency=TABLE.json with it, which nas-tf profile-ops makes, or =tflite"


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("limits.latency_ms=20", f"override limits.latency_ms=20: {_WITH}"),
        (
            "search.goals.latency_ms={goal: 20}",
            "override search.goals.latency_ms={goal: 20}: search.goals.latency_ms.goal is "
            f"20, {_WITH}",
        ),
        (
            "search.goals.params.exponent=1",
            "override search.goals.params.exponent=1: key search.goals.params.goal is "
            "missing, expected a number above 0",
        ),
    ],
)
def test_what_is_missing_is_said(write, override: str, line: str) -> None:
    assert refused(write(SMALL), override).startswith(line)


def test_a_price_with_its_source_is_accepted(write) -> None:
    path = write(SMALL + "search: {latency: tflite, goals: {latency_ms: {goal: 20}}}\n")
    loaded = config.load(path, ["limits.latency_ms=40", "search.goals.madds.goal=1e9"])
    assert loaded.limits.latency_ms == 40
    assert loaded.search.goals == Goals(latency_ms=Goal(goal=20), madds=Goal(goal=1e9))
