"""The weights of the branches of a trained cell: Figure 5b of the paper of DPC."""

from pathlib import Path

import numpy as np
import pytest

from nas_tf import spaces
from nas_tf.errors import DataError
from nas_tf.report import branches, page
from nas_tf.runs import Run, saved_arrays
from tests.runs.made import made

TOP1 = spaces.resolve("dpc-top1")
POOLED = spaces.DPCSpace().parse(
    [[0, "pool_1x1"], [1, "conv1x1"], [0, "pool_2x4"], [3, "sep3x3_1x3"], [0, "conv1x1"]]
)


def save(run: Run, trial: str, kernel: np.ndarray) -> None:
    path = saved_arrays.arrays_path(run.folder, trial)
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **{"projection.conv|kernel": kernel, "branch1.sep3x3_1x6.bn|beta": kernel})


def kernel_of(means: list[float], width: int = 8) -> np.ndarray:
    """A kernel whose branches have given mean absolute weights, of both signs."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (1, 1, len(means) * width, width))
    return signs * np.repeat(means, width)[:, None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made(tmp_path / "cells", space="dpc", trials=4, genotypes=[TOP1, POOLED] * 2, failing=0)


def test_each_branch_has_its_own_mean(run: Run) -> None:
    means = [0.5, 0.1, 0.2, 0.3, 0.4]
    save(run, "0000", kernel_of(means))
    found = branches.read(run, run.trials[0])
    assert [branch.weight for branch in found] == pytest.approx(means)
    assert {branch.channels for branch in found} == {8}
    assert [(branch.name, branch.source) for branch in found[:2]] == [
        ("branch1.sep3x3_1x6", "feature map"),
        ("branch2.sep3x3_18x15", "branch1"),
    ]
    assert [branch.features for branch in found] == ["3x13", "39x43", "51x49", "5x15", "15x55"]
    assert [branch.pixels for branch in found][:2] == ["48x208", "624x688"]


def test_poolings_read_windows_or_everything(run: Run) -> None:
    save(run, "0001", kernel_of([0.1] * 5))
    found = branches.read(run, run.trials[1])
    assert [branch.features for branch in found] == ["all", "all", "13x9", "15x15", "1x1"]
    assert found[0].pixels == "all"


def test_other_trials_have_none(run: Run, tmp_path: Path) -> None:
    assert branches.read(run, run.trials[0]) == []
    assert branches.best(run) is None
    other = made(tmp_path / "other", space="auxcell", trials=2)
    save(other, "0000", kernel_of([0.1]))
    assert branches.read(other, other.trials[0]) == []


@pytest.mark.parametrize("kernel", [np.zeros((1, 1, 12, 4)), np.zeros(5)])
def test_arrays_of_another_cell_are_refused(run: Run, kernel: np.ndarray) -> None:
    save(run, "0000", kernel)
    with pytest.raises(
        DataError, match=r"0000\.npz has no projection of 5 branches; put back a c"
    ):
        branches.read(run, run.trials[0])


@pytest.mark.slow
def test_the_report_draws_the_best_that_is_saved(run: Run) -> None:
    assert branches.TITLE not in page.write(run).read_text(encoding="utf-8")
    second = run.best(2)[1].trial
    save(run, second, kernel_of([0.5, 0.1, 0.2, 0.3, 0.4]))
    text = page.write(run).read_text(encoding="utf-8")
    assert f"<h2>{branches.TITLE}</h2>" in text
    assert f"of trial {second}, the best with saved weights" in text
    saved_arrays.arrays_path(run.folder, run.best(1)[0].trial).write_bytes(b"damaged")
    assert f"of trial {second}, the best with saved weights" in page.write(run).read_text("utf-8")
    assert (run.folder / "report" / "branches.svg").exists()
    _, found = branches.best(run)
    (axes,) = branches.weights(found).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.5, 0.1, 0.2, 0.3, 0.4])
