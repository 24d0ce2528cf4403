"""Counts and shapes of dense prediction cells, from the paper and the released code."""

import math

import pytest

from benchmarks.dpc_counts import blueprint_on, rows, section_of
from nas_tf import networks, spaces
from nas_tf.errors import ConfigError
from nas_tf.networks import dpc, encoders
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.cost import layer_madds, layer_params
from nas_tf.networks.draft import Draft
from nas_tf.spaces.dpc_fields import receptive_fields

SETTINGS = networks.settings.published("dpc")


def cell(name: str, channels: int, size: tuple[int, int]) -> Blueprint:
    """A cell alone on a feature map of the given channels, with its projection."""
    draft = Draft((16 * (size[0] - 1) + 1, 16 * (size[1] - 1) + 1))
    image = draft.image()
    features = draft.conv(image, "features", channels, stride=16)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9997)
    dpc.add_projected(draft, features, spaces.resolve(name), SETTINGS)
    return draft.finish()


def counted(blueprint: Blueprint, *, projection: bool) -> tuple[int, int, int]:
    """Keras total, trainable, kernels."""
    total = trainable = kernels = 0
    for layer in of_cell(blueprint, projection):
        params = layer_params(layer, blueprint.by_name[layer.inputs[0]])
        trainable += params
        total += params * (2 if layer.kind == "batch_norm" else 1)
        kernels += params if layer.kind in ("conv", "depthwise") else 0
    return total, trainable, kernels


def of_cell(blueprint: Blueprint, projection: bool) -> list[Layer]:
    return [
        layer
        for layer in blueprint.layers
        if layer.part == "decoder" and (projection or not layer.name.startswith("projection"))
    ]


@pytest.mark.parametrize(
    ("name", "channels", "with_projection", "without_projection"),
    [
        ("dpc-top1", 320, (695_360, 689_600, 683_840), (366_656, 361_408, 356_160)),
        ("aspp", 320, (755_904, 750_912, 745_920), (427_200, 422_720, 418_240)),
        ("dpc-top1", 2048, (1_160_192, 1_150_976, 1_141_760), (831_488, 822_784, 814_080)),
        ("aspp", 2048, (3_035_136, 3_019_776, 3_004_416), (2_706_432, 2_691_584, 2_676_736)),
    ],
)
def test_parameters(
    name: str,
    channels: int,
    with_projection: tuple[int, int, int],
    without_projection: tuple[int, int, int],
) -> None:
    blueprint = cell(name, channels, (65, 129))
    assert counted(blueprint, projection=True) == with_projection
    assert counted(blueprint, projection=False) == without_projection


@pytest.mark.parametrize(
    ("name", "channels", "billions", "printed"),
    [
        ("dpc-top1", 320, 2.986, 3.00),
        ("aspp", 320, 2.820, 2.82),
        ("dpc-top1", 2048, 6.826, 6.84),
        ("aspp", 2048, 18.049, 18.12),
    ],
)
def test_multiply_adds_of_table_1(
    name: str, channels: int, billions: float, printed: float
) -> None:
    blueprint = cell(name, channels, (65, 129))
    madds = sum(
        layer_madds(layer, blueprint.by_name[layer.inputs[0]])
        for layer in of_cell(blueprint, projection=False)
    )
    assert round(madds / 1e9, 3) == billions
    assert math.isclose(madds / 1e9, printed, rel_tol=0.006)


@pytest.mark.parametrize(
    ("crop", "kernels", "sliding", "steps"),
    [
        (513, (33, 17, 9, 5), (1, 17, 25, 29), (1, 2, 4, 8)),
        (769, (49, 25, 13, 7), (1, 25, 37, 43), (1, 2, 4, 8)),
        (1025, (65, 33, 17, 9), (1, 33, 49, 57), (1, 2, 4, 8)),
        (512, (32, 16, 8, 4), (1, 17, 25, 29), (1, 2, 4, None)),
        (321, (21, 11, 6, 3), (1, 11, 16, 19), (1, 2, 4, None)),
    ],
)
def test_pooling_windows(
    crop: int, kernels: tuple, sliding: tuple, steps: tuple[int | None, ...]
) -> None:
    for grid, kernel, slid, stepped in zip((1, 2, 4, 8), kernels, sliding, steps, strict=True):
        name = f"branch1.pool_{grid}x{grid}.mean"
        genotype = spaces.DPCSpace(branches=1).parse([[0, f"pool_{grid}x{grid}"]])
        blueprint = networks.blueprint_of(genotype, 19, input_size=(crop, crop), settings=SETTINGS)
        pool = blueprint.by_name[name]
        assert pool.size == (slid, slid)
        assert grid == 1 or pool.options["kernel"] == (kernel, kernel)
        paper = networks.settings.published("dpc", pool_mode="grid")
        if stepped is not None:
            blueprint = networks.blueprint_of(
                genotype, 19, input_size=(crop, crop), settings=paper
            )
            assert blueprint.by_name[name].size == (stepped, stepped)
            continue
        with pytest.raises(ConfigError, match=r"^input \d+x\d+ does not divide into the 8x8"):
            networks.blueprint_of(genotype, 19, input_size=(crop, crop), settings=paper)


