"""The benchmark of the gradient search's steps measures both parts."""

import pytest

from benchmarks import supernet_step
from nas_tf.networks.supernet import ARCHITECTURE
from nas_tf.training.supernet_training import WEIGHTS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:threads is 1 without effect")
def test_both_parts_are_timed_after_their_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LAYERS", 1), ("NODES", 1), ("WIDTH", 2)):
        monkeypatch.setattr(supernet_step, name, value)
    found = supernet_step.measure("float32", 1, 16)
    assert sorted(found) == sorted(["first", ARCHITECTURE, WEIGHTS])
    assert 0 < found[ARCHITECTURE] < found["first"]
    assert supernet_step.fastest([found, {**found, "first": 0.5}])["first"] == 0.5
