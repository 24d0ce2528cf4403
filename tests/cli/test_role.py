"""``nas-tf search`` as one process of a cluster that a person started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_tf.cli import role
from nas_tf.errors import ConfigError
from nas_tf.runs import Run, files
from tests.cli.test_training import SMALL
from tests.e2e.processes import free_port, identity

WHOLE = identity("worker-0", 8000)


@pytest.mark.parametrize(
    ("environment", "workers", "line"),
    [
        (
            {"KERASTUNER_TUNER_ID": "chief"},
            1,
            "KERASTUNER_TUNER_ID is set without KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT: "
            "a process of a cluster needs all three, one that searches alone none",
        ),
        (
            {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_TUNER_ID": "worker-1"},
            1,
            "KERASTUNER_TUNER_ID is set without KERASTUNER_ORACLE_PORT: a process of a cluster "
            "needs all three, one that searches alone none",
        ),
        (
            WHOLE | {"KERASTUNER_ORACLE_PORT": "abc"},
            1,
            "KERASTUNER_ORACLE_PORT is 'abc', expected a number",
        ),
        (
            WHOLE,
            2,
            "--workers 2 starts a chief and workers of its own, and KERASTUNER_TUNER_ID says that "
            "this is worker-0: expected one or the other",
        ),
    ],
)
def test_what_would_quietly_search_alone_is_refused(
    environment: dict[str, str], workers: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        role.check(workers)
    assert str(error.value) == line


def test_alone_or_whole_it_is_none_of_these(monkeypatch: pytest.MonkeyPatch) -> None:
    role.check(3)
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    role.check(1)


@pytest.mark.slow
def test_a_chief_and_a_worker_by_hand_say_what_they_do_and_the_chief_what_was_found(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    port = free_port()
    command = [sys.executable, "-m", "nas_tf", "search", "small.yaml", "--trials", "2"]
    processes = {
        name: subprocess.Popen(
            [*command, "stage_two=null", "--out", "run"],
            cwd=tmp_path,
            env={**os.environ, **identity(name, port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("chief", "worker-0")
    }
    told = {name: item.communicate(timeout=500) for name, item in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0], told
    place = f"127.0.0.1:{port}"
    assert told["chief"][1].startswith(
        f"chief at {place} of the search in run, until all trials have ended\n"
    )
    assert told["worker-0"][1].startswith(
        f"worker-0 of the search in run, asks the chief at {place}\n"
    )
    for trial in Run(tmp_path / "run").trials:
        for name, said in (("chief", "worker-0: trial"), ("worker-0", "trial")):
            assert f"\n{said} {trial.trial}: reward " in told[name][1]
    assert "2/2 trials  best " in told["chief"][1]
    assert "report: run/report.html" in told["chief"][0]
    assert told["worker-0"][0] == ""
    assert (tmp_path / "run" / files.REPORT).exists()
    assert len(Run(tmp_path / "run").trials) == 2
