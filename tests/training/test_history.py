"""The table of a training's epochs, and what is read of a damaged one."""

from pathlib import Path

import pytest

from nas_tf.errors import DataError
from nas_tf.training.history import History

ROWS = ({"step": 1, "seconds": 2.5, "reward": 0.5}, {"step": 2, "seconds": 1.0, "reward": ""})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    history = History(tmp_path / "history.csv")
    for row in ROWS:
        history.add(row)
    return tmp_path / "history.csv"


def test_it_comes_back_and_is_cut(path: Path) -> None:
    history = History(path)
    assert (history.best("reward"), history.seconds()) == (0.5, 3.5)
    history.cut(1)
    assert [row["step"] for row in History(path).rows] == ["1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stqp,seconds\n1,2\n", "line 2 does not have the columns of the first line"),
        ("step,seconds\n1,2\n2\n", "line 3 does not have the columns of the first line"),
        ("step,seconds\n1,2,3\n", "line 2 does not have the columns of the first line"),
        ("step,seconds\nq,2\n", "invalid literal for int.*'q'"),
        ("step,reward\n1,0.q\n", "could not convert string to float: '0.q'"),
        ("step\n1\x00\n", "(line contains NUL|invalid literal)"),
        ("step\n\xff", "can't decode byte"),
    ],
)
def test_damage_is_one_line(path: Path, text: str, message: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    expected = rf"^\S+history\.csv can't be read: .*{message}.*; put back a copy, or delete it"
    with pytest.raises(DataError, match=expected):
        History(path)
