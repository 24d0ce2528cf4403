"""A small quickstart as users run it: killed at any moment, it ends as if undisturbed."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nas_tf.runs import Run, filenames
from tests.e2e.processes import records, results, wait_for
from tests.prepared import with_shapes
from tests.sampling import times

SMALL = (
    *("network.alpha=0.35", "network.width=8", "network.weights=null", "stage_one.crop=[64,64]"),
    *("stage_one.epochs=1", "stage_one.views=1", "stage_one.batch=128", "stage_two.batch=128"),
    *("full_training.stages=[{epochs: 1, batch: 64, crop: [64, 64]}]", "threads=1"),
    "space={name: auxcell, blocks: 1, branches: 1}",
)
TRIALS, KILLS = times(8, 6), times(5, 2)
pytestmark = pytest.mark.slow


def start(folder: Path, *more: str) -> subprocess.Popen:
    log = (folder / "log.txt").open("a")
    return subprocess.Popen(
        [sys.executable, "-m", "nas_tf", "quickstart", *SMALL, *more, "--out", "run"],
        cwd=folder,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "NAS_TF_CACHE": str(folder.parent / "cache")},
    )


def finished(folder: Path, *more: str) -> Run:
    process = start(folder, *more)
    assert process.wait(timeout=900) == 0, (folder / "log.txt").read_text()
    return Run(folder / "run")


def table_of(run: Run) -> list[tuple]:
    """Returns the table without the columns that depend on a clock."""
    return [
        (
            trial.trial,
            trial.genotype,
            trial.status,
            trial.stopped,
            trial.reward,
            trial.params,
            trial.seed,
        )
        for trial in run.trials
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("place") / "undisturbed"
    folder.mkdir()
    with_shapes(folder.parent / "cache", few=True)
    return folder, finished(folder, f"search.trials={TRIALS}")


def test_it_searches_in_two_stages_and_ends_with_a_report(undisturbed: tuple[Path, Run]) -> None:
    folder, run = undisturbed
    assert len(run.trials) == TRIALS
    assert {len(trial.stages) for trial in run.completed} == {1, 2}
    settings = run.settings
    assert settings["teacher"] == str(folder / "run-teacher" / "last.keras")
    assert settings["stage_one.polyak"]
    assert settings["stage_two.polyak"]
    assert run.info.oracle == "NearBestOracle"
    log = (folder / "log.txt").read_text()
    assert f"report: {Path('run') / filenames.REPORT}" in log
    assert f"{run.best()[0].reward:.4f}" in log
    assert "Traceback" not in log


def test_killed_again_and_again_it_ends_with_the_same_table(
    undisturbed: tuple[Path, Run], tmp_path: Path
) -> None:
    """Kills happen while features are cached, candidates trained and trials written."""
    place = undisturbed[0].parent / "killed"
    place.mkdir()
    rng = random.Random(5)
    kills = 0
    while kills < KILLS:
        process = start(place, f"search.trials={TRIALS}")
        before = len(list((place / "run" / filenames.TRIALS).glob("*.json")))
        wanted = before + rng.randrange(2)
        while process.poll() is None:
            if (
                len(list((place / "run" / filenames.TRIALS).glob("*.json"))) >= wanted
                and (place / "run" / filenames.RUN).exists()
            ):
                # the first as soon as there is a run, long before a trial is proposed
                time.sleep(rng.uniform(0.0, 4.0) if kills else 0.0)
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        assert [record["kind"] for record in records(place / "run")][:1] == ["begin"]
    assert table_of(finished(place, f"search.trials={TRIALS}")) == table_of(undisturbed[1])


def test_a_killed_worker_leaves_table_and_ledger_agreed(undisturbed: tuple[Path, Run]) -> None:
    folder, _ = undisturbed
    log = (folder / "many.txt").open("w")
    command = ["search", "run/config.yaml", "--trials", "4", "--workers", "2", "--out", "many"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nas_tf", *command],
        cwd=folder,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "NAS_TF_CACHE": str(folder.parent / "cache")},
    )
    place = folder / "many"
    wait_for(lambda: results(place) or process.poll() is not None, 400)
    victim = worker_in_a_trial(process, place)
    victim.kill()
    assert process.wait(timeout=900) == 0, (folder / "many.txt").read_text()
    assert (
        "worker-0 was killed by signal 9; starting it again" in (folder / "many.txt").read_text()
    )
    outcomes = {result["trial"]: (result["status"], result["score"]) for result in results(place)}
    assert len(outcomes) == len(results(place)) == 4
    table = list(csv.DictReader((place / filenames.TABLE).open()))
    assert {item["trial"]: item["status"].upper() for item in table} == {
        trial: status for trial, (status, _) in outcomes.items()
    }
    for item in table:
        assert float(item["reward"]) == pytest.approx(outcomes[item["trial"]][1], abs=1e-5)


def worker_in_a_trial(process: subprocess.Popen, place: Path) -> psutil.Process:
    """Returns the process of worker-0 while it runs a trial."""

    def runs_trial() -> bool:
        ended = {result["trial"] for result in results(place)}
        own = [record["trial"] for record in records(place) if record.get("tuner") == "worker-0"]
        return bool(own) and own[-1] not in ended

    wait_for(runs_trial)
    for child in psutil.Process(process.pid).children():
        if child.environ().get("KERASTUNER_TUNER_ID") == "worker-0":
            return child
    raise AssertionError("there is no worker-0")


def test_ctrl_c_prints_how_to_resume(undisturbed: tuple[Path, Run]) -> None:
    folder, _ = undisturbed
    search = ["search", "run/config.yaml", "--out", "run", "--resume"]
    command = [sys.executable, "-m", "nas_tf", *search, "--trials", str(TRIALS + 40)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "NAS_TF_CACHE": str(folder.parent / "cache")},
    )
    while len(Run(folder / "run").trials) == TRIALS:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    wanted = f"search run/config.yaml --out run --trials {TRIALS + 40} --resume"
    assert f"stopped; resume with: nas-tf {wanted}" in errors
    assert "Traceback" not in errors
