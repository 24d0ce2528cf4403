"""Restoration networks and super-nets cost what the code of HiNAS does, to the integer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_tf import networks
from nas_tf.errors import ConfigError
from nas_tf.networks import heads, restoration
from nas_tf.networks.supernet import ARCHITECTURE, supernet, supernet_of
from nas_tf.spaces import RestorationSpace
from nas_tf.spaces.restoration import VARIANTS, RestorationDesign

GOLDEN = json.loads((Path(__file__).parent / "restoration" / "hinas.json").read_text())
SUPERNETS = GOLDEN["supernets"] + GOLDEN["supernets_v1"]
DERIVED = [
    (kind, record) for kind in ("derived", "derived_aspp", "derived_v1") for record in GOLDEN[kind]
]
GREY = heads.restoration(1)


@pytest.mark.parametrize(("kind", "record"), DERIVED, ids=lambda item: str(item)[:30])
def test_derived_networks(kind: str, record: dict[str, Any]) -> None:
    space = RestorationSpace(preset="slides" if kind == "derived_v1" else "public")
    ops = space.variant.ops
    cells = [[[ops.index(op), source] for op, source in cell] for cell in record["cells"]]
    genotype = space.parse([cells, record["path"]])
    assert RestorationDesign.of(genotype).skip_layer == record["skip_from_cell"]
    for width in (20, 10):
        settings = networks.settings.published("restoration", width=width, aspp=kind != "derived")
        blueprint = networks.blueprint_of(genotype, GREY, input_size=(7, 5), settings=settings)
        expected = record[str(width)]
        assert restoration.counts(blueprint) == {
            "params": expected["total"],
            "params_used": expected["total_used"],
            "params_cells": expected["cells"],
            "madds": 35 * expected["macs_per_pixel"],
        }


@pytest.mark.parametrize("record", SUPERNETS, ids=lambda item: item["id"])
def test_super_nets(record: dict[str, Any]) -> None:
    variant = replace(
        VARIANTS["slides" if record["id"].startswith("v1") else "public"],
        factors=tuple(record["factors"]),
        tied=record["tied"],
        slope=0.2 if record["activation"] == "Leaky" else 0,
        residual=record["residual"],
    )
    blueprint = supernet_of(
        variant,
        heads.restoration(record["in_channels"]),
        record["layers"],
        record["nodes"],
        record["W"],
        affine=record["affine"],
        input_size=(8, 8),
    )
    parts = networks.cost_by_part(blueprint, lambda layer: layer.part)
    assert parts["decoder"][0] == record["weights"]
    assert parts[ARCHITECTURE][0] == record["alpha"] + record["beta"]
    cells = networks.cost_by_part(blueprint, lambda layer: ".".join(layer.name.split(".")[:2]))
    for (layer, level), params in zip(
        record["parts"]["cell_layer_level"], record["parts"]["cells"], strict=True
    ):
        assert cells[f"cell{layer}.level{level}"][0] == params


def test_a_space_has_a_super_net() -> None:
    for space, record in ((RestorationSpace(), 0), (RestorationSpace(preset="slides"), 12)):
        found = networks.cost(supernet(space, GREY, input_size=(8, 8)))
        assert found.params == SUPERNETS[record]["total"]


def test_images_have_one_channel_or_three() -> None:
    with pytest.raises(ConfigError, match=r"^segmentation head has 5 outputs, expected the 1 or"):
        networks.blueprint_of("hinas-skip", 5)
    settings = networks.settings.published("restoration", width=7)
    genotype = RestorationSpace(preset="slides", layers=1, nodes=1).parse(
        [[[[3, 0], [4, 1]]], [0]]
    )
    with pytest.raises(ConfigError, match=r"def3x3 has 7 channels, expected an even number$"):
        networks.blueprint_of(genotype, GREY, settings=settings)
