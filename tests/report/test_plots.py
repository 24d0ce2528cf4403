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
    assert seen.figures == {"mean_iou": (0.4, 0.5)}
    plots.save(path, tmp_path / "curve.svg", title="training arch0")
    drawing = (tmp_path / "curve.svg").read_text()
    assert "<svg" in drawing


def test_an_empty_history_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("stage,epoch\n")
    with pytest.raises(DataError) as error:
        plots.read_history(path)
    assert str(error.value) == f"{path} holds no epoch yet, expected one row an epoch"
