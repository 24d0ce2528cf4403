"""serve, predict --endpoint and loadtest, with real servers."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving import saved_model
from tests.cli.command import nas_tf
from tests.serving import test_wires
from tests.serving.endpoint import Endpoint, served
from tests.serving.shipped import pictures, shipment


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photograph and an export of two versions with different weights."""
    folder = tmp_path_factory.mktemp("place")
    Image.fromarray(pictures(1, size=(80, 120))[0]).save(folder / "photo.jpg")
    (folder / "file").touch()
    for seed in (1, 2):
        saved_model.write(shipment(seed=seed), folder / "street" / "savedmodel")
    return folder


@pytest.fixture(scope="module")
def endpoint(place: Path) -> Iterator[Endpoint]:
    item = served(place / "street" / "savedmodel", labels={"stable": 1, "canary": 2})
    yield item
    item.kill()


@pytest.mark.slow
def test_versions_and_labels_are_selected(place: Path, endpoint: Endpoint) -> None:
    drawn = {}
    model = f"{endpoint.grpc}/{endpoint.model}"
    for which in (("--version", "1"), ("--label", "stable"), ("--label", "canary")):
        path = f"asked/{which[1]}.png"
        options = ("photo.jpg", "--out", path, *which)
        done = nas_tf("predict", "--endpoint", model, *options, cwd=place)
        assert (done.stdout, done.returncode) == (f"wrote {path}\n", 0), done.stderr
        drawn[which[1]] = np.asarray(Image.open(place / path))
    np.testing.assert_array_equal(drawn["stable"], drawn["1"])
    assert (drawn["stable"] != drawn["canary"]).any()


@pytest.mark.slow
@pytest.mark.parametrize("signature", ["serving_default", "image_bytes", "logits"])
def test_signatures_are_put_under_load(place: Path, endpoint: Endpoint, signature: str) -> None:
    options = ("--requests", "12", "--concurrency", "4", "--batch", "2", "--label", "stable")
    model = f"{endpoint.rest}/{endpoint.model}"
    done = nas_tf("loadtest", model, *options, "--signature", signature, cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 of 12 requests answered in ")
    assert " requests/s, images per request: 2, at a time: 4; latency p50 " in done.stdout


def test_mistakes_that_a_server_reports_are_one_line(place: Path, endpoint: Endpoint) -> None:
    model = f"{endpoint.grpc}/{endpoint.model}"
    for arguments, line, code in (
        (["loadtest", model, "--version", "9"], "refuses (not_found): Servable not found", 6),
        (["loadtest", model, "--signature", "mask"], "--signature is 'mask', expected one of", 2),
        (["predict", "--endpoint", model, "photo.jpg", "--label", "a"], "version label: a", 6),
    ):
        done = nas_tf(*arguments, cwd=place)
        assert line in done.stderr
        assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", code)


def test_a_load_ends_when_the_server_does(tmp_path: Path) -> None:
    """Failed requests are counted and not repeated, as a patient client would do."""
    left = iter(range(20))

    def reply(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            test_wires.send(handler, test_wires.METADATA)
        elif next(left, None) is not None:
            test_wires.send(handler, {"outputs": [[[1, 2], [3, 4]]]})
        else:
            handler.close_connection = True

    with test_wires.serving(reply) as address:
        options = ("--requests", "200", "--concurrency", "1")
        done = nas_tf("loadtest", f"{address}/street", *options, cwd=tmp_path)
    assert done.stdout.startswith("19 of 200 requests answered in ")
    assert done.stderr.startswith("nas-tf: 181 requests failed, 181 with: http://127.0.0.1:")
    assert (done.stderr.count("\n"), done.returncode) == (1, 6)


@pytest.mark.parametrize(
    ("name", "sides", "line"),
    [
        ("other", (2, 2), "--signature is 'serving_default', expected one of other"),
        (
            "serving_default",
            (-1, 2),
            "takes images uint8 [any, any, 2, 3], expected images of a fixed",
        ),
    ],
)
def test_models_without_a_known_signature_are_refused(
    tmp_path: Path, name: str, sides: tuple[int, int], line: str
) -> None:
    inputs = {"images": test_wires.tensor("DT_UINT8", -1, *sides, 3)}
    signatures = {name: {"inputs": inputs, "outputs": {}}}
    metadata = {"metadata": {"signature_def": {"signature_def": signatures}}}
    with test_wires.serving(lambda handler: test_wires.send(handler, metadata)) as address:
        done = nas_tf("loadtest", f"{address}/street", cwd=tmp_path)
    assert line in done.stderr
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 2)


def test_docker_receives_the_arguments_of_the_server(place: Path, tmp_path: Path) -> None:
    """There is no Docker daemon here, so a script records the arguments."""
    docker = tmp_path / "docker"
    docker.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"open({str(tmp_path / 'arguments.json')!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        "sys.exit(0 if sys.argv[1] == 'info' else 7)\n"
    )
    docker.chmod(0o755)
    path = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = nas_tf("serve", "street", "--start", cwd=place, env=path)
    assert (done.stderr, done.returncode) == ("", 7)
    arguments = json.loads((tmp_path / "arguments.json").read_text())
    assert arguments[0] == "run"
    source, target, mode = arguments[arguments.index("-v") + 1].split(":")
    assert (Path(source), target, mode) == (place / "street/savedmodel", "/models/street", "ro")
    assert arguments[-3:] == ["-e", "MODEL_NAME=street", "tensorflow/serving:2.15.1"]
    ports = [arguments[n + 1] for n, item in enumerate(arguments) if item == "-p"]
    assert ports == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    done = nas_tf("serve", "street", "--files", "--start", cwd=place, env=path)
    assert (done.stderr, done.returncode) == ("", 7)
    compose = str(place / "street" / "deploy" / "compose.yaml")
    arguments = json.loads((tmp_path / "arguments.json").read_text())
    assert arguments == ["compose", "-f", compose, "up"]


