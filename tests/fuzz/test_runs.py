"""Damaged run folders are read correctly, or refused in a line that names the file."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import strategies as st

from nas_tf import spaces
from nas_tf.runs import Run
from nas_tf.search import warm_start
from tests import sampling
from tests.cli.command import invoke
from tests.fuzz.fuzzed import another, hold, mangled, often, other_json, refused_at_most
from tests.runs.made import made, reranked

COMMANDS = (
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
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creates a run with everything that a folder may contain."""
    run = made(tmp_path_factory.mktemp("runs") / "complete", trials=7, failing=3, latency=True)
    reranked(run, top=2, sample=2, failing=3)
    return run.folder


def contents(path: Path) -> st.SearchStrategy[bytes]:
    """Returns contents that a file of a run may have after damage."""
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


def damages(complete: Path) -> st.SearchStrategy[tuple[Path, bytes]]:
    """Returns a file of the run with its damaged content."""
    paths = sorted(path for path in complete.rglob("*") if path.is_file() and path.stat().st_size)
    kinds: dict[str, list[Path]] = {}
    for path in paths:
        kinds.setdefault(f"{path.parent}{path.suffix}", []).append(path)
    chosen = st.sampled_from(sorted(kinds)).flatmap(lambda kind: st.sampled_from(kinds[kind]))
    return chosen.flatmap(
        lambda path: contents(path).map(lambda new: (path.relative_to(complete), new))
    )


def put(complete: Path, place: Path, damage: tuple[Path, bytes]) -> None:
    """Copies the run and replaces one file by its damaged content."""
    path, content = damage
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(complete, place)
    (place / path).write_bytes(content)


def check(
    complete: Path, place: Path, damage: tuple[Path, bytes], command: tuple[str, ...]
) -> None:
    put(complete, place, damage)
    with refused_at_most(naming=str(place)):
        assert invoke(command[0], str(place), *command[1:])


@often
def test_commands_print_correctly_or_refuse(times: int, complete: Path, tmp_path: Path) -> None:
    def holds(damage: tuple[Path, bytes], command: tuple[str, ...]) -> None:
        check(complete, tmp_path / "run", damage, command)

    hold(times, 150, holds, damage=damages(complete), command=st.sampled_from(COMMANDS))


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(1, id="few"),
        pytest.param(sampling.times(8, 3), id="many", marks=pytest.mark.slow),
    ],
)
def test_a_report_is_rendered_or_refused(times: int, complete: Path, tmp_path: Path) -> None:
    def holds(damage: tuple[Path, bytes]) -> None:
        check(complete, tmp_path / "run", damage, ("report",))

    hold(times, 1, holds, damage=damages(complete))


@often
def test_whatever_is_read_can_be_shown(times: int, complete: Path, tmp_path: Path) -> None:
    """Reads everything of a run and checks its types."""

    def holds(damage: tuple[Path, bytes]) -> None:
        place = tmp_path / "run"
        put(complete, place, damage)
        with refused_at_most():
            run = Run(place)
            json.dumps([msgspec.to_builtins(run.info), run.settings])
            for trial in run.trials:
                assert trial.parsed.space == trial.space
            assert len(run.to_frame()) == len(run.trials)
            assert len(run.best(3)) <= 3
            assert run.completed == [] or run.pareto()

    hold(times, 150, holds, damage=damages(complete))


@often
def test_a_search_can_warm_start_from_it_or_refuses(
    times: int, complete: Path, tmp_path: Path
) -> None:
    def holds(damage: tuple[Path, bytes]) -> None:
        place = tmp_path / "run"
        put(complete, place, damage)
        with refused_at_most(naming=str(place)):
            assert 0 < len(warm_start.first(place, spaces.get("auxcell"), 3)) <= 3

    hold(times, 50, holds, damage=damages(complete))
