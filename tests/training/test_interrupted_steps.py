"""Full training that Ctrl-C interrupts right after an update repeats none when it resumes."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.interrupted import interrupt_after
from tests.training.test_full import ends, training, vectors

FULL = {"stages": [{"epochs": 2, "batch": 200}], "freeze_batch_norm": True}


@pytest.mark.slow
@pytest.mark.parametrize("number", [3, 2])
def test_no_update_is_repeated(tmp_path: Path, number: int) -> None:
    """The third of six steps is the last of its epoch."""
    calm = training(tmp_path / "calm", FULL)
    expected = ends(calm)
    first = training(tmp_path / "interrupted", FULL)
    interrupt_after(number, first._learner)
    with pytest.raises(KeyboardInterrupt):
        ends(first)
    assert first.steps_done == number
    first.save()
    again = training(tmp_path / "interrupted", FULL)
    assert again.resume()
    assert ends(again) == expected
    for name, vector in vectors(again).items():
        np.testing.assert_array_equal(vector, vectors(calm)[name])