def test_without_docker_nothing_is_started(place: Path, tmp_path: Path) -> None:
    done = nas_tf(
        "serve", "street", "--start", cwd=place, env=os.environ | {"PATH": str(tmp_path)}
    )
    assert done.stderr == "nas-tf: --start needs Docker, which is not installed\n"
    assert done.returncode == 4


def test_a_docker_without_its_daemon_is_reported_before_any_advice(
    place: Path, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
    docker.chmod(0o755)
    path = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = nas_tf("serve", "street", "--start", cwd=place, env=path)
    assert f"the daemon of {docker} does not answer: start it" in done.stderr
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 4)


@pytest.mark.slow
def test_an_absent_server_is_reported_soon(place: Path) -> None:
    started = time.monotonic()
    done = nas_tf("predict", "--endpoint", "grpc://127.0.0.1:9/street", "photo.jpg", cwd=place)
    assert time.monotonic() - started < 40
    assert done.stderr.startswith("nas-tf: ")
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 6)


def test_a_release_is_written_and_promoted(place: Path) -> None:
    for options, labels in (
        (("--stable", "1"), {"stable": 1}),
        (("--stable", "1", "--canary", "2"), {"stable": 1, "canary": 2}),
        ((), {"stable": 2}),
    ):
        image = ("--image", "registry.example.com/street")
        done = nas_tf("serve", "street", "--files", *image, *options, cwd=place)
        assert (done.stderr, done.returncode) == ("", 0)
        option = "--label stable (or canary)" if "canary" in labels else "--label stable"
        assert done.stdout.endswith(f"/street photo.jpg {option}\n")
        config = (place / "street" / "deploy" / "models.config").read_text()
        for label, number in labels.items():
            assert f'version_labels {{ key: "{label}" value: {number} }}' in config
        assert config.count("version_labels") == len(labels)
        tag = "-".join(f"{label}{number}" for label, number in labels.items())
        kubernetes = (place / "street" / "deploy" / "kubernetes.yaml").read_text()
        assert re.search(
            rf'image: "registry\.example\.com/street:{tag}-[0-9a-f]{{12}}"', kubernetes
        )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["serve", "street", "--name", "../../etc"], "name is '../../etc', expected at most 42"),
        (["serve", "street", "--files", "--stable", "3"], "stable is 3, expected a version in"),
        (["serve", "street", "--canary", "2"], "--canary or --image is given, expected --files"),
        (["predict", "street/savedmodel/1", "photo.jpg", "--label", "a"], "expected --endpoint"),
        (["predict", "street/savedmodel/1", "photo.jpg", "--out", "seen"], "--out is seen, expec"),
        (["predict", "street/savedmodel/1", "photo.jpg", "--out", "a.doc"], "such as a.png"),
        (
            ["predict", "street/savedmodel/1", "photo.jpg", "--out", "file/a.png"],
            "file is not a folder, expected another --out",
        ),
        (
            ["loadtest", "grpc://127.0.0.1:9/a", "--label", "a", "--version", "1"],
            "version and label are both given",
        ),
    ],
)
def test_mistakes_are_one_line(place: Path, arguments: list[str], line: str) -> None:
    before = sorted(place.rglob("*"))
    done = nas_tf(*arguments, cwd=place)
    assert line in done.stderr
    assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 2)
    assert sorted(place.rglob("*")) == before
