"""A space without taps: its networks read the image, and everything works without an encoder."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nas_tf import networks, spaces
from nas_tf.config import load
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.jobs import trained
from nas_tf.networks import settings as builders
from nas_tf.networks.heads import classifier
from nas_tf.networks.ops import conv_bn_relu
from nas_tf.report import graph, page
from nas_tf.runs import Run
from nas_tf.search import SearchHyperModel
from nas_tf.training.full_run import FullRun
from serving import saved_model, tflite
from serving.lite_runner import LiteModel
from serving.parity import keras_answers
from tests.search import searched
from tests.training.evaluated import SMALL

CROP = [32, 32]


class Plain(spaces.SearchSpace):
    """The convolutions of two layers on the image."""

    name = "plain"
    taps = ()
    network_settings = ("width",)
    tokens = tuple(spaces.Token(f"layer{n}", 2, "1x1 or 3x3") for n in (1, 2))

    def _layout(self, tokens: Sequence[int]) -> Any:
        return list(tokens)

    def _flatten(self, brackets: Any) -> list[Any]:
        return list(brackets)

    def canonical(self, genotype: Genotype) -> Genotype:
        return genotype

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        return iter(())


def add_network(draft: Any, genotype: Genotype, head: Any, settings: Any) -> None:
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    x = draft.image()
    for n, choice in enumerate(genotype.parts, 1):
        kernel = 1 + 2 * choice
        x = conv_bn_relu(draft, x, f"block{n}", settings.width, kernel=kernel)
    draft.output(classifier(draft, x, "output.classifier", head), "logits")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Genotype:
    for registry in (spaces.SPACES, builders._BUILDERS):
        monkeypatch.setitem(registry, "plain", None)  # so that it is undone
    spaces.register(Plain)
    small = networks.Settings(width=4, auxiliary="none")
    networks.register(
        "plain", networks.Builder(add_network=add_network, published=small, search=small)
    )
    return spaces.resolve("[1,0]", "plain")


CHANGES: dict[str, Any] = {
    "space": "plain",
    "network": {"width": 4, "alpha": 1.0, "weights": "imagenet"},
    "stage_one": {"epochs": 1, "views": 1, "batch": 256, "crop": CROP},
}
STAGES = {
    "full_training": {"stages": [{"epochs": 3, "batch": 256, "crop": CROP}], "validate_every": 3},
    "data": {"name": "shapes", "view": {"crop": CROP, "input": [128, 128]}},
}


def training(folder: Path, genotype: Genotype) -> FullRun:
    config = msgspec.convert({**SMALL, **CHANGES, **STAGES}, Config)
    return FullRun(config, genotype, folder)


def check_exports(network: Any, folder: Path) -> None:
    """Checks that SavedModel and TFLite answer as the Keras model does."""
    shipment = network.shipment
    pixels = np.random.default_rng(1).integers(0, 256, (4, *shipment.size, 3), np.uint8)
    wanted = keras_answers(shipment)(pixels)["mask"]
    assert len(np.unique(wanted)) > 1
    exported = saved_model.write(shipment, folder)
    np.testing.assert_array_equal(saved_model.answers(exported)(pixels)["mask"], wanted)
    content = tflite.convert(shipment, "fp32")
    found = LiteModel(content)(pixels)["mask"]
    assert np.mean(found == wanted) > 0.995


def test_the_blueprint_has_the_image_as_its_only_tap(plain: Genotype) -> None:
    blueprint = networks.blueprint_of(plain, 3, input_size=(8, 6))
    counted = networks.cost(blueprint)
    assert (counted.params_encoder, counted.params_decoder > 0) == (0, True)
    first, *others = blueprint.decoder(("image",)).layers
    assert (first.name, first.kind, first.size, first.channels) == ("tap0", "input", (8, 6), 3)
    assert [layer.name for layer in others] == [layer.name for layer in blueprint.layers[1:]]


def test_a_search_trains_both_stages(tmp_path: Path) -> None:
    stage_two = {"epochs": 1, "batch": 256, "crop": [24, 32]}
    model = searched.hypermodel(**CHANGES, stage_two=stage_two, gate={"policy": "open"})
    oracle = searched.random_oracle(2)
    searched.tuner(tmp_path / "run", oracle, model).search(verbose=0)
    run = Run(tmp_path / "run")
    assert [len(trial.stages) for trial in run.trials] == [2, 2]
    assert all(np.isfinite(stage.losses).all() for trial in run.trials for stage in trial.stages)
    shared = model.evaluator().shared
    assert shared.taps == ("image",)
    images, _ = next(shared.validation_images())
    taps, _ = next(shared.validation_taps())
    assert list(taps) == ["tap0"]
    np.testing.assert_allclose(taps["tap0"], images, atol=5e-4)
    assert page.write(run).exists()
    assert graph.save(run.best()[0].parsed, tmp_path / "plain", title="plain")
    check_exports(trained.find(str(tmp_path / "run")), tmp_path / "exported")


@pytest.mark.slow
def test_a_killed_training_ends_as_an_uninterrupted_one(plain: Genotype, tmp_path: Path) -> None:
    class Killed(BaseException):
        """Simulates the end of the process, which the training must not catch."""

    def stop(done: int, loss: float) -> None:
        if done == 3:
            raise Killed

    complete = training(tmp_path / "complete", plain).run()
    with pytest.raises(Killed):
        training(tmp_path / "killed", plain).run(stop)
    again = training(tmp_path / "killed", plain)
    assert again.resumed
    assert again.run().result == complete.result
    found = [trained.find(str(tmp_path / name)) for name in ("complete", "killed")]
    first, second = (network.shipment.arrays for network in found)
    assert first.keys() == second.keys()
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key])
    check_exports(found[0], tmp_path / "exported")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("network.encoder=resnet50", "expected mobilenet_v2, as space plain has no encoder"),
        ("network.alpha=0.35", "expected 1.0, as space plain has no encoder"),
        ("network.weights=drawn", "expected imagenet, as space plain has no encoder"),
    ],
)
def test_an_encoder_is_refused(override: str, line: str, plain: Genotype) -> None:
    with pytest.raises(ConfigError) as caught:
        load("shapes_auxcell", ["space=plain", override])
    assert str(caught.value) == f"override {override}: {line}"
    with pytest.raises(ConfigError, match=r"^alpha is 0\.35, and space plain has no encoder$"):
        networks.settings.published("plain", alpha=0.35)
    with pytest.raises(ConfigError, match=r"^encoder is xception, and space plain has no enc"):
        SearchHyperModel(spaces.get("plain"), backbone="xception")
    with pytest.raises(ConfigError, match=r"^weights is drawn, expected None, as the network has"):
        networks.build(plain, 3, weights="drawn")
