"""``nas-tf benchmark --sizes``: a table, a figure, and mistakes in one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_tf.jobs import latencies
from nas_tf.report.times_by_size import TimeBySize
from tests.cli.command import nas_tf


def test_sizes_are_a_table_and_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def times(genotypes: dict, sizes: list, **given: object) -> Iterator[TimeBySize]:
        assert given == {"classes": 5, "threads": [1], "rounds": 2}
        for name in genotypes:
            for height, width in sizes:
                yield TimeBySize(name, (height, width), "LiteRT", 1, (height / 10, height / 5))

    monkeypatch.setattr(latencies, "by_size", times)
    command = ("benchmark", "arch0", "unet-mnv2", "--sizes", "64x64,128x256", "--classes", "5")
    done = nas_tf(*command, "--threads", "1", "--rounds", "2", "--out", "seen", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    head, *rows, picture, table = done.stdout.splitlines()
    assert head.split() == ["network", "size", "runtime", "threads", "median", "ms", "range"]
    assert rows[1].split() == ["arch0", "128x256", "LiteRT", "1", "19.20", "12.80–25.60"]
    assert len(rows) == 4
    assert [picture, table] == ["seen/sizes.svg", "seen/sizes.csv"]
    assert (tmp_path / picture).read_text().lstrip().startswith("<?xml")
    assert len((tmp_path / table).read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("arch0", "--sizes", "64"), "size is '64', expected HEIGHTxWIDTH such as 360x480"),
        (("arch9", "--sizes", "64x64"), "arch9"),
        (("arch0",), "arch0 is not a file, expected a TFLite model"),
        (("arch0", "--sizes", "64x64", "--threads", "x"), "--threads is 'x', expected numbers"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], line: str, tmp_path: Path) -> None:
    done = nas_tf("benchmark", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    (error,) = done.stderr.splitlines()
    assert line in error
    assert not list(tmp_path.iterdir())
