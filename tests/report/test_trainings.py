"""Trainings compared: groups of seeds, differences with intervals, and unequal trainings."""

import csv
from pathlib import Path

import pytest

from nas_tf.errors import ConfigError, DataError
from nas_tf.report import trainings
from nas_tf.report.trainings import TrainingComparison
from nas_tf.runs import filenames
from nas_tf.runs.trainings import Training
from tests.report.trained import trained

BASELINE = (
    "space=baseline",
    "network.auxiliary=null",
    "full_training.stages.0.auxiliary_weight=0",
)
COSTS = {"parameters": 1_000_000, "multiply_adds": 2_500_000_000}


def comparison(*folders: Path) -> TrainingComparison:
    return TrainingComparison([Training(folder) for folder in folders])


def test_trainings_that_differ_in_their_seed_are_one_network(tmp_path: Path) -> None:
    found = [
        trained(tmp_path / f"found-{seed}", 0.70 + seed / 100, [f"seed={seed}"], **COSTS)
        for seed in (1, 2, 3)
    ]
    plain = [
        trained(
            tmp_path / f"plain-{seed}",
            0.60 + seed / 100,
            [f"seed={seed}", *BASELINE],
            genotype="unet-mnv2",
        )
        for seed in (1, 2)
    ]
    made = comparison(found[0], plain[0], *found[1:], plain[1])
    assert [(group.name, len(group.trainings)) for group in made.groups] == [
        ("found-1", 3),
        ("plain-1", 2),
    ]
    first, second = trainings.rows(made)
    assert (first["mean_iou"], first["range"]) == ("0.7200", "0.7100 to 0.7300")
    assert first["minus the first"] == ""
    assert (first["parameters"], first["multiply-adds"]) == ("1,000,000", "2.50 B")
    assert (second["parameters"], second["trainings"], second["epochs"]) == ("–", "2", "60")
    interval = made.against_first(made.groups[1])
    assert interval is not None
    assert interval.difference == pytest.approx(-0.105)
    # Welch: variances of the means 1/30000 and 1/40000, 2.88 degrees of freedom, t = 3.257
    assert interval.high == pytest.approx(-0.105 + 3.257 * 0.0076376, abs=2e-5)
    assert made.lines == [], "both have several seeds, and equal trainings"
    keys = {difference.key for difference in made.differences}
    assert keys == {"space", "full_training.stages.0.auxiliary_weight"}
    classes = trainings.by_class(made)
    assert classes[1] == {"class": "Pole", "found-1": "0.6200", "plain-1": "0.5150"}


def test_unequal_trainings_and_single_seeds_are_pointed_out(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", 0.7)
    second = trained(tmp_path / "b", 0.95, ["full_training.stages.0.epochs=7"])
    made = comparison(first, second)
    assert made.lines == [
        "the trainings are not equal: full_training.stages.0.epochs: 60 | 7",
        "a network that was trained once may differ by chance: train it with seed=2 and seed=3 "
        "too",
    ]
    assert str(made.against_first(made.groups[1])) == "+0.2500"
    assert trainings.by_class(made)[1]["b"] == "–", "a class that the split does not have"
    trainings.write_table(made, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["folder"], row["epochs"], row["mean_iou"]) for row in rows] == [
        ("a", "60", "0.7"),
        ("b", "7", "0.95"),
    ]
    assert len(trainings.figure(made).axes[0].lines) == 2


def test_a_row_that_another_training_does_not_have_is_left_open(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", 0.7)
    other = trained(tmp_path / "b", 0.6, ["seed=2", "evaluation.flip=true"], table=[])
    assert trainings.by_class(comparison(first, other))[0] == {
        "class": "Sky",
        "a": "0.7000",
        "b": "–",
    }


def test_settings_of_a_search_do_not_matter(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", 0.7)
    others = ["stage_one.epochs=2", "search.trials=9", "threads=1"]
    second = trained(tmp_path / "b", 0.71, [*others, "seed=2"])
    assert len(comparison(first, second).groups) == 1


def test_with_equal_seeds_something_else_differs(tmp_path: Path) -> None:
    """A compressed network has the configuration of the training that it comes from."""
    first = trained(tmp_path / "a", 0.7)
    compressed = trained(tmp_path / "b", 0.69, compressed=["pruning"])
    assert [group.name for group in comparison(first, compressed).groups] == ["a", "b"]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", 0.7)
    with pytest.raises(ConfigError, match=r"^1 training is given, expected two or more"):
        comparison(first)
    with pytest.raises(ConfigError, match="is given twice"):
        comparison(first, first)
    other = trained(tmp_path / "voc", 0.7, config="voc_auxcell")
    with pytest.raises(DataError, match=r"^data.name is camvid and voc2012_seg: figures on"):
        comparison(first, other)
    (tmp_path / "voc" / filenames.RESULT).unlink()
    with pytest.raises(DataError, match=r"has no result.json yet, expected a finished training"):
        _ = Training(other).figures
    (tmp_path / "a" / filenames.RESULT).write_text("{}")
    with pytest.raises(DataError, match="is damaged"):
        comparison(first, trained(tmp_path / "c", 0.7))
