"""Tables of the pages of results are those of the CSV files beside them."""

import itertools
import re
from collections.abc import Sequence

import pytest
from scipy.stats import spearmanr

from benchmarks import dpc_counts
from tests.docs.pages import (
    LAST,
    RESULTS,
    ROOT,
    cell,
    column,
    mean,
    numbers,
    p_of,
    rewards,
    rows,
    says,
    table,
    text,
    wrong,
)

SPACES = ("auxcell", "template", "xception")
PROBLEMS = (*SPACES, *(f"{space}, collapses" for space in SPACES))
NETWORKS = ("found", "arch0", "wacv-arch0")


def same(cell_text: str, values: Sequence[float]) -> bool:
    """Whether a cell shows a value of a file, or is empty where the file has none."""
    if not cell_text:
        return not values
    (value,) = values
    return says(*numbers(cell_text)[0], value)


@pytest.mark.parametrize("space", PROBLEMS)
def test_oracles_are_those_of_their_file(space: str) -> None:
    keys = {"mean": f"mean_of_last_{LAST}", "best": "best_so_far"}
    for row in rows("oracles.md", f"## {space}"):
        of = {"problem": space, "oracle": row["oracle"]}
        for (name, key), trial in itertools.product(keys.items(), (60, 100, 200, 300, 1000)):
            found = column("oracles.csv", key, **of, trial=str(trial))
            assert same(row.get(f"{name} @{trial}", ""), found), (row["oracle"], name, trial)


def test_full_training_is_that_of_its_file() -> None:
    epochs = {int(row["epoch"]): row for row in table("camvid_arch0.csv")}
    for row in rows("full_training.md"):
        if "epoch" in row:
            last = int(row["epoch"])
            seconds = sum(float(epochs[n]["seconds"]) for n in range(1, last + 1))
            assert same(row["minutes of training"], [seconds / 60])
            names = {"training loss": "loss", "val mIoU": "mean_iou"}
            for name, key in (names | {"pixel accuracy": "pixel_accuracy"}).items():
                assert same(row[name], [float(epochs[last][key])]), (last, name)


def test_transfers_are_those_of_their_file() -> None:
    for task in ("depth", "pose"):
        for row in rows("transfer.md", f"## {task} on `shapes`"):
            of = {"task": task, "figure": row["val"]}
            for name, key in (
                ("from the trained network", "transferred"),
                ("from ImageNet's encoder", "anew"),
            ):
                assert same(row[name], column("transfer.csv", key, **of)), row["val"]


def test_trained_networks_are_those_of_their_file() -> None:
    for row in rows("final_networks.md", "## By class: iou"):
        for item in NETWORKS:
            assert same(row[item], column("final_networks.csv", item, **{"class": row["class"]}))
    for item in NETWORKS:
        assert mean(column("final_networks.csv", item)) == pytest.approx(
            cell("final_networks.md", item, "mean_iou"), abs=1e-4
        )


@pytest.mark.parametrize("name", ["ablations", "longer", "stage_two"])
def test_variants_are_those_of_their_file(name: str) -> None:
    for row in rows(f"{name}.md"):
        if "variant" in row:
            found = column(f"{name}.csv", "reward", variant=row["variant"])
            assert int(row["genotypes"]) == len(found)
            assert same(row["mean reward"], [mean(found)])
            assert same(row["best"], [max(found)])


@pytest.mark.parametrize(("here", "there"), [("longer", "ablations"), ("stage_two", "longer")])
def test_ranks_are_those_of_their_files(here: str, there: str) -> None:
    own, others = (
        {
            row["genotype"]: float(row["reward"])
            for row in table(f"{name}.csv")
            if row["variant"] == "as configured"
        }
        for name in (here, there)
    )
    found = spearmanr([others[item] for item in own], list(own.values())).statistic
    (written,) = text(f"{here}.md", r"Spearman's ρ = ([\d.]+) \(95")
    assert says(f"{written:.2f}", "", found)


def test_searches_are_those_of_their_files() -> None:
    runs = [row for row in rows("camvid_search.md") if row.get("of") == "reward"]
    assert len(runs) == 3
    for row in runs:
        found = rewards(row["run"].removeprefix("camvid_"))
        middle = mean(sorted(found)[29:31])
        assert int(row["trials"]) == len(found)
        for key, value in (("best", max(found)), ("mean", mean(found)), ("median", middle)):
            assert same(row[key], [value]), (row["run"], key)


def test_what_is_read_from_the_searches_is_there() -> None:
    evolution, ppo, random = (rewards(item) for item in ("evolution", "ppo", "random"))
    assert evolution[:40] == random[:40]
    for pattern, values in (
        (
            r"mean ([\d.]+), where all sixty of uniform random have ([\d.]+) "
            r"\(Mann–Whitney p = ([\de-]+)\)",
            [mean(evolution[-LAST:]), mean(random), p_of("evolution", LAST)],
        ),
        (
            r"best of evolution is ([\d.]+), of uniform random ([\d.]+)\.",
            [max(evolution), max(random)],
        ),
        (r"twenty of uniform random alone have ([\d.]+):", [mean(random[-LAST:])]),
        (
            r"twenty have mean ([\d.]+) against ([\d.]+) of all sixty random ones "
            r"\(p = ([\d.]+)\)",
            [mean(ppo[-LAST:]), mean(random), p_of("ppo", LAST)],
        ),
        (
            r"its mean is lower, ([\d.]+) \(p = ([\d.]+)\), .* has ([\d.]+), with",
            [mean(ppo), p_of("ppo"), mean(ppo[:LAST])],
        ),
        (r"Its best, ([\d.]+), is above random's ([\d.]+)\.", [max(ppo), max(random)]),
    ):
        (line,) = re.finditer(pattern, (RESULTS / "search.md").read_text(encoding="utf-8"))
        assert wrong([(group, "") for group in line.groups()], values) == []


def test_counts_of_dense_prediction_cells_are_those_of_their_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dpc_counts.main()
    page = ROOT / "docs" / "how-to" / "dense_prediction_cells.md"
    assert f"|---:|\n{capsys.readouterr().out}\n" in page.read_text(encoding="utf-8")
