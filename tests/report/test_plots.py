"""The curve of a training, from its history."""

from pathlib import Path

import pytest

from nas_tf.errors import DataError
from nas_tf.report import plots

HISTORY = """\
stage,epoch,step,loss,seconds,rate_decoder,reward,mean_iou,rmse
1,1,10,2.0,5,3e-3,,,
1,2,20,1.0,5,3e-3,0.5,0.4,2.5
2,1,30,0.5,5,1e-3,0.6,0.5,2.0
"""


def test_it_shows_every_loss_and_the_figures_that_were_taken(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    seen = plots.read_history(path)
    assert seen.epochs == (1, 2, 3)
    assert seen.loss == (2.0, 1.0, 0.5)
    assert seen.scored == (2, 3)
    assert seen.figures == {"mean_iou": (0.4, 0.5), "rmse": (2.5, 2.0)}
    plots.save(path, tmp_path / "curve.svg", title="training arch0")
    drawing = (tmp_path / "curve.svg").read_text()
    assert "<svg" in drawing


def test_figures_of_any_size_are_drawn_where_they_can_be_seen() -> None:
    figures = {"ssim": (0.8, 0.9), "psnr": (27.5, 29.25), "iou": (0.1, 1.0), "gain": (-3.0, -1.0)}
    curve = plots.Curve(epochs=(1, 2), loss=(-0.5, -1.5), scored=(1, 2), figures=figures)
    drawn = plots.training_curve(curve, "training arch0").axes
    labels = [[line.get_label() for line in axes.lines] for axes in drawn[:-1]]
    assert labels == [["ssim", "iou"], ["psnr"], ["gain"]]
    for axes in drawn:
        low, high = axes.get_ylim()
        for line in axes.lines:
            assert low <= min(line.get_ydata()) <= max(line.get_ydata()) <= high


def test_a_training_without_metrics_has_its_loss_drawn() -> None:
    curve = plots.Curve(epochs=(1, 2), loss=(2.0, 1.0), scored=(), figures={})
    (axes,) = plots.training_curve(curve, "training arch0").axes
    assert (axes.get_title(), axes.get_ylim()[0]) == ("training arch0", 0.0)


def test_an_empty_history_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("stage,epoch\n")
    with pytest.raises(DataError) as error:
        plots.read_history(path)
    assert str(error.value) == f"{path} holds no epoch yet, expected one row an epoch"
