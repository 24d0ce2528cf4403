"""The record of a trial, as Python shows it."""

from tests.runs.recorded import trial


def test_it_is_shown_in_a_line_without_its_losses() -> None:
    shown = repr(trial(3, (0.25, 0.5)))
    assert shown.startswith("<TrialRecord 03: completed, reward 0.5000, [[[")
    assert "losses" not in shown
