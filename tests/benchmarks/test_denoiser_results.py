"""The page of restoration networks, from three that hardly trained."""

import csv
from pathlib import Path

import pytest

from nas_tf.runs.trainings import Training
from tests.benchmarks.scripts import script
from tests.cli.command import nas_tf
from tests.prepared import few_scenes

SMALL = (
    *("--config", "shapes_denoise", "space=restoration", "network.width=4", "threads=1"),
    *("full_training.stages.0.epochs=1", "full_training.stages.0.batch=64"),
)


@pytest.mark.slow
def test_trained_denoisers_are_reported_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes("shapes_clean")))
    names = {"plain": ("hinas-skip", 1), "other": ("hinas-sep3x3", 1), "again": ("hinas-skip", 2)}
    for name, (genotype, seed) in names.items():
        options = (*SMALL, f"seed={seed}", "--out", f"runs/{name}")
        done = nas_tf("train", genotype, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (tmp_path / "denoisers.csv").write_text("method,sigma,psnr,ssim\nnoisy,50,14.9,0.2\n")
    runs = [f"runs/{name}" for name in names]
    done = script(
        "denoiser_results",
        *("--title", "Denoisers", "--machine", "two cores", "--out", "docs/networks"),
        *("--denoisers", "denoisers.csv", "--int8", "runs/plain", "--pictures", 2),
        *("--group", "all", *runs, "--group", "seeds", runs[0], runs[2]),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "docs/networks.md").read_text()
    assert "| noisy | 50 | 14.9 | 0.2 |" in text
    assert "## All\n" in text
    assert text.count("| plain | ") == 2
    assert "plain: `hinas-skip`, seed 1, 2, width 4, noise 50, batch 64, adam 0.003," in text
    assert "| keras | " in text
    assert "| int8 | " in text
    with (tmp_path / "docs/networks/group1.csv").open() as file:
        rows = {row["folder"]: row for row in csv.DictReader(file)}
    for name, row in rows.items():
        figures = Training(tmp_path / "runs" / name).figures
        assert float(row["psnr"]) == pytest.approx(figures["psnr"], abs=1e-5)
