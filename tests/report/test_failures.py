"""Reasons of failures: reasons that differ in numbers only are one."""

import pytest

from nas_tf.report import run_statistics
from tests.runs.recorded import trial


def grouped(*reasons: str | None) -> list[tuple[str, int]]:
    trials = [
        trial(number, (), status="failed", stopped=item) for number, item in enumerate(reasons)
    ]
    completed = trial(50, (0.5,), stopped="gate")
    found = run_statistics.group_failures([completed, *trials])
    return [(item.reason, len(item.trials)) for item in found]


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (
            (
                "0.1235 ms of latency, the limit is 0.01 ms",
                "8e-05 ms of latency, the limit is 0.01 ms",
            ),
            "8e-05 to 0.1235 ms of latency, the limit is 0.01 ms",
        ),
        (
            (
                "9,100,000 parameters, the limit is 1,000",
                "12,400,000 parameters, the limit is 1,000",
            ),
            "9,100,000 to 12,400,000 parameters, the limit is 1,000",
        ),
        (
            ("the loss is nan at step 33 of stage 1", "the loss is nan at step 7 of stage 1"),
            "the loss is nan at step 7 to 33 of stage 1",
        ),
        (("61 s, the limit is 60 s", "61 s, the limit is 60 s"), "61 s, the limit is 60 s"),
        ((None, None), "unknown"),
    ],
)
def test_numbers_that_differ_are_a_range(reasons: tuple[str | None, ...], expected: str) -> None:
    assert grouped(*reasons) == [(expected, 2)]


def test_words_that_differ_are_other_reasons_and_the_most_common_is_first() -> None:
    shapes = ("ValueError: conv2d_3 is 0x1f", "ValueError: conv2d_4 is 0x1f")
    assert grouped(*shapes, "loss is inf at step 2", "loss is inf at step 1") == [
        ("loss is inf at step 1 to 2", 2),
        (shapes[0], 1),
        (shapes[1], 1),
    ]
