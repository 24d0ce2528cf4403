"""From a configuration to degraded views, and scores of restored pictures at their own size."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from nas_tf import spaces
from nas_tf.config import dump, load
from nas_tf.config.schema import Config, Evaluation
from nas_tf.data import pipeline
from nas_tf.data.degradations import Degradation, Jpeg, Noise
from nas_tf.data.store import count
from nas_tf.errors import ConfigError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import State, from_arrays
from nas_tf.training import from_config, own_data, preflight
from nas_tf.training.full_run import FullRun
from nas_tf.training.scoring import Scorer
from tests.prepared import few_scenes

GENOTYPE = "hinas-skip"


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(few_scenes("shapes", "shapes_clean")))
        yield


def config(**changes: Any) -> Config:
    content = {
        "space": "restoration",
        "data": {"name": "shapes_clean"},
        "degradation": {"noise": {"sigma": (30.0, 50.0)}},
        "network": {"width": 2},
        "precision": "float32",
        **changes,
    }
    return msgspec.convert(content, Config)


@pytest.mark.parametrize(
    ("sigma", "levels"), [("25", ()), ("[50,30]", (30, 50)), ("0-55", (0, 27.5, 55))]
)
def test_a_section_becomes_the_degradation_of_every_view(sigma: str, levels: tuple) -> None:
    overrides = [
        "data.name=shapes_clean",
        "task.background=null",
        f"degradation.noise.sigma={sigma}",
    ]
    loaded = load("shapes_auxcell", [*overrides, "degradation.jpeg.quality=40"])
    noise = msgspec.yaml.decode(dump(loaded))["degradation"]["noise"]["sigma"]
    expected = Degradation(noise=Noise.of(noise), jpeg=Jpeg(40))
    task = from_config.task_for(loaded)
    assert (task.levels, task.channels) == (levels, 1)
    views = [from_config.view_of(loaded, "full"), from_config.reward_view(loaded)]
    views.append(from_config.shown_pictures(loaded, "val").view)
    assert all(view.grey for view in views)
    assert views[0].degradation == expected
    assert [view.degradation.noise for view in views[1:]] == [Noise(levels or (25.0,))] * 2
    assert views[0].turns
    colour = from_config.view_of(load("shapes_auxcell", [*overrides, "task.channels=3"]), "full")
    assert not colour.grey


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.name=shapes_clean", "task.background=null"],
            "degradation is null, and the pictures of shapes_clean are clean, expected such as "
            "degradation.noise.sigma=25",
        ),
        (
            ["degradation.rain={}"],
            "degradation has rain, and the pictures of shapes have the target label, "
            "expected null",
        ),
    ],
)
def test_a_degradation_is_needed_for_clean_pictures_alone(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        from_config.task_for(load("shapes_auxcell", overrides))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        *(
            (f"noise.sigma={sigma}", "a number of 0 to 255, a list of different ones, or a range")
            for sigma in ("-5", "strong", "[]", "300", "55-0", "0-300", "[-1,3]", "[30,30]")
        ),
        ("nois.sigma=3", "key degradation.nois is unknown, did you mean noise?"),
        ("noise.sgma=3", "key degradation.noise.sgma is unknown, did you mean sigma?"),
        ("noise={}", "key degradation.noise.sigma is missing"),
        ("jpeg.quality=0", "expected an integer of 1 to 100"),
        ("missing.share=2", "expected a number of 0 to 1"),
    ],
)
def test_mistakes_in_the_section_are_one_line(override: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load("shapes_auxcell", [f"degradation.{override}"])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_keep_their_size_unless_the_configuration_resizes_them() -> None:
    assert from_config.geometry(config()).resize.to_dict() == {}
    with pytest.raises(ConfigError, match=r"^evaluation\.scales is \[0\.5\], and pictures"):
        scorer(config(), Evaluation(scales=(0.5,)))


def scorer(of: Config, evaluation: Evaluation) -> tuple[Scorer, State, Functional]:
    build = from_config.blueprint_builder(of, spaces.resolve(GENOTYPE), "published")
    size = from_config.geometry(of).size
    blueprint = build(size).deployed()
    parts = layouts(blueprint)
    state = from_arrays(parts, from_config.first_arrays(of, blueprint))
    made = Scorer(build, from_config.task_for(of), parts, size, evaluation)
    return made, state, Functional(blueprint, parts=parts)


def test_a_score_is_that_of_whole_pictures_at_their_own_size() -> None:
    """Not of windows of the input's size, and whatever the batch."""
    of, done = config(), []
    made, state, network = scorer(of, Evaluation(batch=2))
    pictures = from_config.scored_pictures(of, "val").spread(2)
    result = made.score(state, pictures, done.append).result()
    assert done == [1, 2, 3, 4]
    metrics = from_config.task_for(of).metrics()

    def restore(images: np.ndarray) -> np.ndarray:
        assert images.shape == (1, 128, 128, 3)
        outputs = network(tf.constant(images), state.trainable, state.statistics).outputs
        return np.clip(outputs["logits"], 0, 1)

    for scored in pictures.restored(restore, 1):
        target = {name: tf.constant(part)[None] for name, part in scored.target.items()}
        metrics.add(target, {"restored": scored.prediction[None]})
    assert dict(result) == pytest.approx(dict(metrics.result()), rel=1e-4)
    assert {"psnr_30", "psnr_50"} < result.keys()
    assert result["psnr_30"] > result["psnr_50"]
    flipped, *_ = scorer(of, Evaluation(batch=2, flip=True))
    assert flipped.score(state, pictures).result()["psnr"] != result["psnr"]


