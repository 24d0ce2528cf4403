"""Final scores cover whole pictures at their own size."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf import config, spaces
from nas_tf.config.schema import Evaluation
from nas_tf.data.whole_pictures import WholePictures
from nas_tf.networks.arrays import layouts
from nas_tf.networks.state import from_arrays, initial_arrays
from nas_tf.training import from_config, scoring
from nas_tf.training.scoring import Scorer
from tests.prepared import shared_cache

BORDER = 0.86
SMALL = ["network.alpha=0.35", "network.width=8", "network.weights=null", "evaluation.batch=4"]


@pytest.fixture(scope="module")
def border(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Writes pictures whose class ``border`` is outside of every central crop of 64."""
    folder = tmp_path_factory.mktemp("own") / "border"
    for split, sizes in (("train", [(256, 256)]), ("val", [(256, 256), (128, 192), (300, 200)])):
        for number, size in enumerate(sizes):
            label = np.ones(size, np.uint8)
            inner = [round(side * (1 - (1 - BORDER) ** 0.5) / 2) for side in size]
            label[inner[0] : size[0] - inner[0], inner[1] : size[1] - inner[1]] = 0
            image = np.repeat(label[..., None] * 200, 3, -1).astype(np.uint8)
            for kind, pixels in (("images", image), ("labels", label)):
                path = folder / kind / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    (folder / "dataset.yaml").write_text("classes: [middle, border]\n")
    return f"folder:{folder}"


@pytest.fixture(scope="module", autouse=True)
def cache():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield


def scorer_of(configuration: config.Config, **how: object) -> tuple[Scorer, object]:
    blueprint_at = from_config.blueprint_builder(
        configuration, spaces.resolve("arch2"), "published"
    )
    size = from_config.geometry(configuration).size
    blueprint = blueprint_at(size).deployed()
    parts = layouts(blueprint)
    state = from_arrays(parts, initial_arrays(blueprint, seed=1))
    task, evaluation = from_config.task_for(configuration), Evaluation(batch=4, **how)
    return Scorer(blueprint_at, task, parts, size, evaluation), state


@pytest.mark.parametrize(
    "view",
    [
        ["full_training.stages=[{epochs: 1, crop: [64, 64]}]"],
        ["data.view={resize: {longer: 64}, input: [64, 64], crop: [32, 32]}"],
        ["data.view={resize: {exact: [64, 96]}, input: [64, 96], crop: [32, 32]}"],
    ],
)
def test_every_pixel_is_scored(
    tmp_path: Path, border: str, view: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_PIXELS", 1000)  # a few rows, so that pictures are split
    (tmp_path / "own.yaml").write_text("space: auxcell\ndata: {name: shapes}\n")
    configuration = config.load(tmp_path / "own.yaml", [f"data.name={border}", *SMALL, *view])
    scorer, state = scorer_of(configuration)
    pictures, done = from_config.scored_pictures(configuration, "val"), []
    metrics = scorer.score(state, pictures, done.append)
    shares = {row["class"]: row["share"] for row in metrics.table()}
    assert shares["border"] == pytest.approx(BORDER, abs=0.01)
    assert metrics.confusion.numpy().sum() == 256 * 256 + 128 * 192 + 300 * 200
    assert done == [1, 2, 3]


def test_padding_never_counts_and_batches_change_nothing(tmp_path: Path, border: str) -> None:
    (tmp_path / "own.yaml").write_text("space: auxcell\ndata: {name: shapes}\n")
    view = "data.view={resize: {longer: 40}, input: [64, 64], crop: [32, 32]}"
    configuration = config.load(tmp_path / "own.yaml", [f"data.name={border}", *SMALL, view])
    scorer, state = scorer_of(configuration)
    pictures = from_config.scored_pictures(configuration, "val")
    assert isinstance(pictures, WholePictures)
    alone = scorer.score(state, pictures.spread(1)).confusion.numpy()
    together = scorer.score(state, pictures).confusion.numpy()
    assert alone.sum() == 256 * 256
    rest = WholePictures(pictures.examples, pictures.geometry, pictures.target, (1, 2))
    np.testing.assert_array_equal(together, alone + scorer.score(state, rest).confusion.numpy())


@pytest.mark.slow
def test_scores_of_a_part_of_the_picture_are_reported(
    tmp_path: Path, border: str, caplog: pytest.LogCaptureFixture
) -> None:
    from nas_tf.training.shared_data import SharedData

    (tmp_path / "own.yaml").write_text(
        "space: auxcell\ndata: {name: shapes, meta_val_share: 0.5}\n"
    )
    several = border.removeprefix("folder:")
    for number in (1, 2, 3):
        for kind in ("images", "labels"):
            source = Path(several) / kind / "train" / "0.png"
            source.with_name(f"{number}.png").write_bytes(source.read_bytes())
    stages = ["stage_one={batch: 2, views: 1}", "stage_two.batch=2"]
    crops = ["stage_one.crop=[64, 64]", "full_training.stages=[{epochs: 1, crop: [64, 64]}]"]
    given = [f"data.name={border}", *SMALL, *stages]
    shared = SharedData(config.load(tmp_path / "own.yaml", [*given, *crops]))
    assert shared.covered_share == pytest.approx(1 / 16)
    assert "candidates are scored on 6 % of meta-val's pixels, 64x64" in caplog.text
    caplog.clear()
    view = "data.view={resize: {longer: 64}, crop: [32, 32]}"
    shared = SharedData(config.load(tmp_path / "own.yaml", [*given, view]))
    assert shared.covered_share == 1
    assert "candidates are scored" not in caplog.text


_LARGE = """
import resource, sys
from pathlib import Path
import numpy as np, tensorflow as tf
from nas_tf import config
from nas_tf.input_geometry import InputGeometry
from nas_tf.training import from_config
from serving import whole_picture
from tests.training.test_whole_scores import scorer_of

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

folder = Path(sys.argv[1])
chosen = config.load(
    folder / "own.yaml",
    [f"data.name=folder:{folder / 'large'}", "data.view={input: [512, 512], crop: [64, 64]}",
     "network.weights=null", "network.width=8", "network.alpha=0.35"],
)
scorer, state = scorer_of(chosen)
scorer._run = lambda images, *_: {"logits": tf.zeros((len(images), 128, 128, 2))}
pictures = from_config.scored_pictures(chosen, "val")
before = peak()
pixels = int(scorer.score(state, pictures).confusion.numpy().sum())
print(pixels, peak() - before)

geometry = InputGeometry((512, 512))
picture = np.zeros((5774, 8660, 3), np.uint8)
ask = lambda images: {"mask": np.zeros(images.shape[:3], np.uint8)}
whole_picture.answer(ask, {"input": geometry.to_dict()}, picture)
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_is_bounded_for_a_picture_of_fifty_megapixels(tmp_path: Path) -> None:
    """The network is left out, since its memory depends on its batch alone."""
    coarse = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    for split, size in (("train", (90, 60)), ("val", (8660, 5774))):
        for kind, pixels in (("images", coarse), ("labels", coarse[..., 0] >> 7)):
            path = tmp_path / "large" / kind / split / "0.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(path)
    (tmp_path / "large" / "dataset.yaml").write_text("classes: [dark, light]\n")
    (tmp_path / "own.yaml").write_text("space: auxcell\ndata: {name: shapes}\n")
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": ".", "NAS_TF_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (pixels, scoring), (both,) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert pixels == 8660 * 5774
    assert scoring < 1500, "MiB: picture, windows and maps, which are bytes, several times each"
    assert both < 1500
