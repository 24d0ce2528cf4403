"""profile-ops, and a search with its table, partly in real processes."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from nas_tf.report.formatting import milliseconds
from tests.cli.command import COMMAND, nas_tf
from tests.cli.test_training import NETWORK, SMALL
from tests.prepared import few_scenes

SPACE = "{name: auxcell, blocks: 1, branches: 1}"
PLACE = ["--space", SPACE, "--input", "64x64", "network.width=8", "network.alpha=0.35"]


@pytest.mark.slow
def test_a_table_is_filled_resumed_and_compared(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [*COMMAND, "profile-ops", *PLACE, "--out", "tables/here.json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = tmp_path / "tables" / "here.json"
    while child.poll() is None and not path.exists():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, printed = child.communicate(timeout=100)
    assert child.returncode == 130
    stopped = "stopped; the same command resumes the measurement in tables/here.json"
    assert printed.splitlines()[-1] == stopped
    before = json.loads(path.read_text())
    assert (before["schema"], before["threads"]) == (1, 1)
    done = nas_tf("profile-ops", *PLACE, "--out", "tables/here.json", "--check", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = json.loads(path.read_text())
    assert before["ops"].items() <= after["ops"].items()
    filled, compared = done.stdout.splitlines()
    timed = len(after["ops"]) - len(before["ops"])
    assert filled.startswith(
        f"{len(after['ops'])} operations in tables/here.json, {timed} of them measured in "
    )
    assert filled.endswith("use it with search.latency=tables/here.json")
    assert compared.startswith("predicted / measured: median ")
    assert "rank correlation ρ = " in compared
    (tmp_path / "small.yaml").write_text(SMALL)
    search = ("search", "small.yaml", "search.latency=tables/here.json", "limits.latency_ms=1e-4")
    found = nas_tf(*search, "--oracle", "random", "--trials", "2", "--out", "run", cwd=tmp_path)
    assert found.returncode == 5
    assert "ms of latency, the limit is 0.0001 ms" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["profile-ops", "--out", "here.json"],
            "no configuration is given, expected one, or --space and --input",
        ),
        (
            ["profile-ops", "small.yaml", "--out", "small.yaml"],
            "small.yaml is not a latency table (JSON is malformed: invalid character (byte 0)), "
            "expected one that nas-tf profile-ops wrote",
        ),
        (
            ["search", "small.yaml", "search.latency=none.json", "--workers", "2"],
            "latency table PLACE/none.json does not exist: nas-tf profile-ops CONFIG --out "
            "PLACE/none.json makes it",
        ),
        (
            ["search", "small.yaml", "teacher=none.keras"],
            "teacher PLACE/none.keras: no such file, expected a Keras model or SavedModel; "
            "nas-tf train-teacher makes one",
        ),
        (
            ["trial", NETWORK, "--config", "small.yaml", "search.latency=none.json"],
            "latency table PLACE/none.json does not exist: nas-tf profile-ops CONFIG --out "
            "PLACE/none.json makes it",
        ),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    done = nas_tf(*arguments, cwd=tmp_path)
    line = line.replace("PLACE", str(tmp_path))
    assert (done.stderr, done.stdout, done.returncode) == (f"nas-tf: {line}\n", "", 2)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").rglob("run.json"))


@pytest.mark.slow
def test_evaluate_times_the_network_itself(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    (tmp_path / "small.yaml").write_text(SMALL)
    done = nas_tf(
        *("trial", NETWORK, "--config", "small.yaml", "stage_two=null"),
        *("search.latency=tflite", "search.goals.params.goal=1000", "--out", "one.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "one.json").read_text())
    assert record["latency_ms"] > 0
    reward = record["score"] * (record["params"] / 1000) ** -0.07
    assert record["reward"] == pytest.approx(reward)
    assert done.stdout.splitlines()[-1].startswith(
        f"reward {reward:.4f} (score {record['score']:.4f}), "
    )
    assert done.stdout.splitlines()[-1].endswith(f", {milliseconds(record['latency_ms'])}")
