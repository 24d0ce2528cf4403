"""The benchmark of denoisers that learn nothing scores what they return."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import denoisers

SIGMA = 25


@pytest.fixture(scope="module")
def pictures() -> denoisers.DegradedPictures:
    return denoisers.pictures_of("shapes_denoise", "val", SIGMA, limit=2)


def test_the_noisy_pictures_have_the_figures_of_their_noise(
    pictures: denoisers.DegradedPictures,
) -> None:
    result = denoisers.score(pictures, denoisers.noisy)
    unclipped = 10 * np.log10(255**2 / SIGMA**2)
    assert unclipped <= result["psnr"] < unclipped + 1.5
    assert denoisers.row("noisy", SIGMA, result).startswith(f"noisy,25,{result['psnr']:.4f},0.")


def test_each_picture_gets_what_the_other_process_made_of_it(
    pictures: denoisers.DegradedPictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bm3d.py").write_text(
        "def bm3d(picture, sigma):\n    return picture + (0.5 if sigma > 0.1 else 0.0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plain, brighter = (
        denoisers.score(pictures, denoisers.bm3d(pictures, sys.executable, sigma))
        for sigma in (SIGMA, 26)
    )
    assert plain == denoisers.score(pictures, denoisers.noisy)
    assert brighter["psnr"] < plain["psnr"] - 5
