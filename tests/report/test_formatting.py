"""Numbers as they are written for a person."""

import pytest

from nas_tf.report import formatting


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0 s"),
        (90, "90 s"),
        (119.7, "2 min"),
        (3599, "1 h 00 min"),
        (6300, "1 h 45 min"),
    ],
)
def test_a_duration_is_seconds_up_to_two_minutes(seconds: float, expected: str) -> None:
    assert formatting.duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.04123, "0.0412 ms"), (12.34, "12.3 ms"), (1234.5, "1,234 ms"), (0.0, "0.00 ms")],
)
def test_a_latency_has_three_digits_and_no_exponent(value: float, expected: str) -> None:
    assert formatting.milliseconds(value) == expected
