"""Trainings that start from the weights of a network with other heads."""

from pathlib import Path

import numpy as np
import pytest

from nas_tf import networks, spaces
from nas_tf.config import load
from nas_tf.config.load import dump
from nas_tf.errors import WeightsError
from nas_tf.jobs import finetuning
from nas_tf.networks import heads
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import initial_arrays
from nas_tf.training import from_config
from nas_tf.training.full_run import start_from

PORTABLE = "[[2,3,0,1,1],[3,3,0,1,1],[4,3,0,3,0],[1,3,0,3,1],[5,3,0,2,1],[4,7,2,1,0],[7,2,1,0,1]]"


def detector(genotype: str, classes: int, width: int = 32) -> Blueprint:
    settings = networks.settings.search("fcos", width=width, alpha=0.35)
    head = heads.detection(classes)
    return networks.blueprint_of(
        spaces.resolve(genotype), head, input_size=(64, 64), settings=settings
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of two classes by hand, whose layers have names that other spaces do not use."""
    path = tmp_path_factory.mktemp("trained") / "last.keras"
    model = realise(detector("fpn-fcos", 2), name="detector")
    for layer in model.layers:
        layer.set_weights([np.full_like(value, 0.5) for value in layer.get_weights()])
    model.save(path)
    return path


def test_a_detector_starts_with_all_but_its_classes(trained: Path, tmp_path: Path) -> None:
    """From drawn scenes to blood cells; the network is that of the run."""
    own = ("space={name: fcos, search: fpn}", "network.alpha=0.35")
    (tmp_path / "config.yaml").write_text(dump(load("shapes_fcos", own)))
    (tmp_path / "genotype.json").write_text(spaces.resolve("fpn-fcos").to_json())
    (tmp_path / "last.keras").write_bytes(trained.read_bytes())
    config, genotype, start = finetuning.prepare(
        tmp_path, "detection", "shapes_fcos", ("data.name=bccd",)
    )
    network = config.network
    assert (network.width, network.alpha, network.weights) == (32, 0.35, None)
    blueprint = from_config.blueprint_builder(config, genotype, "published")((64, 64))
    arrays = initial_arrays(blueprint, seed=1)
    started = start(blueprint, arrays)
    kept = {key for key, value in started.items() if value is arrays[key]}
    assert kept == {("head.p3.classes.predictor", role) for role in ("kernel", "bias")}
    assert all((value == 0.5).all() for key, value in started.items() if key not in kept)


@pytest.mark.parametrize(("genotype", "width"), [(PORTABLE, 32), ("fpn-fcos", 64)])
def test_another_network_is_refused(genotype: str, width: int, trained: Path) -> None:
    """The heads of another pyramid fit, and are most of the decoder; so does the encoder."""
    blueprint = detector(genotype, 2, width)
    with pytest.raises(WeightsError, match=r"last\.keras is of another network: \d+ of \d+ arr"):
        start_from(trained)(blueprint, initial_arrays(blueprint, seed=1))
