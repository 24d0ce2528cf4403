"""Candidates and full trainings on the encoder that a configuration names."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks, spaces
from nas_tf.config import load
from nas_tf.config.load import dump, load_saved
from nas_tf.errors import ConfigError
from nas_tf.jobs import finetuning
from nas_tf.networks import encoders
from nas_tf.networks.state import initial_arrays
from nas_tf.search import SearchHyperModel
from nas_tf.training import from_config
from serving import graph
from tests.training.evaluated import evaluate, evaluator, experiment

SPACE = {"name": "template", "templates": 1, "blocks": 1}
GENOTYPE = spaces.get(SPACE).decode([0] * len(spaces.get(SPACE).tokens))


def on(encoder: str, **changes: Any) -> Any:
    network = {"encoder": encoder, "alpha": 1.0, "weights": None}
    return msgspec.structs.replace(experiment(network=network, **changes), space=SPACE)


@pytest.mark.slow
def test_a_cell_is_trained_at_the_configured_output_stride() -> None:
    """At 8, the features that are cached have twice the side; the network has the same costs."""
    stages = {"epochs": 1, "batch": 256}
    space, sides, params = {"name": "dpc", "branches": 1}, [], []
    for stride in (None, 8):
        network = {"alpha": 0.35, "weights": None, "width": 8, "output_stride": stride}
        config = msgspec.structs.replace(
            experiment(network=network, stage_one={**stages, "crop": [64, 64]}, stage_two=None),
            space=space,
        )
        made = evaluator(config)
        genotype = spaces.get(space).decode([0] * len(spaces.get(space).tokens))
        result = evaluate(genotype, config)
        assert result.stopped is None
        sides.append(made.shared.train.signature["tap0"].shape[1])
        params.append(result.params)
    assert sides == [4, 8]
    assert params[0] == params[1]


def test_stored_targets_have_the_size_of_the_finest_tap() -> None:
    """Xception's first two convolutions have no padding: 32 pixels become 7 instead of 8."""
    stages = {"epochs": 1, "batch": 256}
    config = on("xception", stage_one={**stages, "crop": [32, 32]}, stage_two=stages)
    shared = evaluator(config).shared
    assert shared.train.signature["tap0"].shape[1:3] == (7, 7)
    assert shared.train.signature["target"].shape[1:3] == (7, 7)
    _, target = next(shared.stage_two_batches(1, 0))
    assert target.shape[1:3] == (7, 7)
    result = evaluate(GENOTYPE, config)
    assert [stage.steps for stage in result.stages] == [2, 2]


@pytest.mark.parametrize("name", encoders.ENCODERS)
@pytest.mark.parametrize("space", ["auxcell", "template", "dpc"])
def test_every_space_is_built_on_it(space: str, name: str) -> None:
    config = msgspec.structs.replace(on(name), space=space)
    genotype = spaces.example(spaces.get(space)).genotype
    blueprint = from_config.blueprint_builder(config, genotype, "search")((65, 97))
    encoder = encoders.get(name)
    assert networks.encoder_blueprint(**from_config.encoder_options(config)).layers
    features = [layer.name for layer in blueprint.live().layers if layer.part == "encoder"]
    read = {layer.name for layer in blueprint.decoder(encoder.tap_layers()).layers}
    assert features[0] == "image"
    assert 1 <= len(read & {f"tap{n}" for n in range(4)}) <= len(spaces.get(space).taps)
    assert networks.cost(blueprint).params_encoder > 30_000


def test_old_configurations_have_mobilenet_v2(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = dump(load("shapes_auxcell", ["network.alpha=0.5"]))
    assert len(re.findall(r"encoder: mobilenet_v2,\s+", text)) == 1
    path.write_text(re.sub(r"encoder: mobilenet_v2,\s+", "", text))
    config = load_saved(path)
    assert from_config.encoder_for(config) == encoders.MobileNetV2(alpha=0.5)


def test_finetuning_carries_it_over(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        dump(load("shapes_auxcell", ["network.encoder=xception"]))
    )
    overrides = finetuning._network(tmp_path, spaces.resolve("arch0"))
    assert {"network.encoder=xception", "network.alpha=1.0"} <= set(overrides)


def test_finetuning_carries_the_decoder_over(tmp_path: Path) -> None:
    for decoder in ("deeplabv3plus", "null"):
        text = dump(load("camvid_dpc", [f"network.decoder={decoder}"]))
        (tmp_path / "config.yaml").write_text(text)
        overrides = finetuning._network(tmp_path, spaces.resolve("dpc-top1"))
        config = load("shapes_auxcell", ["network.auxiliary=none", *overrides])
        assert config.network.decoder == (None if decoder == "null" else decoder)


def test_a_hypermodel_takes_it() -> None:
    space = spaces.get("auxcell")
    model = SearchHyperModel(space, backbone="resnet50", weights=None)
    config = model.config("shapes")
    assert (config.network.encoder, config.network.alpha) == ("resnet50", 1.0)
    assert SearchHyperModel.of(config, space).config().network.encoder == "resnet50"
    with pytest.raises(ConfigError, match=r"^encoder 'resnet' is unknown, .* mean resnet50\?$"):
        SearchHyperModel(space, backbone="resnet")
    model = SearchHyperModel(space, backbone="xception", weights="drawn")
    with pytest.raises(ConfigError, match=r"^weights is drawn, expected .*, now it is xception$"):
        model.check("shapes")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "channels"), [("mobilenet_v2", 48), ("xception", 256), ("resnet50", 256)]
)
def test_the_decoder_of_deeplabv3plus_trains_on_cached_features(
    encoder: str, channels: int
) -> None:
    """On the features in half precision, a network answers as on their images."""
    alpha = 0.35 if encoder == "mobilenet_v2" else 1.0
    network = {"width": 8, "encoder": encoder, "alpha": alpha, "decoder": "deeplabv3plus"}
    stages = {"epochs": 1, "batch": 256}
    stage_one = {**stages, "crop": [65, 65], "auxiliary_weight": 0.0}
    space = {"name": "dpc", "branches": 2}
    config = experiment(space=space, network=network, stage_one=stage_one, stage_two=stages)
    genotype = spaces.get(space).parse([[0, "sep3x3_1x6"], [0, "pool_1x1"]])
    shared = evaluator(config).shared
    assert shared.train.signature["tap1"].shape[3] == channels
    assert shared.train.signature["target"].shape[1:3] == shared.train.signature["tap1"].shape[1:3]

    blueprint = from_config.blueprint_builder(config, genotype, "search")((65, 65))
    arrays = initial_arrays(blueprint, seed=1) | dict(shared.encoder_arrays)
    logits = graph.network(blueprint, arrays)
    decoder = blueprint.decoder(shared.taps)
    assert {layer.name for layer in decoder.layers if layer.kind == "input"} == {"tap0", "tap1"}
    (taps, _), (images, _) = next(shared.validation_taps()), next(shared.validation_images())
    given = [tf.cast(taps[layer.name], tf.float32) for layer in decoder.layers if not layer.inputs]
    expected = logits(images)["logits"].numpy()
    found = graph.network(decoder, arrays)(*given)["logits"].numpy()
    np.testing.assert_allclose(found, expected, atol=5e-3 * np.abs(expected).max())

    result = evaluate(genotype, config)
    assert not result.failed, result.stopped
    assert [stage.steps for stage in result.stages] == [2, 2]
