"""Random codes of detectors are built, run, differentiated and converted; runs continue."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detector_codes import is_close
from tests.benchmarks.scripts import script


@pytest.mark.slow
def test_random_codes_pass_and_a_second_run_continues(tmp_path: Path) -> None:
    arguments, path = ("--out", "codes.jsonl", "--count", 3), tmp_path / "codes.jsonl"
    done = script("detector_codes", *arguments, cwd=tmp_path)
    assert done.stdout == "fpn: 3 of 3 passed\nhead: 3 of 3 passed\n", done.stderr
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["kind"], row["number"]) for row in rows[:3]] == [
        ("fpn", 0),
        ("head", 0),
        ("fpn", 1),
    ]
    assert len({row["code"] for row in rows}) == 6
    rows[4]["error"] = "ValueError: the loss has no finite value or gradient"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = script("detector_codes", *arguments, cwd=tmp_path)
    failure, *counts = done.stdout.splitlines()
    assert failure == f"fpn 2 {rows[4]['code']}: {rows[4]['error']}"
    assert counts == ["fpn: 2 of 3 passed", "head: 3 of 3 passed"]


def test_outputs_differ_by_shape_by_value_and_if_they_are_not_finite() -> None:
    values = np.array([[1.0, 2000.0]])
    assert is_close(values + 0.1, values), "relative to the largest"
    assert not is_close(values + 3, values)
    assert not is_close(values.T, values)
    assert not is_close(values * np.nan, values)