@pytest.fixture(scope="module")
def odd_sizes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of pictures that are smaller than a window, a patch or what the network reads."""
    folder, rng = tmp_path_factory.mktemp("odd"), np.random.default_rng(6)
    for split in ("train", "val"):
        (folder / split).mkdir()
        for height, width in ((1, 1), (5, 7), (3, 90), (67, 71)):
            pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{height}.png")
    (folder / "dataset.yaml").write_text('clean: "{split}/{name}"\n')
    return f"folder:{folder}"


@pytest.mark.parametrize("protocol", ["standard", "hinas"])
def test_pictures_of_every_size_are_scored(protocol: str, odd_sizes: str) -> None:
    """Those below 11 x 11 pixels have no SSIM; each has a PSNR."""
    of = config(data={"name": odd_sizes}, task={"protocol": protocol, "channels": 1})
    of = own_data.completed(of)
    made, state, _ = scorer(of, Evaluation(batch=3))
    pictures = from_config.scored_pictures(of, "val")
    result = made.score(state, pictures).result()
    assert np.isfinite(list(result.values())).all()
    restored = pictures.restored(lambda images: (images[..., :1] + 1) / 2, 3)
    shapes = [part.prediction.shape for part in restored]
    assert shapes[::2] == [(1, 1, 1), (3, 90, 1), (5, 7, 1), (67, 71, 1)]


def test_pictures_of_every_size_are_trained_on(odd_sizes: str) -> None:
    """A picture that is smaller than the crop is enlarged to it, so nothing is padded."""
    of = own_data.completed(config(data={"name": odd_sizes}))
    target = from_config.task_for(of).target
    view = from_config.view_of(of, "full")
    examples = from_config.training_examples(of)
    for images, clean in pipeline.training(examples, target, view, batch=2, seed=1, epochs=1):
        assert images.shape == clean.shape == (2, 64, 64, 3)
        assert np.isfinite(images).all()
        assert np.abs(clean).max() <= 1


def test_train_and_val_are_trained_on_together() -> None:
    of = config(data={"name": "shapes_clean", "train_split": "train+val"})
    assert preflight.trained_on(of, "val") == (
        "data.train_split is train+val, which has pictures of it"
    )
    assert preflight.trained_on(of, "test") is None
    assert len(from_config.training_examples(of)) == sum(
        count("shapes_clean", split) for split in ("train", "val")
    )


@pytest.mark.slow
def test_full_training_removes_noise(tmp_path: Path) -> None:
    stage = {
        "epochs": 36,
        "batch": 24,
        "crop": [16, 16],
        "decoder": {"learning_rate": 3e-3, "clip": None},
    }
    of = config(
        degradation={"noise": {"sigma": 50.0}},
        full_training={"stages": [stage], "loss_at": "target", "validate_every": 36},
    )
    losses: list[float] = []
    run = FullRun(of, spaces.resolve(GENOTYPE), tmp_path / "run")
    finished = run.run(lambda done, loss: losses.append(loss))
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    noisy = from_config.task_for(of).metrics()
    for scored in from_config.scored_pictures(of, "val").restored(
        lambda x: (x[..., :1] + 1) / 2, 1
    ):
        target = {name: tf.constant(part)[None] for name, part in scored.target.items()}
        noisy.add(target, {"restored": np.clip(scored.prediction, 0, 1)[None]})
    assert finished.result["psnr"] > noisy.result()["psnr"] + 2
    assert (tmp_path / "run" / "predictions.png").exists()
