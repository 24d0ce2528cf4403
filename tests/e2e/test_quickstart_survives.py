"""A small quickstart as users run it: killed at any moment, it ends as if undisturbed."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nas_tf.runs import Run, filenames
from tests.e2e.processes import records, results, wait_for
from tests.e2e.warm import Warm
from tests.prepared import few_scenes, made_once
from tests.sampling import times

SMALL = (
    *("network.alpha=0.35", "network.width=8", "network.weights=null", "stage_one.crop=[64,64]"),
    *("stage_one.epochs=1", "stage_one.views=1", "stage_one.batch=128", "stage_two.batch=128"),
    *("full_training.stages=[{epochs: 1, batch: 64, crop: [64, 64]}]", "threads=1"),
    "space={name: auxcell, blocks: 1, branches: 1}",
)
TRIALS, KILLS = times(8, 6), times(5, 2)
pytestmark = pytest.mark.slow


def cache(folder: Path) -> dict[str, str]:
    """Returns the environment of a command in a folder, whose parent has the data."""
    return {"NAS_TF_CACHE": str(folder.parent / "cache")}


def quickstart(*more: str) -> list[str]:
    return ["quickstart", *SMALL, *more, "--out", "run"]


def started(folder: Path, *command: str, log: str = "log.txt") -> Warm:
    return Warm("command", folder, *command, env=cache(folder), log=folder / log, out=True)


def with_data(folder: Path) -> Path:
    """Returns a folder to work in, whose parent has the data."""
    shutil.copytree(few_scenes() / "data", folder.parent / "cache/data")
    folder.mkdir()
    return folder


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


@pytest.fixture
def undisturbed(tmp_path: Path) -> Path:
    """Copies the folder of a quickstart that was not disturbed, and the data beside it.

    It is a process as users start it; the others are forked.
    """

    def make(place: Path) -> None:
        folder = with_data(place / "undisturbed")
        with (folder / "log.txt").open("w") as log:
            done = subprocess.run(
                [sys.executable, "-m", "nas_tf", *quickstart(f"search.trials={TRIALS}")],
                cwd=folder,
                env={**os.environ, **cache(folder)},
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=900,
            )
        assert done.returncode == 0, (folder / "log.txt").read_text()

    shutil.copytree(made_once("quickstart", make), tmp_path, dirs_exist_ok=True)
    return tmp_path / "undisturbed"


def test_it_searches_in_two_stages_and_ends_with_a_report(undisturbed: Path) -> None:
    folder, run = undisturbed, Run(undisturbed / "run")
    assert len(run.trials) == TRIALS
    assert {len(trial.stages) for trial in run.completed} == {1, 2}
    settings = run.settings
    assert Path(settings["teacher"]).parts[-3:] == ("undisturbed", "run-teacher", "last.keras")
    assert settings["stage_one.polyak"]
    assert settings["stage_two.polyak"]
    assert run.info.oracle == "NearBestOracle"
    log = (folder / "log.txt").read_text()
    assert f"report: {Path('run') / filenames.REPORT}" in log
    assert f"{run.best()[0].reward:.4f}" in log
    assert "Traceback" not in log


def test_killed_again_and_again_it_ends_with_the_same_table(
    undisturbed: Path, tmp_path: Path
) -> None:
    """Kills happen while features are cached, candidates trained and trials written."""
    (tmp_path / "other").mkdir()
    place = with_data(tmp_path / "other/killed")
    rng = random.Random(5)
    kills = 0
    while kills < KILLS:
        process = started(place, *quickstart(f"search.trials={TRIALS}"))
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
        process.kill()
        kills += 1
        assert [record["kind"] for record in records(place / "run")][:1] == ["begin"]
    last = started(place, *quickstart(f"search.trials={TRIALS}"))
    assert last.wait(900) == 0, last.errors
    assert table_of(Run(place / "run")) == table_of(Run(undisturbed / "run"))


def test_a_killed_worker_leaves_table_and_ledger_agreed(undisturbed: Path) -> None:
    folder = undisturbed
    command = ("search", "run/config.yaml", "--trials", "4", "--workers", "2", "--out", "many")
    process = started(folder, *command, log="many.txt")
    place = folder / "many"
    wait_for(lambda: results(place) or process.poll() is not None, 400)
    victim = worker_in_a_trial(process, place)
    victim.kill()
    assert process.wait(900) == 0, process.errors
    assert "worker-0 was killed by signal 9; starting it again" in process.errors
    outcomes = {result["trial"]: (result["status"], result["score"]) for result in results(place)}
    assert len(outcomes) == len(results(place)) == 4
    table = list(csv.DictReader((place / filenames.TABLE).open()))
    assert {item["trial"]: item["status"].upper() for item in table} == {
        trial: status for trial, (status, _) in outcomes.items()
    }
    for item in table:
        assert float(item["reward"]) == pytest.approx(outcomes[item["trial"]][1], abs=1e-5)


def worker_in_a_trial(process: Warm, place: Path) -> psutil.Process:
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


def test_ctrl_c_prints_how_to_resume(undisturbed: Path) -> None:
    folder = undisturbed
    search = ("search", "run/config.yaml", "--out", "run", "--resume")
    process = started(folder, *search, "--trials", str(TRIALS + 40), log="resumed.txt")
    while len(Run(folder / "run").trials) == TRIALS:
        assert process.poll() is None, process.errors
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    errors = process.errors
    wanted = f"search run/config.yaml --out run --trials {TRIALS + 40} --resume"
    assert f"stopped; resume with: nas-tf {wanted}" in errors
    assert "Traceback" not in errors
