"""Latencies by the size of the input are those of the networks that they are named after."""

import pytest

from nas_tf import spaces
from nas_tf.jobs import latencies
from serving import measure


@pytest.mark.slow
def test_networks_are_timed_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_SECONDS_PER_TURN", 0.1)
    genotypes = {"templates": spaces.resolve("wacv-arch1"), "unet": spaces.resolve("unet-mnv2")}
    sizes = [(32, 64), (64, 128)]
    times = list(latencies.by_size(genotypes, sizes, classes=3, rounds=2))
    runtimes = len({item.runtime for item in times})
    assert len(times) == 2 * 2 * runtimes
    found = {(item.network, item.size): item for item in times if item.runtime == "TensorFlow"}
    assert set(found) == {(name, size) for name in genotypes for size in sizes}
    for name in genotypes:
        small, large = (found[name, size] for size in sizes)
        assert len(small.medians) == 2
        assert small.milliseconds < large.milliseconds
