"""``nas-tf compare``: its table, its page, and its mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import nas_tf
from tests.report.trained import trained
from tests.runs.made import made, sampled


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, genotypes = tmp_path_factory.mktemp("place"), sampled("auxcell", 30)
    made(folder / "whole", trials=30, genotypes=genotypes)
    polyak = ["stage_one.polyak=null"]
    made(folder / "bare", trials=30, genotypes=genotypes, lift=-0.05, overrides=polyak)
    made(folder / "empty", trials=0)
    made(folder / "camvid", trials=5, space="dpc")
    return folder


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")


def compare(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return nas_tf("compare", *arguments, cwd=cwd)


def test_it_prints_a_table_the_differences_and_the_page(place: Path) -> None:
    done = compare("whole", "bare", "--out", "out", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[-1].strip() == "same genotypes"
    assert lines[1].split()[:3] == ["reward", "whole", "28"]
    assert "-0.0500 over 28 pairs, p = " in lines[2]
    assert lines[-2:] == ["the runs differ in stage_one.polyak: 0.9 | null", "out/comparison.html"]
    assert (place / "out" / "comparison.html").exists()


def test_trainings_are_compared_by_their_final_figures(tmp_path: Path) -> None:
    trained(tmp_path / "found", 0.7)
    trained(tmp_path / "found-2", 0.72, ["seed=2"])
    trained(tmp_path / "longer", 0.71, ["full_training.stages.0.epochs=80"])
    done = compare("found", "found-2", "longer", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    notes = done.stderr.splitlines()
    assert notes[0] == "note: the trainings are not equal: full_training.stages.0.epochs: 60 | 80"
    assert "may differ by chance" in notes[1]
    lines = done.stdout.splitlines()
    assert lines[1].split()[:3] == ["found", "2", "60"]
    assert "0.7000 to 0.7200" in lines[1]
    assert lines[2].split()[-1] == "+0.0000"
    assert [line.split()[0] for line in lines[3:6]] == ["class", "Sky", "Pole"]
    assert lines[-3] == (
        "apart from seeds, the configurations differ in full_training.stages.0.epochs: 60 | 80"
    )
    assert all(Path(line).exists() for line in lines[-2:])


def test_trainings_and_searches_are_not_compared(place: Path, tmp_path: Path) -> None:
    trained(tmp_path / "found", 0.7)
    done = compare(str(tmp_path / "found"), "whole", cwd=place)
    assert done.returncode == 2
    assert done.stderr == (
        "nas-tf: whole is no training and others are, expected folders of one kind\n"
    )


def test_the_page_is_next_to_the_first_run(place: Path) -> None:
    done = compare("whole", "bare", cwd=place)
    assert done.stdout.splitlines()[-1].endswith("compare-whole-bare/comparison.html")


def test_it_loads_no_tensorflow(place: Path) -> None:
    code = (
        "import sys; from nas_tf.cli import nas_tf; nas_tf(sys.argv[1:], standalone_mode=False); "
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "compare", "whole", "bare", "--out", "light"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        (["whole"], "1 run is given, expected two or more to compare"),
        (["whole", "absent"], "absent is not the folder of a search: it has no run.json"),
        (["whole", "empty"], "empty has no completed trial yet, expected one at least"),
        (
            ["whole", "camvid"],
            "data.name is shapes and camvid: rewards on different data can't be compared, "
            "expected runs on the same",
        ),
    ],
)
def test_mistakes_are_one_line(runs: list[str], line: str, place: Path) -> None:
    before = sorted(place.iterdir())
    done = compare(*runs, cwd=place)
    assert done.stderr == f"nas-tf: {line}\n"
    assert done.stdout == ""
    assert done.returncode in (2, 3)
    assert sorted(place.iterdir()) == before


def test_help_has_an_example(place: Path) -> None:
    assert "nas-tf compare runs/" in compare("--help", cwd=place).stdout
