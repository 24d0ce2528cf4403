"""The client at a server whose connections fail, and which takes up a new version meanwhile."""

import os
from pathlib import Path

import numpy as np
import pytest

from serving import saved_model
from serving.client import Client, RetryPolicy
from tests.serving.endpoint import GIVEN, MODEL, configure, started
from tests.serving.faulty_proxy import FAULTS, FaultyProxy
from tests.serving.shipped import pictures, shipment

REQUESTS, CONCURRENCY, DISTINCT = 1000, 32, 20


@pytest.mark.slow
@pytest.mark.skipif(GIVEN in os.environ, reason="the server's own ports are needed")
@pytest.mark.parametrize(
    ("wire", "most", "seconds"), [("grpc", 800_000, 3.0), ("rest", 1_500_000, 5.0)]
)
def test_no_answer_is_lost_or_mixed_up(
    tmp_path: Path, wire: str, most: int, seconds: float
) -> None:
    """Each answer is that of its own picture, by the old version or the new one."""
    folder, config = tmp_path / "versions", tmp_path / "models.config"
    saved_model.write(shipment(seed=1), folder)
    configure(config, MODEL, folder, {})
    distinct = pictures(DISTINCT)
    expected = [saved_model.answers(folder / "1")(distinct)["mask"]]
    server = started(config, poll=1).wait(1)
    port = int(getattr(server, wire).rpartition(":")[2])
    scheme = "grpc" if wire == "grpc" else "http"
    retry = RetryPolicy(attempt=seconds, deadline=120.0, longest=0.5)
    by_version = [0, 0]
    try:
        with (
            FaultyProxy(port, seed=1, most=most) as proxy,
            Client(f"{scheme}://127.0.0.1:{proxy.port}", MODEL, retry=retry) as client,
        ):
            stream = (distinct[number % DISTINCT] for number in range(REQUESTS))
            answers = client.predict_many(stream, batch=1, concurrency=CONCURRENCY)
            for number, answer in enumerate(answers):
                if number == REQUESTS // 4:
                    saved_model.write(shipment(seed=2), folder)
                    expected.append(saved_model.answers(folder / "2")(distinct)["mask"])
                    config.unlink()
                    configure(config, MODEL, folder, {"new": 2})  # is read if it has changed
                if number == REQUESTS // 2:
                    server.wait(2)
                same = [
                    np.array_equal(answer["mask"], masks[number % DISTINCT]) for masks in expected
                ]
                assert any(same), f"answer {number} is of another picture"
                by_version[same.index(True)] += 1
    finally:
        server.kill()
    assert number == REQUESTS - 1
    assert all(by_version)
    assert set(proxy.faults) == set(FAULTS), proxy.faults
