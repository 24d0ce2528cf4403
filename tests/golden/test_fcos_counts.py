"""NAS-FCOS pyramids and heads cost what the released code does, to the integer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_tf import networks
from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.encoders import get
from nas_tf.networks.heads import Head
from nas_tf.networks.kinds import KINDS, STATISTICS
from nas_tf.networks.state import initial_arrays
from nas_tf.spaces import FcosSpace
from nas_tf.spaces.fcos import FcosDesign

GOLDEN = json.loads((Path(__file__).parent / "detection" / "nasfcos.json").read_text())
FPN, BOTH = FcosSpace(search="fpn"), FcosSpace()
PUBLISHED = GOLDEN["fpn"][0]["blocks"]
LEVELS = ("p3", "p4", "p5", "p6", "p7")


def blueprint(
    genotype: Any, size: str, width: str, classes: int = 80, encoder: str = "mobilenet_v2"
) -> Blueprint:
    height, across = map(int, size.split("x"))
    settings = networks.settings.published("fcos", width=int(width), encoder=get(encoder))
    head = Head("detection", classes)
    return networks.blueprint_of(genotype, head, input_size=(height, across), settings=settings)


def counted(found: Blueprint, belongs: Callable[[Layer], bool]) -> tuple[int, int]:
    """The trainable parameters and the multiply-adds of some layers."""
    params = madds = 0
    for layer in found.layers:
        source = found.source(layer)
        if source is None or not belongs(layer):
            continue
        madds += KINDS[layer.kind].madds(layer, source)
        if layer.name in found.array_holders:
            slots = KINDS[layer.kind].slots(layer, source)
            params += sum(slot.size for slot in slots if slot.role not in STATISTICS)
    return params, madds


def is_pyramid(layer: Layer) -> bool:
    return layer.part == "decoder" and not layer.name.startswith("head.")


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "resnet50"])
@pytest.mark.parametrize("record", GOLDEN["fpn"] + GOLDEN["fpn_edge"], ids=lambda item: item["id"])
def test_pyramids(record: dict[str, Any], encoder: str) -> None:
    genotype = FPN.parse(record["blocks"])
    design = FcosDesign.of(genotype)
    assert FPN.encode(genotype) == record["tokens"]
    assert (design.loose, design.added) == (record["unconsumed"], record["added"])
    assert design.outputs == [record["P5"], record["P4"], record["P3"]]
    total = "total_mnv2" if encoder == "mobilenet_v2" else "total_r50"
    for size, macs in record["macs"].items():
        for width, expected in macs.items():
            found = blueprint(genotype, size, width, encoder=encoder)
            assert counted(found, is_pyramid) == (record["params"][width][total], expected[total])
            sizes = [list(found.output(f"{level}.classes").size) for level in LEVELS]
            assert sizes == record["output_sizes"][size]


@pytest.mark.parametrize(
    "record", [*GOLDEN["head"], GOLDEN["head_voc20"]], ids=lambda item: item["id"]
)
def test_heads_by_sharing(record: dict[str, Any]) -> None:
    classes = 20 if "voc" in record["id"] else 80
    for size, macs in record["macs"].items():
        for width, expected in macs.items():
            for row in record["params"][width]["by_share"]:
                genotype = BOTH.parse([PUBLISHED, [row["share"]], record["ops"]])
                found = blueprint(genotype, size, width, classes)
                params, madds = counted(found, lambda layer: layer.name.startswith("head."))
                assert (params, madds) == (row["total"], expected)


def test_the_plain_head_is_that_of_fcos() -> None:
    found = blueprint(FPN.parse(PUBLISHED), "320x416", "256")
    assert counted(found, lambda layer: layer.name.startswith("head."))[0] == 4_920_666


def test_codes_without_three_outputs_are_refused() -> None:
    for record in GOLDEN["validity"]["uniform_codes"]:
        genotype = FPN.decode(record["tokens"])
        assert FcosDesign.of(genotype).loose == record["unconsumed"]
        assert (FPN.refusal(genotype) is None) == record["valid"]


def test_towers_may_have_a_width_of_their_own() -> None:
    settings = networks.settings.published("fcos", width=64, head_width=96)
    found = networks.blueprint_of("nas-fcos", 3, input_size=(64, 96), settings=settings)
    assert found.by_name["head.p3.classes.layer1.conv"].channels == 96
    assert found.by_name["p6.conv"].channels == 64


def test_classes_begin_with_a_probability_of_a_hundredth() -> None:
    settings = networks.settings.search("fcos", width=32)
    found = networks.blueprint_of("nas-fcos-fpn", 3, input_size=(64, 96), settings=settings)
    arrays = initial_arrays(found, seed=1)
    bias = arrays["head.p3.classes.predictor", "bias"]
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), 0.01, rtol=1e-5)
    assert not arrays["head.p3.boxes.predictor", "bias"].any()


def test_levels_of_other_sizes_than_targets_are_refused() -> None:
    """Xception's first convolutions are not padded: at 97 pixels its maps are smaller."""
    settings = networks.settings.search("fcos", width=32, encoder=get("xception"))
    networks.blueprint_of("nas-fcos-fpn", 3, input_size=(96, 128), settings=settings)
    with pytest.raises(ConfigError, match=r"^input 97x97 gives a detector on xception levels"):
        networks.blueprint_of("nas-fcos-fpn", 3, input_size=(97, 97), settings=settings)
