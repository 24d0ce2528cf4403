"""The decoders that are designed by hand."""

import random
import re
from pathlib import Path

import pytest

from nas_tf import networks, spaces
from nas_tf.networks import heads
from nas_tf.networks.blueprint import Blueprint
from nas_tf.spaces.baseline import NETWORKS, BaselineSpace, network_of
from tests.contracts.space_contract import SpaceContract, refusing

TAPS = {"block_2_add": 4, "block_5_add": 8, "block_12_add": 16, "block_16_project_BN": 32}


class TestBaselineSpace(SpaceContract):
    space = BaselineSpace()

    def test_same_seed_same_sample(self) -> None:
        assert self.sampled(11) == self.sampled(11)
        assert {network_of(self.sampled(seed)) for seed in range(20)} == {*NETWORKS}

    def test_a_description_has_a_line_for_each_part(self) -> None:
        first, second = (spaces.describe(spaces.resolve(name)) for name in NETWORKS)
        assert first.splitlines()[0] == "each tap: conv1x1"
        assert "two conv3x3" in second

    def test_a_refused_genotype_is_never_given(self) -> None:
        """A mutant is left only if one of the two is refused, and not the other."""
        space = refusing(self.space)
        samples = {space.sample(random.Random(seed)) for seed in range(20)}
        assert all(space.refusal(genotype) is None for genotype in samples)


def layers_of(name: str, width: int = 256, classes: int = 21) -> Blueprint:
    settings = networks.settings.published("baseline", width=width)
    return networks.blueprint_of(name, classes, input_size=(512, 512), settings=settings)


def test_the_counts_follow_from_the_layers() -> None:
    encoder = networks.cost(networks.encoder_blueprint(input_size=(512, 512))).params
    refinenet = (
        (24 + 32 + 96 + 320) * 256  # a 1x1 convolution of each tap
        + 4 * 4 * 256 * 256  # four poolings at each of four sizes
        + 3 * 256 * 256  # between the sizes
        + 9 * 256 * 21
        + 21
    )
    assert networks.cost(layers_of("lw-refinenet")).params == encoder + refinenet
    unet = 9 * 64 * 21 + 21
    for joined, width in ((320 + 96, 256), (256 + 32, 128), (128 + 24, 64)):
        unet += 9 * joined * width + 9 * width * width + 2 * 2 * width
    assert networks.cost(layers_of("unet-mnv2")).params == encoder + unet


def test_deeplab_without_its_pyramid_has_the_published_parameters() -> None:
    """2.11 M parameters and 2.75 B multiply-adds, according to Sandler et al., CVPR 2018."""
    counted = networks.cost(networks.blueprint_of("deeplabv3", 21, input_size=(513, 513)))
    assert f"{counted.params / 1e6:.2f}" == "2.11"
    assert abs(counted.madds / 1e9 - 2.75) < 0.02


@pytest.mark.parametrize(
    ("name", "size"),
    [("deeplabv3", 513), ("aspp", 513), ("lw-refinenet", 512), ("unet-mnv2", 512)],
)
def test_the_documentation_has_their_counts(name: str, size: int) -> None:
    counted = networks.cost(networks.blueprint_of(name, 21, input_size=(size, size)).deployed())
    page = (Path(__file__).parents[2] / "docs/how-to/training.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{name}`.*$", page, re.MULTILINE)
    assert f"| {counted.params / 1e6:.2f} M | {counted.madds / 1e9:.2f} B |" in row


def test_a_chain_of_poolings_reads_the_pooling_before_and_adds_to_the_sum() -> None:
    by_name = layers_of("lw-refinenet", width=8).by_name
    assert by_name["refine8.pool1.max"].inputs == ("refine8.relu",)
    assert by_name["refine8.pool3.max"].inputs == ("refine8.pool2.conv",)
    assert by_name["refine8.pool3.sum"].inputs == ("refine8.pool2.sum", "refine8.pool3.conv")
    assert by_name["refine4.adapt"].inputs == ("refine8.pool4.sum",)
    assert by_name["refine4.sum"].inputs == ("refine4.resize", "refine4.reduce")
    assert by_name["refine4.pool1.max"].options["kernel"] == (5, 5)
    assert by_name["output.classifier"].inputs == ("refine4.pool4.sum",)
    for name, stride in TAPS.items():
        assert by_name[f"refine{stride}.reduce"].inputs == (name,)


def test_sums_without_batch_norms_begin_small() -> None:
    layers = layers_of("lw-refinenet").layers
    inner = [layer for layer in layers if layer.name.startswith("refine") and layer.kind == "conv"]
    assert len(inner) == 4 + 3 + 4 * 4
    assert {layer.options["init"] for layer in inner} == {"truncated_normal:0.01"}
    assert not [layer for layer in layers if layer.part == "decoder" and "norm" in layer.kind]


def test_a_step_of_the_unet_reads_both_sides() -> None:
    by_name = layers_of("unet-mnv2", width=8).by_name
    assert by_name["up16.concat"].inputs == ("up16.resize", "block_12_add")
    assert by_name["up8.resize"].inputs[0] == "up16.conv2.relu"
    assert [by_name[f"up{stride}.conv1.conv"].channels for stride in (16, 8, 4)] == [8, 4, 2]
    assert by_name["output.classifier"].inputs == ("up4.conv2.relu",)


def test_they_have_the_head_of_every_dense_task() -> None:
    for head, channels in ((heads.depth(), 1), (heads.pose(7), 7)):
        for name in NETWORKS:
            blueprint = networks.blueprint_of(name, head, input_size=(64, 96))
            assert blueprint.output().channels == channels
            assert blueprint.output().size == (16, 24)
