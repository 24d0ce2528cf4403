"""A picture has the same boxes from every runtime and endpoint, at the picture's own size."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.input_geometry import Resize
from nas_tf.jobs import predictions
from nas_tf.pictures import decoded
from nas_tf.tasks import Answer
from serving import load_test, saved_model, tflite, whole_picture
from serving.client import Client, RetryPolicy
from serving.lite_runner import LiteModel
from serving.shipment import Shipment
from serving.signatures import DEFAULT, FILES
from tests.serving.endpoint import Endpoint, served
from tests.serving.shipped import detector, pictures
from tests.serving.test_whole_pictures import SHAPES, written

pytestmark = pytest.mark.slow
PATIENT = RetryPolicy(attempt=120.0, deadline=240.0)
"""The first request of a signature optimises its graph, which a server does in its warm-up."""
FURTHEST = 0.05
"""Pixels that a corner moves from one runtime to another."""


@pytest.fixture(scope="module")
def item() -> Shipment:
    return replace(detector(), resize=Resize(longer=96))


@pytest.fixture(scope="module")
def folder(item: Shipment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    versions = tmp_path_factory.mktemp("boxes")
    saved_model.write(item, versions)
    return versions


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[Endpoint]:
    server = served(folder)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def lite(item: Shipment) -> LiteModel:
    return LiteModel(tflite.convert(item, "fp32"))


def check(item: Shipment, given: Answer, wanted: Answer) -> None:
    """Checks that boxes are the same but for some whose scores or overlaps are at a tie."""
    assert {name: np.shape(values) for name, values in given.items()} == {
        name: np.shape(values) for name, values in wanted.items()
    }
    batches = [{name: np.asarray(v)[None] for name, v in part.items()} for part in (given, wanted)]
    assert item.task.agreement(*batches) > 0.95
    apart = np.abs(given["boxes"][:, None] - np.asarray(wanted["boxes"])[None]).max(-1)
    same = np.asarray(given["classes"])[:, None] == np.asarray(wanted["classes"])[None]
    nearest = np.where(same, apart, np.inf).min(1)[: int(given["count"])]
    assert (nearest < FURTHEST).mean() > 0.9


@pytest.mark.parametrize(("shape", "orientation"), [("landscape", 1), ("landscape", 6)])
def test_runtimes_and_endpoints_agree(
    item: Shipment,
    folder: Path,
    endpoint: Endpoint,
    lite: LiteModel,
    tmp_path: Path,
    shape: str,
    orientation: int,
) -> None:
    path = tmp_path / f"{shape}.png"
    path.write_bytes(written(pictures(1, size=SHAPES[shape])[0], "png", orientation))
    picture = decoded(path.read_bytes(), "it")
    about = saved_model.about(folder / "1")
    wanted = whole_picture.answer(saved_model.answers(folder / "1"), about, picture)
    height, width = picture.shape[:2]
    assert wanted["count"] > 10
    assert (height > width) == (orientation == 6), "a portrait by its EXIF data"
    assert np.asarray(wanted["boxes"]).min() >= 0
    assert (np.asarray(wanted["boxes"]).max(0) <= (width, height, width, height)).all()
    found: dict[str, Mapping] = {"tflite": whole_picture.answer(lite, item.about(), picture)}
    for wire in ("grpc", "rest"):
        with Client(getattr(endpoint, wire), endpoint.model, retry=PATIENT) as client:
            found[f"{wire} images"] = whole_picture.answer(client.predict, about, picture)
            _, found[f"{wire} files"] = predictions.by_server(client)(path, picture)
    for answer in found.values():
        check(item, answer, wanted)
    overlay = tmp_path / "overlay.png"
    predictions.draw(picture, {}, found["grpc files"], overlay)
    with Image.open(overlay) as drawn:
        assert drawn.size == (width, height)
        assert (np.asarray(drawn) != picture).any()


def test_a_load_of_either_signature_is_answered(endpoint: Endpoint) -> None:
    with Client(endpoint.grpc, endpoint.model, retry=PATIENT) as client:
        for signature in (DEFAULT, FILES):
            ask = load_test.noise_request(client, signature, batch=2)
            load = load_test.run(ask, requests=4, concurrency=2)
            assert (len(load.taken), load.refused) == (4, [])


def test_files_of_several_sizes_are_answered_together(endpoint: Endpoint) -> None:
    files = [written(pictures(1, size=SHAPES[n])[0], "png", 1) for n in ("landscape", "portrait")]
    with Client(endpoint.grpc, endpoint.model, retry=PATIENT) as client:
        together = client.predict_files(files)
        alone = [client.predict_files([file]) for file in files]
    for name, values in together.items():
        np.testing.assert_allclose(values, np.concatenate([part[name] for part in alone]), 1e-4)
