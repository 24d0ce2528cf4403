"""Counts of the reference implementation, to the integer.

The reference's encoder has one convolution with batch norm (1,088 parameters) that is missing in
the standard MobileNetV2; decoders and auxiliaries are the same.
"""

import json
from pathlib import Path

import pytest

from nas_tf import networks, spaces
from nas_tf.networks import Settings
from nas_tf.spaces.auxcell import AuxCellDesign

HERE = Path(__file__).parent
EXTRA_PARAMS = 1_088


def entries(space: str) -> list[dict]:
    return json.loads((HERE / f"{space}.json").read_text())["entries"]


def sized(layer: networks.Layer) -> list[int]:
    return [layer.channels, *layer.size]


@pytest.mark.parametrize("entry", entries("auxcell"), ids=lambda entry: entry["id"])
def test_auxcell(entry: dict) -> None:
    space = spaces.get("auxcell")
    genotype = space.parse(entry["paper_order"])
    assert space.parse(entry["code_order"]) == genotype
    design = AuxCellDesign.of(genotype)
    assert design.loose_positions == entry["cell_summed_outputs"]
    assert design.loose_blocks == entry["concatenated_pool_indices"]
    assert len(entry["settings"]) == 4
    for golden in entry["settings"].values():
        madds = golden["madds_512x512"]
        for auxiliary, key in (("cell", "aux_cells_and_heads"), ("classifier", "plain_aux_heads")):
            settings = Settings(
                width=golden["width"], sep_repeats=golden["sep_repeats"], auxiliary=auxiliary
            )
            blueprint = networks.blueprint_of(
                genotype, 21, input_size=(512, 512), settings=settings
            )
            cost = networks.cost(blueprint)
            assert cost.params_decoder == golden["params_decoder_no_aux"]
            assert cost.params + EXTRA_PARAMS == golden["params_total_no_aux"]
            assert cost.params_aux == golden[f"params_{key}"]
            assert cost.madds_decoder == madds["decoder"]
            assert cost.madds_aux == madds[key]
            assert cost.madds_encoder == madds["encoder"] - 67_108_864 == 1_459_847_168
            assert sized(blueprint.output()) == golden["output_chw"]
            for n in (1, 2, 3):
                assert sized(blueprint.output(f"aux{n}")) == golden["aux_outputs_chw"][n - 1]
                block = blueprint.by_name[f"block{n}.sum"]
                assert sized(block) == golden["block_outputs_chw"][n - 1]


@pytest.mark.parametrize("entry", entries("template"), ids=lambda entry: entry["id"])
def test_template(entry: dict) -> None:
    genotype = spaces.get("template").parse(entry["code_order"])
    assert len(entry["settings"]) == 3
    for golden in entry["settings"].values():
        settings = Settings(
            width=golden["pre_classifier_width"],
            sep_repeats=golden["sep_repeats"],
            auxiliary="none",
        )
        for size, figures in golden["inputs"].items():
            height, width = map(int, size.split("x"))
            classes = golden["num_classes"]
            blueprint = networks.blueprint_of(
                genotype, classes, input_size=(height, width), settings=settings
            )
            cost = networks.cost(blueprint)
            assert cost.params_decoder == golden["params_decoder"]
            assert cost.params + EXTRA_PARAMS == golden["params_total"]
            assert cost.madds_decoder == figures["madds"]["decoder"]
            extra = height * width // 4 * 32 * 32
            assert cost.madds_encoder == figures["madds"]["stem"] - extra
            assert sized(blueprint.output()) == figures["output_chw"]


@pytest.mark.parametrize(
    ("name", "millions"), [("arch0", "2.6"), ("arch1", "2.8"), ("arch2", "2.9")]
)
def test_complete_networks_agree_with_the_paper(name: str, millions: str) -> None:
    cost = networks.cost(networks.blueprint_of(spaces.resolve(name), 21, input_size=(512, 512)))
    assert f"{cost.params / 1e6:.1f}" == millions


@pytest.mark.parametrize(("name", "params"), [("wacv-arch0", 279_059), ("wacv-arch1", 267_147)])
def test_templates_on_the_standard_backbone(name: str, params: int) -> None:
    blueprint = networks.blueprint_of(spaces.resolve(name), 19, input_size=(1024, 2048))
    assert networks.cost(blueprint).params == params
