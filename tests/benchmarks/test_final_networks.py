"""The page of trained networks, from two that hardly trained."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import final_networks
from serving import measure
from tests.benchmarks.scripts import script
from tests.cli.command import nas_tf
from tests.cli.test_training import NETWORK, SMALL
from tests.prepared import few_scenes

OTHER = "[[[1,3]],[2,[0,1,9,9]]]"


@pytest.mark.slow
def test_trained_networks_are_reported_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    monkeypatch.setattr(final_networks, "SAMPLES", 8)
    monkeypatch.setattr(measure, "_SECONDS_PER_TURN", 0.0)
    (tmp_path / "small.yaml").write_text(SMALL)
    names = ("first", "second")
    for name, genotype in zip(names, (NETWORK, OTHER), strict=True):
        options = ("--config", "small.yaml", "full_training.stages.0.epochs=1")
        done = nas_tf("train", genotype, *options, "--out", f"runs/{name}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (tmp_path / "docs").mkdir()
    places = (*(f"runs/{name}" for name in names), "--out", "out", "--docs", "docs")
    done = script("final_networks", *places, "--rounds", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "docs" / "final_networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows][:2] == ["background", "disc"]
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in names)
    text = (tmp_path / "docs" / "final_networks.md").read_text()
    assert text.count("| first | 1 | ") == text.count("| second | 1 | ") == 1
    shown = Image.open(tmp_path / "out" / "predictions.png")
    assert shown.size == (3 * 128 + 2 * 4 + 128, 4 * 128)
