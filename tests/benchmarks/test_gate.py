"""The page of the gate, from the committed CamVid searches."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.scripts import script

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_chance_that_falls_faster_lets_fewer_through(tmp_path: Path) -> None:
    table = ROOT / "docs" / "results" / "camvid_search" / "camvid_random" / "trials.csv"
    done = script("gate", table, "--seeds", 5, "--docs", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "gate.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith("| camvid_random | 60 |"))
    shares = [int(item) for item in re.findall(r"(\d+)% \(", row)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 85
    assert shares[-1] < 75
    assert "| drawn from all | 10,000 |" in text
