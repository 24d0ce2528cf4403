"""``nas-tf doctor`` in sound and in broken environments, as real processes."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from nas_tf.jobs import environment

ROOT = Path(__file__).parents[2]
DEAD = {
    "that raises": "raise ImportError('libfoo.so.1: no such file')",
    "that dies": "import os, signal; os.kill(os.getpid(), signal.SIGILL)",
}


def doctor(*arguments: str, first: Path | None = None, **environment: str):
    inherited = {key: value for key, value in os.environ.items() if key != "NAS_TF_DATA"}
    path = os.pathsep.join(map(str, filter(None, (first, ROOT))))
    return subprocess.run(
        [sys.executable, "-m", "nas_tf", "doctor", *arguments],
        cwd=first or ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**inherited, "PYTHONPATH": path, **environment},
    )


def by_subject(done: subprocess.CompletedProcess) -> dict[str, dict]:
    return {load["subject"]: load for load in json.loads(done.stdout)}


def claim(folder: Path, name: str, version: str) -> None:
    """Writes metadata of a version of a package, which are found before the real ones."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )


@pytest.mark.slow
def test_a_sound_environment(tmp_path: Path) -> None:
    data = tmp_path / ("a path longer than any terminal is wide " * 5).strip() / "given"
    weights = data / "weights" / "mobilenet_v2_1.0_imagenet_no_top.weights.h5"
    weights.parent.mkdir(parents=True)
    weights.touch()
    cache = tmp_path / "not yet" / "there"
    done = doctor(NAS_TF_DATA=str(data), NAS_TF_CACHE=str(cache), HOME=str(tmp_path))
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line[0] != " "]
    assert (done.returncode, done.stderr) == (0, "")
    assert {state for state, _ in rows} == {"ok", "note"}
    assert not [line for line in done.stdout.splitlines() if line != line.rstrip()]
    for name in ("tensorflow", "tf-agents", "numpy", "typing-extensions"):
        assert f"ok    {name} " in done.stdout
        assert metadata.version(name) in done.stdout
    assert "TensorFlow and the packages that need it" in done.stdout
    assert str(weights) in done.stdout
    absent = "not on this machine: resnet50, resnet101, xception"
    assert absent in " ".join(done.stdout.split())
    assert f"{cache / 'data'}, " in done.stdout
    assert not cache.parent.exists()


def test_caches_report_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path))
    shard = tmp_path / "features" / "key" / "shard"
    shard.parent.mkdir(parents=True)
    with shard.open("wb") as file:
        file.truncate(3 * environment.GIB // 2)
    messages = {finding.subject: finding.message for finding in environment.caches()}
    assert messages["cache of features"].startswith(f"{tmp_path / 'features'}, 1.5 GiB used, ")
    assert ", 0.0 GiB used, " in messages["cache of data"]


@pytest.mark.slow
def test_every_fault_is_reported_with_its_remedy(tmp_path: Path) -> None:
    claim(tmp_path, "numpy", "2.1.0")
    claim(tmp_path, "optuna", "3.0.0")
    (tmp_path / "file").touch()
    done = doctor(
        "--json",
        first=tmp_path,
        NAS_TF_DATA=str(tmp_path / "nowhere"),
        NAS_TF_CACHE=str(tmp_path / "file"),
    )
    found = by_subject(done)
    assert done.returncode == 4
    assert done.stderr.startswith("nas-tf: 4 of ")
    assert done.stderr.endswith(
        "found a problem: numpy, cache of data, cache of features, NAS_TF_DATA\n"
    )
    assert found["numpy"]["told"] == "numpy is 2.1.0, expected <2"
    assert found["numpy"]["remedy"].startswith("pip install 'numpy<2'")
    assert found["extra optuna"] == {
        "subject": "extra optuna",
        "state": "note",
        "told": "optuna is 3.0.0, expected >=4",
        "remedy": "if you need it: pip install 'nas-tf[optuna]'",
    }
    assert found["cache of data"]["told"].endswith("cannot be written: Not a directory")
    assert found["NAS_TF_DATA"]["told"] == f"{tmp_path / 'nowhere'} is not a folder"


@pytest.mark.parametrize("how", DEAD)
def test_a_tensorflow(how: str, tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(DEAD[how], encoding="utf-8")
    done = doctor("--json", first=tmp_path, NAS_TF_CACHE=str(tmp_path))
    problems = {
        name: item["told"] for name, item in by_subject(done).items() if item["state"] == "problem"
    }
    assert done.returncode == 4
    assert problems == (
        {"import tensorflow": "ImportError: libfoo.so.1: no such file"}
        if how == "that raises"
        else {"import of TensorFlow": "the process was ended by signal 4"}
    )
