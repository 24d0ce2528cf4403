"""``nas-tf search``: mistakes that it refuses before it starts, and its help."""

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nas_tf.cli.options import HoursType
from nas_tf.cli.search import _found, _print_time, _threads, command
from nas_tf.config import load
from nas_tf.runs import Run
from tests.cli.command import nas_tf
from tests.cli.test_training import SMALL
from tests.prepared import few_scenes
from tests.runs.made import made
from tuner_oracles import durable

ROOT = Path(__file__).parents[2]


def test_the_command_of_the_manifest_is_accepted() -> None:
    jobs = yaml.safe_load_all((ROOT / "docs/how-to/cluster.yaml").read_text())
    job = next(part for part in jobs if part["kind"] == "Job")
    arguments = job["spec"]["template"]["spec"]["containers"][0]["command"]
    with command.make_context("search", arguments[2:]) as context:
        assert load(context.params["config_name"], context.params["overrides"])


def search(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return nas_tf("search", *arguments, cwd=cwd)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "run holds a run of 5 trials: add --resume to continue it, or give another folder"),
        (
            ("--resume", "seed=2"),
            "run was started with seed=1, now it is 2: give seed=1, or another",
        ),
        (
            ("--resume", "stage_one.epochs=9"),
            "run was started with stage_one.epochs=2, now it is 9: give stage_one.epochs=2",
        ),
    ],
)
def test_a_run_that_is_there_is_not_touched(
    tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    run = made(tmp_path / "run", trials=5)
    before = sorted(path.name for path in run.folder.rglob("*"))
    done = search("shapes_auxcell", "--trials", "5", "--out", "run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in run.folder.rglob("*")) == before


@pytest.mark.parametrize("workers", ["1", "2"])
def test_absent_data_are_reported_once_and_nothing_is_written(
    tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NAS_TF_DATA", raising=False)
    done = search("camvid_auxcell", "network.weights=null", "--workers", workers, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("camvid is not prepared") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_invalid_weights_are_reported_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no weights")
    done = search("shapes_auxcell", "network.weights=text.jpg", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"nas-tf: weights {tmp_path}/text.jpg: not an HDF5 file, expected weights of "
        "mobilenet_v2 of alpha 1.0 as Keras saves them"
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_unsuitable_run_for_a_warm_start_is_reported_once(tmp_path: Path, workers: str) -> None:
    made(tmp_path / "2024", space="dpc", trials=5)
    given = ("small.yaml", "--begin-with", "2024", "--out", "run", "--workers", workers)
    (tmp_path / "small.yaml").write_text(SMALL)
    done = search(*given, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"nas-tf: {tmp_path}/2024 searched space dpc, expected a run of auxcell "
        "(blocks=1, branches=1) to start from"
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("workers", ["2", "1"])
def test_a_search_starts_from_the_best_of_another_and_resumes_without_it(
    tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    other = made(tmp_path / "other", trials=12)
    best = {item.genotype for item in other.best(2)}
    (tmp_path / "small.yaml").write_text(SMALL)
    more = ("small.yaml", "space=auxcell", "stage_two=null", "--out", "run", "--workers", workers)
    first = ("--warm-start", "other", "search.warm_start_count=2", "--trials", "2")
    assert search(*more, *first, cwd=tmp_path).returncode == 0
    assert {trial.genotype for trial in Run(tmp_path / "run").trials} == best
    shutil.rmtree(other.folder)
    done = search(*more, "--trials", "4", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len({trial.genotype for trial in Run(tmp_path / "run").trials} - best) == 2


@pytest.mark.slow
def test_a_search_ends_by_the_clock_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        @staticmethod
        def monotonic() -> float:
            return math.inf if (tmp_path / "run/trials").is_dir() else 0.0

    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    (tmp_path / "small.yaml").write_text(SMALL)
    given = ("small.yaml", "stage_two=null", "--trials", "2", "--out", "run")
    with monkeypatch.context() as patch:
        for module in (durable, sys.modules[command.callback.__module__]):
            patch.setattr(module, "time", Clock)
        done = search(*given, "--time", "1h30m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nthe time is up after 1 of 2 trials; --resume continues\n" in done.stderr
    assert Run(tmp_path / "run").settings["search.hours"] == 1.5
    done = search(*given, "--time", "8h", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the time is up" not in done.stderr
    assert len(Run(tmp_path / "run").trials) == 2


@pytest.mark.slow
def test_a_dry_run_prints_what_a_search_takes_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    (tmp_path / "small.yaml").write_text(SMALL)
    given = ("small.yaml", "--trials", "9", "--workers", "2", "--out", "run", "--dry-run")
    done = search(*given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    size, features, first, second, last = done.stdout.splitlines()
    assert size == "9 trials learn from 180 images and are scored on 20"
    assert re.match(r"features: 0\.0\d+ GiB, [\d.,]+ GiB are free; about \d+ s to ", features)
    assert re.match(r"stage one: about \d+ s a candidate \(\d+ s to \d+ s, 3 measured\)", first)
    assert re.match(r"stage two: about \d+ s a candidate if the candidate passes the", second)
    assert re.match(
        r"in total with 2 workers: about \d+ (s|min) if no candidate passes the ", last
    )
    assert [each.name for each in tmp_path.iterdir()] == ["small.yaml"]


def test_workers_have_the_threads_that_are_configured(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    config = str(tmp_path / "small.yaml")
    cores = len(os.sched_getaffinity(0))
    assert _threads(config, [], 1) == []
    assert _threads(config, [], 2) == [f"threads={max(1, cores // 2)}"]
    assert _threads(config, ["threads=3"], 2) == []
    (tmp_path / "small.yaml").write_text(f"{SMALL}\nthreads: 3\n")
    assert _threads(config, [], 2) == []


def test_the_time_is_up_after_the_hours_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(tmp_path / "run", trials=3)
    config = load("shapes_auxcell", ["search.hours=1", "search.trials=9"])
    _print_time(run.folder, config, 3599.0)
    assert capsys.readouterr().err == ""
    _print_time(run.folder, config, 3600.0)
    assert capsys.readouterr().err == "the time is up after 3 of 9 trials; --resume continues\n"


@pytest.mark.parametrize("given", ["8", "0h", "h", "2d", "1m1h", ""])
def test_a_time_without_a_unit_is_refused(given: str, tmp_path: Path) -> None:
    done = search("shapes_auxcell", "--time", given, cwd=tmp_path)
    assert done.returncode == 2
    assert (
        done.stderr == f"nas-tf: time is {given!r}, expected a duration such as 8h, 90m or 1h30m\n"
    )


def test_times_are_hours() -> None:
    for text, hours in (("8h", 8.0), ("90m", 1.5), ("1h30m", 1.5), ("36s", 0.01)):
        assert HoursType().convert(text, None, None) == pytest.approx(hours)


def test_help_lists_every_command_once() -> None:
    from click.testing import CliRunner

    from nas_tf.cli import _COMMANDS, nas_tf

    lines = CliRunner().invoke(nas_tf, ["--help"]).output.splitlines()
    listed = [line.split()[0] for line in lines if line[:2] == "  " and line[2:3].islower()]
    assert sorted(listed) == sorted(_COMMANDS)


def test_every_command_has_help_with_an_example() -> None:
    from click.testing import CliRunner

    from nas_tf.cli import _COMMANDS, nas_tf

    for name in _COMMANDS:
        result = CliRunner().invoke(nas_tf, [name, "--help"])
        assert result.exit_code == 0, name
        assert f"nas-tf {name} " in result.output.partition("Options:")[0].partition("\n")[2], name


def test_workers_get_the_pyramid_that_their_chief_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made(Path("pyramids"), space="fcos", trials=3, gate=False)
    given = ["space.search=head", "space.fpn=pyramids#1"]
    config = load("shapes_fcos", given)
    shutil.rmtree("pyramids")
    assert load("shapes_fcos", [*given, *_found(config)]) == config
    assert _found(load("shapes_fcos")) == []
