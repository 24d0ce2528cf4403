"""``nas-tf search`` as one process of a cluster that a person started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_tf.cli import role
from nas_tf.errors import ConfigError
from nas_tf.runs import Run, filenames
from tests.cli.test_training import SMALL
from tests.e2e.processes import free_port, identity
from tests.prepared import few_scenes

COMPLETE = identity("worker-0", 8000)


@pytest.mark.parametrize(
    ("environment", "workers", "line"),
    [
        (
            {"KERASTUNER_TUNER_ID": "chief"},
            1,
            "KERASTUNER_TUNER_ID is set without KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT, "
            "expected all three for a process of a cluster, and none for a search in one process",
        ),
        (
            {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_TUNER_ID": "worker-1"},
            1,
            "KERASTUNER_TUNER_ID is set without KERASTUNER_ORACLE_PORT, expected all three for a "
            "process of a cluster, and none for a search in one process",
        ),
        (
            COMPLETE | {"KERASTUNER_ORACLE_PORT": "abc"},
            1,
            "KERASTUNER_ORACLE_PORT is 'abc', expected a number",
        ),
        (
            COMPLETE,
            2,
            "--workers is 2 and KERASTUNER_TUNER_ID is worker-0, expected only one of them: "
            "--workers starts its own chief and workers",
        ),
    ],
)
def test_variables_that_would_search_alone_unnoticed_are_refused(
    environment: dict[str, str], workers: int, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        role.check(workers)
    assert str(error.value) == line


def test_all_variables_or_none_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    role.check(3)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    role.check(1)


@pytest.mark.slow
def test_a_chief_and_a_worker_by_hand_describe_their_roles_and_the_chief_the_result(
    tmp_path: Path,
) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    port = free_port()
    command = [sys.executable, "-m", "nas_tf", "search", "small.yaml", "--trials", "2"]
    processes = {
        name: subprocess.Popen(
            [*command, "stage_two=null", "--out", "run"],
            cwd=tmp_path,
            env={**os.environ, **identity(name, port), "NAS_TF_CACHE": str(few_scenes())},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("chief", "worker-0")
    }
    printed = {name: item.communicate(timeout=500) for name, item in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0], printed
    place = f"127.0.0.1:{port}"
    assert printed["chief"][1].startswith(
        f"serving as chief of the search in run at {place} until all trials have ended\n"
    )
    assert printed["worker-0"][1].startswith(
        f"working as worker-0 on the search in run for the chief at {place}\n"
    )
    for trial in Run(tmp_path / "run").trials:
        for name, start in (("chief", "worker-0: trial"), ("worker-0", "trial")):
            assert f"\n{start} {trial.trial}: score " in printed[name][1]
    assert "2/2 trials  best " in printed["chief"][1]
    assert "report: run/report.html" in printed["chief"][0]
    assert printed["worker-0"][0] == ""
    assert (tmp_path / "run" / filenames.REPORT).exists()
    assert len(Run(tmp_path / "run").trials) == 2
