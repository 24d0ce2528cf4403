"""The comparison of invented runs whose truth is known."""

import re
from pathlib import Path

import numpy as np
import pytest

from nas_tf.errors import ConfigError, DataError
from nas_tf.report import comparison_page
from nas_tf.report.comparison import Comparison, Row, spent, values_at
from nas_tf.runs import Run
from nas_tf.runs.statistics import contest
from tests.runs.made import made, sampled

NO_POLYAK = ["stage_one.polyak=null", "stage_two.polyak=null"]


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """The same genotypes with and without Polyak averaging, which is worth 0.02 here."""
    folder, genotypes = tmp_path_factory.mktemp("runs"), sampled("auxcell", 60)
    complete = made(folder / "whole", trials=60, seed=3, genotypes=genotypes)
    without = made(
        folder / "no_polyak",
        trials=60,
        seed=4,
        genotypes=genotypes,
        lift=-0.02,
        overrides=NO_POLYAK,
    )
    return Comparison([complete, without])


def row(comparison: Comparison, run: str, stage: str) -> Row:
    return next(row for row in comparison.rows if (row.run, row.stage) == (run, stage))


def test_rows_are_the_rewards_of_the_trials(ablation: Comparison) -> None:
    assert [(row.stage, row.run) for row in ablation.rows] == [
        (stage, run)
        for stage in ("reward", "stage 1", "stage 2")
        for run in ("whole", "no_polyak")
    ]
    run = ablation.runs[1]
    found, expected = (
        row(ablation, "no_polyak", "reward"),
        [trial.reward for trial in run.completed],
    )
    assert found.values == tuple(expected)
    assert found.best == max(expected)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.median == pytest.approx(np.median(expected))
    assert found.top == pytest.approx(np.mean(sorted(expected, reverse=True)[:10]))
    seconds = [trial.stages[1].score for trial in run.completed if len(trial.stages) == 2]
    assert row(ablation, "no_polyak", "stage 2").values == tuple(seconds)


def test_the_first_run_is_what_others_are_held_against(ablation: Comparison) -> None:
    first, other = (row(ablation, run, "stage 1") for run in ("whole", "no_polyak"))
    assert first.against is None
    assert first.pairs is None
    assert other.against == contest(other.values, first.values)


def test_runs_of_the_same_genotypes_are_paired(ablation: Comparison) -> None:
    pairs = row(ablation, "no_polyak", "stage 1").pairs
    assert pairs.count == len(ablation.runs[0].completed)
    assert pairs.difference == pytest.approx(-0.02, abs=0.005)
    assert pairs.p < 1e-6


def test_what_differs_is_what_makes_the_ablation(ablation: Comparison) -> None:
    assert [str(difference) for difference in ablation.differences] == [
        "stage_one.polyak: 0.9 | null",
        "stage_two.polyak: 0.99 | null",
        "seed: 3 | 4",
    ]
    assert ablation.warnings == []


def test_a_section_that_one_run_is_without_is_one_difference(tmp_path: Path) -> None:
    both = made(tmp_path / "both", trials=8)
    single = made(tmp_path / "single", trials=8, overrides=["stage_two=null"])
    differences = [str(difference) for difference in Comparison([both, single]).differences]
    assert differences == ["stage_two: given | null"]


def test_runs_of_other_genotypes_are_not_paired(tmp_path: Path) -> None:
    runs = [made(tmp_path / name, trials=12, seed=n) for n, name in enumerate("ab")]
    assert row(Comparison(runs), "b", "reward").pairs is None


def test_equal_names_are_distinguished(tmp_path: Path) -> None:
    runs = [made(tmp_path / name / "run", trials=4) for name in "ab"]
    assert Comparison(runs).names == ("a/run", "b/run")


def test_time_counts_failed_trials_too(ablation: Comparison) -> None:
    statistics = ablation.statistics[0]
    assert len(statistics.failed) > 0
    assert len(spent(statistics)) == len(values_at(statistics, "reward"))
    before = statistics.trials[: statistics.numbers[statistics.completed[20].trial]]
    assert spent(statistics)[20] == pytest.approx(sum(item.seconds for item in before))


def test_other_data_is_refused(tmp_path: Path) -> None:
    shapes, camvid = made(tmp_path / "a", trials=4), made(tmp_path / "b", trials=4, space="dpc")
    with pytest.raises(DataError) as error:
        Comparison([shapes, camvid])
    assert str(error.value) == (
        "data.name is shapes and camvid: rewards on different data can't be compared, "
        "expected runs on the same"
    )


def test_other_spaces_and_splits_are_warned_of(tmp_path: Path) -> None:
    template = made(tmp_path / "a", trials=6, space="template")
    dpc = made(tmp_path / "b", trials=6, space="dpc", overrides=["data.split_seed=9"])
    warnings = Comparison([template, dpc]).warnings
    assert "data.split_seed" in warnings[0]
    assert warnings[1] == "the runs search different spaces: dpc, template"


def test_too_few_runs_or_trials_are_refused(tmp_path: Path) -> None:
    run, empty = made(tmp_path / "a", trials=4), made(tmp_path / "empty", trials=0)
    with pytest.raises(ConfigError, match="1 run is given, expected two or more"):
        Comparison([run])
    with pytest.raises(ConfigError, match="a is given twice, expected once"):
        Comparison([run, Run(run.folder)])
    with pytest.raises(DataError, match="empty has no completed trial yet"):
        Comparison([run, empty])


def test_the_page_stands_alone(ablation: Comparison, tmp_path: Path) -> None:
    page = comparison_page.write(ablation, tmp_path / "out").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert page.count("data:image/svg+xml;base64,") == 3
    for text in ("stage_one.polyak", "no_polyak", f"{ablation.rows[0].best:.4f}"):
        assert text in page
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    pictures = [
        f"{name}.{kind}"
        for name in ("curves", "densities", "distributions")
        for kind in ("png", "svg")
    ]
    assert names == sorted(["comparison.html", *pictures])


def test_one_stage_and_one_trial_are_drawn_too(tmp_path: Path) -> None:
    runs = [made(tmp_path / name, trials=1) for name in "ab"]
    assert comparison_page.write(Comparison(runs), tmp_path / "out").exists()


def test_more_runs_than_colours_are_drawn(tmp_path: Path) -> None:
    runs = [made(tmp_path / str(n), trials=5, seed=n) for n in range(8)]
    assert comparison_page.write(Comparison(runs), tmp_path / "out").exists()