def test_halving_the_output_stride_doubles_the_rates() -> None:
    genotype = spaces.resolve("dpc-top1")
    rates = {}
    for stride in (16, 8):
        settings = networks.settings.published("dpc", output_stride=stride)
        blueprint = networks.blueprint_of(genotype, 19, input_size=(513, 513), settings=settings)
        rates[stride] = blueprint.by_name["branch2.sep3x3_18x15.depthwise"].options["rate"]
        assert blueprint.output().stride == stride
    assert rates == {16: (18, 15), 8: (36, 30)}


@pytest.mark.parametrize(
    ("encoder", "low_level", "features", "cell_params", "cell_madds"),
    [
        (encoders.get("mobilenet_v2"), 144, 320, 356_160, 2.986),
        (encoders.get("xception"), 256, 2048, 814_080, 6.826),
        (encoders.get("resnet50"), 256, 2048, 814_080, 6.826),
    ],
    ids=str,
)
def test_the_decoder_of_deeplabv3plus_is_counted_apart_from_the_cell_of_table_1(
    encoder: encoders.Encoder, low_level: int, features: int, cell_params: int, cell_madds: float
) -> None:
    """The input is that of Table 1; Xception's maps are a pixel smaller and not compared."""
    blueprint = blueprint_on(encoder.name)
    counts = networks.cost_by_part(blueprint, section_of)
    height, width = (257, 513) if encoder.name != "xception" else (255, 511)
    first = 9 * (256 + 48) + (256 + 48) * 256
    kernels = low_level * 48 + first + 9 * 256 + 256 * 256
    scales = 2 * (48 + (256 + 48) + 256 + 256 + 256)
    assert counts["deeplabv3plus"] == (kernels + scales, kernels * height * width)
    norms = 2 * (features + 256 + 4 * (256 + 256))
    assert counts["cell"][0] == cell_params + norms
    if encoder.name != "xception":
        assert round(counts["cell"][1] / 1e9, 3) == cell_madds
        assert counts["projection"] == (1280 * 256 + 512, 1280 * 256 * 65 * 129)
    assert counts["classifier"] == (19 * 257, 19 * 256 * height * width)
    total = networks.cost(blueprint)
    assert sum(params for params, _ in counts.values()) == total.params
    assert sum(madds for _, madds in counts.values()) == total.madds
    plain = networks.settings.published("dpc", encoder=encoder)
    before = networks.blueprint_of("dpc-top1", 19, input_size=(1025, 2049), settings=plain)
    assert networks.cost(before).params == total.params - counts["deeplabv3plus"][0]
    sections = ("encoder", "cell", "projection", "deeplabv3plus", "classifier")
    assert [row[1:] for row in rows(encoder.name)] == [counts[name] for name in sections]


@pytest.mark.parametrize("stride", [16, 8])
@pytest.mark.parametrize("operator", ["conv1x1", "sep3x3_1x6", "sep3x3_21x3", "pool_2x8"])
def test_receptive_fields_are_those_of_the_built_layers(operator: str, stride: int) -> None:
    """Chains of two branches behind a map whose values read a pixel each."""
    for branches in ([[0, operator]], [[0, operator], [1, "sep3x3_3x9"]]):
        genotype = spaces.DPCSpace(branches=len(branches)).parse(branches)
        size = 769, 1025
        draft = Draft(size)
        features = draft.conv(draft.image(), "features", 4, stride=stride)
        settings = networks.settings.published("dpc", output_stride=stride)
        draft.output(dpc.add_projected(draft, features, genotype, settings), "logits")
        pixels = networks.cost(draft.finish()).receptive_field
        assert pixels is not None
        found = receptive_fields(genotype, size, stride)[-1]
        assert found == tuple((side - 1) // stride + 1 for side in pixels)
