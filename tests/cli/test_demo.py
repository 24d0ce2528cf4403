"""The command demo: of trainings, exports and files; a real process that Ctrl-C ends."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from nas_tf.jobs import demos
from serving import demo_runtime
from tests.cli.command import COMMAND, nas_tf
from tests.serving.demonstrated import of_no_runtime


@pytest.fixture(autouse=True)
def without_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_runtime, "contents", lambda folder, **_: of_no_runtime())


def listed(folder: Path) -> list[tuple[str, list[str]]]:
    """Returns the networks that a page lists, and the kinds of their models."""
    listing = json.loads((folder / "networks.json").read_text())
    return [
        (entry["name"], [model["kind"] for model in entry["models"]])
        for entry in listing["networks"]
    ]


@pytest.mark.slow
def test_exports_files_and_runs_are_written_side_by_side(place: Path) -> None:
    (file,) = (place / "out").glob("*-fp16.tflite")
    name = file.stem.removesuffix("-fp16")
    done = nas_tf("demo", "out", str(file), "run", "--out", "site", cwd=place)
    assert (done.returncode, done.stdout) == (0, "wrote site\n"), done.stderr
    assert listed(place / "site") == [
        (name, ["int8", "fp32", "fp16"]),
        (f"{name} (2)", ["fp16"]),
        (f"{name} (3)", ["int8", "fp32"]),
    ]
    assert not (place / "exports").exists()


@pytest.mark.slow
def test_a_run_is_shown_as_it_was_exported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "exports").mkdir()
    name = next((place / "out").glob("*-int8.tflite")).stem.removesuffix("-int8")
    (place / "exports" / name).symlink_to(place / "out")
    monkeypatch.setattr(demos.exports, "write", None)
    done = nas_tf("demo", "run", "--out", "shown", cwd=place)
    assert done.returncode == 0, done.stderr
    assert listed(place / "shown") == [(name, ["int8", "fp32", "fp16"])]
    (place / "exports" / name).unlink()
    (place / "exports").rmdir()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], "nowhere does not exist, expected the folder of a training, a search or"),
        (["empty"], "empty holds neither genotype.json nor run.json, expected a folder that"),
        (["saved"], "saved holds no TFLite file, expected an export by nas-tf export --to tflite"),
        (["text"], "text is not a TFLite model, expected one that nas-tf export wrote"),
        (["x", "--out", "y", "--port", "1"], "--host or --port is given, expected no --out with"),
    ],
)
def test_mistakes_are_a_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "saved" / "savedmodel").mkdir(parents=True)
    (tmp_path / "text").write_text("no model")
    done = nas_tf("demo", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"nas-tf: {line}")
    assert done.stderr.count("\n") == 1


SERVE = """
import sys
from nas_tf import quiet
from nas_tf.__main__ import main
quiet.load("tensorflow")  # the next lines import it too
from serving import demo_runtime
from tests.serving.demonstrated import of_no_runtime
demo_runtime.contents = lambda folder, **_: of_no_runtime()
sys.argv = ["nas-tf", "demo", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_serves_until_ctrl_c(host: str, place: Path) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "out", "--host", host, "--port", "0"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    while not lines or not lines[-1].startswith("open "):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    url = lines[-1].split()[1]
    if host == "127.0.0.1":
        assert len(lines) == 1
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        with urllib.request.urlopen(f"{url}networks.json", timeout=30) as answer:
            assert answer.status == 200
    else:
        assert re.fullmatch(r"https://[\d.]+:\d+/", url)
        assert len(lines) > 12  # the QR code
        assert re.fullmatch(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\n", lines[-2])
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (0, "stopped\n", "")


def test_the_command_loads_when_it_is_called() -> None:
    done = subprocess.run([*COMMAND, "demo", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "--runtime" in done.stdout
