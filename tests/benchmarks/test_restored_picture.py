"""The benchmark of restored pictures runs the function and the models of TFLite."""

import pytest

from benchmarks import restored_picture


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:threads is 1 without effect")
def test_every_form_of_ours_restores_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored_picture, "SIZE", (32, 40))
    monkeypatch.setattr(restored_picture, "WIDTH", 2)
    for form in restored_picture.OURS:
        assert 0 <= restored_picture.fastest(restored_picture.call("hinas-skip", form)) < 10


def test_a_line_has_the_least_seconds_of_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((3.0, 2.0, 1.0, 4.0, 6.0) * 2)
    monkeypatch.setattr(restored_picture, "measured", lambda *_: next(seconds))
    assert restored_picture.line("hinas-skip", "python", 2) == (
        "| hinas-skip | 3.00 | 2.00 | 1.00 | 4.00 | 6.00 | 1.33 | 2.00 | 4.00 |"
    )
