"""Damaged run folders: told right, or refused in a line that names the file."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import strategies as st

from nas_tf import spaces
from nas_tf.cli import nas_tf
from nas_tf.runs import Run
from nas_tf.search import warm_start
from tests.fuzz.fuzzed import another, hold, mangled, often, other_json, refused_at_most
from tests.runs.made import made, reranked

SAYS = (
    ("status",),
    ("status", "--json"),
    ("best", "--top", "3"),
    ("best", "--format", "csv"),
    ("best", "--format", "json"),
    ("best", "--pareto", "latency_ms"),
    ("show", "--no-drawing"),
    ("show", "--no-drawing", "--trial", "2"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything a folder may hold."""
    run = made(tmp_path_factory.mktemp("runs") / "whole", trials=7, failing=3, latency=True)
    reranked(run, top=2, sample=2, failing=3)
    return run.folder


def call(folder: Path, command: str, *options: str) -> None:
    """A command in this process; what it raises is raised."""
    done = CliRunner().invoke(nas_tf, [command, str(folder), *options])
    if done.exception is not None:
        raise done.exception
    assert done.output


def contents(path: Path) -> st.SearchStrategy[bytes]:
    """What may become of a file of a run."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return other_json(text)
    if path.suffix == ".jsonl":
        lines = text.splitlines()
        number = st.integers(0, len(lines) - 1)
        return number.flatmap(
            lambda n: other_json(lines[n]).map(
                lambda new: b"\n".join(
                    [*map(str.encode, lines[:n]), new, *map(str.encode, lines[n + 1 :])]
                )
            )
        )
    if path.suffix == ".yaml":
        spoilt = another(yaml.safe_load(text)).map(lambda value: yaml.safe_dump(value).encode())
        return spoilt | mangled(text.encode())
    return mangled(text.encode())


def damages(whole: Path) -> st.SearchStrategy[tuple[Path, bytes]]:
    """A file of the run, and what it is instead."""
    paths = sorted(path for path in whole.rglob("*") if path.is_file() and path.stat().st_size)
    kinds: dict[str, list[Path]] = {}
    for path in paths:
        kinds.setdefault(f"{path.parent}{path.suffix}", []).append(path)
    chosen = st.sampled_from(sorted(kinds)).flatmap(lambda kind: st.sampled_from(kinds[kind]))
    return chosen.flatmap(
        lambda path: contents(path).map(lambda new: (path.relative_to(whole), new))
    )


def put(whole: Path, place: Path, damage: tuple[Path, bytes]) -> None:
    """A copy of the run, with one file as it may have become."""
    path, content = damage
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    (place / path).write_bytes(content)


def check(whole: Path, place: Path, damage: tuple[Path, bytes], said: tuple[str, ...]) -> None:
    put(whole, place, damage)
    with refused_at_most(naming=str(place)):
        call(place, *said)


@often
def test_commands_tell_right_or_refuse(times: int, whole: Path, tmp_path: Path) -> None:
    def holds(damage: tuple[Path, bytes], said: tuple[str, ...]) -> None:
        check(whole, tmp_path / "run", damage, said)

    hold(times, 150, holds, damage=damages(whole), said=st.sampled_from(SAYS))


@pytest.mark.parametrize(
    "times", [pytest.param(1, id="few"), pytest.param(8, id="many", marks=pytest.mark.slow)]
)
def test_a_report_is_drawn_or_refused(times: int, whole: Path, tmp_path: Path) -> None:
    def holds(damage: tuple[Path, bytes]) -> None:
        check(whole, tmp_path / "run", damage, ("report",))

    hold(times, 1, holds, damage=damages(whole))


@often
def test_whatever_is_read_can_be_told(times: int, whole: Path, tmp_path: Path) -> None:
    """Everything of a run is read, and is what its types say."""

    def holds(damage: tuple[Path, bytes]) -> None:
        place = tmp_path / "run"
        put(whole, place, damage)
        with refused_at_most():
            run = Run(place)
            json.dumps([run.about, run.settings])
            for trial in run.trials:
                assert trial.parsed.space == trial.space
            assert len(run.to_frame()) == len(run.trials)
            assert len(run.best(3)) <= 3
            assert run.completed == [] or run.pareto()

    hold(times, 150, holds, damage=damages(whole))


@often
def test_a_search_can_begin_with_it_or_refuses(times: int, whole: Path, tmp_path: Path) -> None:
    def holds(damage: tuple[Path, bytes]) -> None:
        place = tmp_path / "run"
        put(whole, place, damage)
        with refused_at_most(naming=str(place)):
            assert 0 < len(warm_start.first(place, spaces.get("auxcell"), 3)) <= 3

    hold(times, 50, holds, damage=damages(whole))
