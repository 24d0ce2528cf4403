"""The client against an endpoint in another process: TF Serving where there is one, or a stand-in.

The stand-in speaks TF Serving's protocol; it does not have its loader, batching or speed.
"""

import asyncio
import io
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf.errors import ConfigError, DataError, ServingError
from serving import saved_model
from serving.client import Client, RetryPolicy
from serving.signatures import LOGITS
from serving.wire import Busy
from tests.serving.endpoint import (
    GIVEN,
    MODEL,
    MODELS,
    Endpoint,
    configure,
    served,
    started,
)
from tests.serving.shipped import SIZE, pictures, shipment

WIRES = ("grpc", "rest")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions with other weights."""
    versions = tmp_path_factory.mktemp("served")
    for seed in (1, 2):
        saved_model.write(shipment(seed=seed), versions)
    return versions


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "typed"])
def endpoint(folder: Path, request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    item = served(folder, labels={"stable": 1, "canary": 2}, typed=request.param)
    yield item
    item.kill()


@pytest.mark.quick(2)
@pytest.mark.parametrize("wire", WIRES)
def test_it_answers_as_the_model_on_disk(endpoint: Endpoint, folder: Path, wire: str) -> None:
    pixels = pictures()
    for version in (None, 1):
        expected = saved_model.answers(folder / str(version or 2))(pixels)["mask"]
        with Client(getattr(endpoint, wire), endpoint.model, version=version) as client:
            given = client.predict(pixels)
            assert given.keys() == {"mask"}
            assert given["mask"].dtype == np.uint8
            np.testing.assert_array_equal(given["mask"], expected)
            logits = client.predict(pixels[:1], signature=LOGITS)["logits"]
            assert (logits.dtype, logits.shape) == (np.float32, (1, 16, 24, 5))


@pytest.mark.parametrize("wire", WIRES)
def test_a_label_stands_for_a_version(endpoint: Endpoint, folder: Path, wire: str) -> None:
    pixels = pictures()
    first, second = (saved_model.answers(folder / version)(pixels)["mask"] for version in "12")
    assert (first != second).any()
    for label, expected in (("stable", first), ("canary", second), (None, second)):
        with Client(getattr(endpoint, wire), endpoint.model, label=label) as client:
            np.testing.assert_array_equal(client.predict(pixels)["mask"], expected)
    with (
        Client(getattr(endpoint, wire), endpoint.model, label="summer") as client,
        pytest.raises(
            ServingError, match=r"refuses .*Unrecognized servable version label: summer$"
        ),
    ):
        client.predict(pixels)


@pytest.mark.parametrize("wire", WIRES)
def test_files_come_back_as_files(endpoint: Endpoint, wire: str) -> None:
    contents = []
    for pixels in (pictures(1)[0], pictures(1, size=(80, 40))[0]):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "png")
        contents.append(content.getvalue())
    with Client(getattr(endpoint, wire), endpoint.model) as client:
        masks = client.predict_files(contents)["mask_png_bytes"]
    assert [tf.io.decode_png(mask).shape[:2] for mask in masks] == [SIZE, (80, 40)]


@pytest.mark.parametrize("wire", WIRES)
def test_what_does_not_fit_is_refused_before_it_is_sent(endpoint: Endpoint, wire: str) -> None:
    with Client(getattr(endpoint, wire), endpoint.model) as client:
        for pixels, found in (
            (pictures().astype(np.float32), r"float32 \[3, 64, 96, 3\]"),
            (pictures()[..., :1], r"uint8 \[3, 64, 96, 1\]"),
            (pictures(size=(96, 64)), r"uint8 \[3, 96, 64, 3\]"),
            (pictures()[0], r"uint8 \[64, 96, 3\]"),
        ):
            wanted = rf"^images is {found}, the model takes uint8 \[any, 64, 96, 3\]$"
            with pytest.raises(DataError, match=wanted):
                client.predict(pixels)
        with pytest.raises(ConfigError, match=r"^signature 'mask' is unknown, the model has "):
            client.predict(pictures(), signature="mask")


@pytest.mark.parametrize(
    ("third", "found"),
    [
        (pictures(1, size=(96, 64))[0], r"uint8 \[1, 96, 64, 3\]"),
        (pictures(1)[0] / 255, r"float64 \[1, 64, 96, 3\]"),
    ],
    ids=["size", "type"],
)
def test_an_image_of_a_stream_that_does_not_fit_is_named(
    endpoint: Endpoint, third: np.ndarray, found: str
) -> None:
    stream = [*pictures(2), third, *pictures(2)]
    line = rf"^image 3 of the stream: images is {found}, the model takes uint8 \[any, 64, 9"
    with (
        Client(endpoint.grpc, endpoint.model) as client,
        pytest.raises(DataError, match=line),
    ):
        list(client.predict_many(stream, batch=4))


@pytest.mark.parametrize("wire", WIRES)
def test_what_the_server_refuses_is_one_line(endpoint: Endpoint, wire: str) -> None:
    with (
        Client(getattr(endpoint, wire), endpoint.model) as client,
        pytest.raises(ServingError, match=r"refuses .*neither a JPEG nor a PNG") as error,
    ):
        client.predict_files([b"no picture"])
    assert "\n" not in str(error.value)
    for options in ({"version": 9}, {}):
        name = endpoint.model if options else "nobody"
        with (
            Client(getattr(endpoint, wire), name, **options) as client,
            pytest.raises(ServingError, match=r"refuses .*[Nn]ot found"),
        ):
            client.predict(pictures())


def test_wrong_addresses_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"^endpoint is 'localhost:8500', expected an address such as grpc"
    ):
        Client("localhost:8500", MODEL)
    with pytest.raises(ConfigError, match=r"^version and label are both given"):
        Client("grpc://localhost:8500", MODEL, version=1, label="canary")


def test_no_attempt_lasts_longer_than_what_is_left_of_the_deadline() -> None:
    times: list[float] = []

    def ask(seconds: float) -> None:
        times.append(seconds)
        time.sleep(0.2)
        raise Busy("not yet")

    retry = RetryPolicy(attempt=5.0, deadline=0.5, first=0.01, longest=0.01)
    with Client("http://127.0.0.1:9", MODEL, retry=retry) as client, pytest.raises(Busy):
        client._retried(ask)
    assert len(times) > 1
    assert times[0] <= 0.5
    assert all(later <= before - 0.2 for before, later in pairwise(times) if before > 0.2)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_an_absent_server_is_reported_after_the_deadline(scheme: str) -> None:
    retry = RetryPolicy(attempt=0.5, deadline=1.5, first=0.1)
    began = time.monotonic()
    with (
        Client(f"{scheme}://127.0.0.1:9", MODEL, retry=retry) as client,
        pytest.raises(Busy, match=r"cannot be reached|did not answer"),
    ):
        client.predict(pictures())
    assert 0.5 < time.monotonic() - began < RetryPolicy().deadline / 2


def test_awaited_answers_are_the_same(endpoint: Endpoint) -> None:
    pixels = pictures(8)

    async def ask(client: Client) -> list[np.ndarray]:
        one_by_one = (client.predict_async(image[None]) for image in pixels)
        return [given["mask"][0] for given in await asyncio.gather(*one_by_one)]

    with Client(endpoint.grpc, endpoint.model) as client:
        np.testing.assert_array_equal(asyncio.run(ask(client)), client.predict(pixels)["mask"])


@pytest.mark.slow
def test_a_thousand_requests_side_by_side_keep_their_answers(
    endpoint: Endpoint, folder: Path
) -> None:
    distinct = pictures(20)
    expected = saved_model.answers(folder / "2")(distinct)["mask"]
    with Client(endpoint.grpc, endpoint.model) as client:
        stream = (distinct[n % 20] for n in range(1000))
        count = 0
        for given in client.predict_many(stream, batch=1, concurrency=8):
            np.testing.assert_array_equal(given["mask"], expected[count % 20])
            count += 1
    assert count == 1000


@pytest.mark.slow
@pytest.mark.skipif(GIVEN in os.environ, reason="a server that others run is not killed")
def test_a_server_that_dies_and_returns_costs_time_and_nothing_else(folder: Path) -> None:
    distinct = pictures(20)
    expected = saved_model.answers(folder / "2")(distinct)["mask"]
    item = served(folder)
    ports = tuple(int(address.rpartition(":")[2]) for address in (item.grpc, item.rest))
    again: list[Endpoint] = []

    def die_and_return() -> None:
        item.kill()
        again.append(served(folder, ports=ports))

    retry = RetryPolicy(attempt=5.0, deadline=120.0)
    with Client(item.grpc, MODEL, retry=retry) as client:
        stream = (distinct[n % 20] for n in range(200))
        dying = threading.Thread(target=die_and_return)
        for number, given in enumerate(client.predict_many(stream, batch=2, concurrency=8)):
            if number == 50:
                dying.start()
            np.testing.assert_array_equal(given["mask"], expected[number % 20])
        dying.join()
    assert number == 199
    again[0].kill()


@pytest.mark.slow
@pytest.mark.skipif(GIVEN in os.environ, reason="a server that others run is not killed")
def test_a_server_that_dies_and_stays_dead_is_reported(folder: Path) -> None:
    """Earlier answers are right, and waiting requests are not sent one after another."""
    distinct = pictures(20)
    expected = saved_model.answers(folder / "2")(distinct)["mask"]
    item = served(folder)
    with ExitStack() as clients:
        streams = []
        for wire in WIRES:
            address = getattr(item, wire)
            client = clients.enter_context(Client(address, MODEL, retry=RetryPolicy(deadline=10)))
            stream = (distinct[n % 20] for n in range(1000))
            streams.append((address, client.predict_many(stream, batch=2, concurrency=8)))
        for _, answers in streams:
            hold_equal(islice(answers, 40), expected)
        item.kill()
        for address, answers in streams:
            began = time.monotonic()
            with pytest.raises(Busy, match=f"^{address}.* (cannot be reached|did not answer)"):
                hold_equal(answers, expected)
            assert time.monotonic() - began < RetryPolicy().deadline / 2


def hold_equal(answers: Iterable[Mapping[str, np.ndarray]], expected: np.ndarray) -> None:
    """Checks answers in their order, with the expected ones repeated."""
    for given, mask in zip(answers, cycle(expected), strict=False):
        np.testing.assert_array_equal(given["mask"], mask)


@pytest.mark.slow
def test_a_running_server_takes_models_and_versions_up(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tests do with a given server; a client continues with a version of another size."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "models.config").write_text("model_config_list {}")
    server = started(shared / "models.config", poll=1)
    monkeypatch.setenv(GIVEN, f"{server.grpc},{server.rest}")
    monkeypatch.setenv(MODELS, str(shared))
    saved_model.write(shipment(), tmp_path / "other")
    try:
        for models in (folder, tmp_path / "other"):
            item = served(models, labels={"stable": 1})
            newest = max(int(path.name) for path in models.iterdir())
            expected = saved_model.answers(models / str(newest))(pictures())["mask"]
            with Client(item.grpc, item.model) as client:
                np.testing.assert_array_equal(client.predict(pictures())["mask"], expected)
        with (
            Client(item.grpc, item.model) as by_grpc,
            Client(item.rest, item.model) as by_rest,
        ):
            for client in (by_grpc, by_rest):
                assert client.predict(pictures())["mask"].shape == (3, *SIZE)
            monkeypatch.setattr("tests.serving.shipped.SIZE", (96, 64))
            saved_model.write(shipment(), shared / item.model)
            (shared / "models.config").unlink()
            configure(shared / "models.config", item.model, shared / item.model, {"stable": 2})
            item.wait(2)
            for client in (by_grpc, by_rest):
                turned = client.predict(pictures(size=(96, 64)))["mask"]
                assert turned.shape == (3, 96, 64)
                with pytest.raises(DataError, match=r"takes uint8 \[any, 96, 64, 3\]$"):
                    client.predict(pictures())
    finally:
        server.kill()
