import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tf import networks, spaces
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.networks import Settings, heads
from nas_tf.networks.draft import Draft


def blueprint_for(text: str, **changes: object) -> networks.Blueprint:
    genotype = spaces.resolve(text)
    settings = networks.settings.published(genotype.space, **changes)
    return networks.blueprint_of(genotype, 5, input_size=(64, 96), settings=settings)


def test_deployed_drops_the_adapter_of_an_unread_tap_and_the_auxiliaries() -> None:
    complete, deployed = blueprint_for("arch0"), blueprint_for("arch0").deployed()
    assert "tap1.adapter.conv" in complete.by_name
    assert "tap1.adapter.conv" not in deployed.by_name
    assert {layer.part for layer in deployed.layers} == {"encoder", "decoder"}
    assert networks.cost(complete).params - networks.cost(deployed).params == 32 * 64 + 2 * 64


def test_deployed_drops_unused_encoder_layers() -> None:
    shallow = blueprint_for("[[[0,1],[1,1],[4,5]],[0,[0,0,0,0],[0,0,0,0],[0,0,0,0]]]")
    assert "block_16_project" in shallow.by_name
    names = shallow.deployed().by_name
    assert "block_5_add" in names
    assert "block_6_expand" not in names


def test_what_only_zero_reads_is_dead() -> None:
    text = "[[[0,1],[2,3],[4,5]],[1,[1,0,10,0],[0,0,0,0],[0,0,0,0]]]"
    complete = blueprint_for(text, auxiliary="none")
    assert "block1.left.op1.conv3x3.conv" in complete.by_name
    assert "block1.left.op1.conv3x3.conv" not in complete.live().by_name
    assert "block1.left.branch1.right.conv1x1.conv" in complete.live().by_name


def test_a_global_branch_stays_small_until_it_is_read_by_a_convolution() -> None:
    small = blueprint_for(
        "[[[0,1],[2,3],[4,5]],[0,[0,0,4,0],[0,0,0,0],[0,0,0,0]]]", auxiliary="none"
    )
    assert not [layer for layer in small.layers if layer.name.endswith("spread")]
    read = blueprint_for(
        "[[[0,1],[2,3],[4,5]],[0,[0,0,4,0],[2,0,1,0],[0,0,0,0]]]", auxiliary="none"
    )
    assert read.by_name["block1.left.position2.spread"].size == (16, 24)
    ends = blueprint_for(
        "[[[0,1],[2,3],[4,5]],[4,[0,0,4,4],[0,0,4,4],[0,0,4,4]]]", auxiliary="none"
    )
    assert ends.by_name["block1.left.spread"].size == (16, 24)


@given(st.integers(0, 2**32), st.sampled_from(list(spaces.SPACES)))
def test_every_layer_reads_earlier_ones_and_sizes_agree(seed: int, space: str) -> None:
    genotype = spaces.get(space).sample(random.Random(seed))
    blueprint = networks.blueprint_of(genotype, 3, input_size=(97, 130))
    seen: set[str] = set()
    for layer in blueprint.layers:
        assert seen.issuperset(layer.inputs)
        seen.add(layer.name)
        sources = [blueprint.by_name[name] for name in layer.inputs]
        if layer.kind in ("add", "concat"):
            sizes = {source.size for source in sources if not source.is_global}
            assert len(sizes) <= 1
        if layer.kind == "add":
            assert len({source.channels for source in sources}) == 1
    height, width = blueprint.output().size
    stride = blueprint.output().stride
    assert (height, width) == (-(-97 // stride), -(-130 // stride))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width is 0, expected an integer of 1–4096"),
        ({"width": 48.0}, "width is 48.0, expected an integer of 1–4096"),
        ({"sep_repeats": 9}, "sep_repeats is 9, expected an integer of 1–8"),
        (
            {"auxiliary": "both"},
            "auxiliary is 'both', expected one of ('cell', 'classifier', 'none')",
        ),
        ({"output_stride": 32}, "output_stride is 32, expected one of (8, 16)"),
    ],
)
def test_bad_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(**changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        (
            "arch0",
            (31, 64),
            "input 31x64 is smaller than the encoder's stride, expected at least 32x32",
        ),
        (
            "wacv-arch0",
            (64, 7),
            "input 64x7 is smaller than the encoder's stride, expected at least 8x8",
        ),
        (
            "dpc-top1",
            (15, 15),
            "input 15x15 is smaller than the encoder's stride, expected at least 16x16",
        ),
        ("arch0", (0, 64), "input_size is (0, 64), expected (height, width) of 1–16384 each"),
        ("arch0", 64, "input_size is 64, expected (height, width) of 1–16384 each"),
    ],
)
def test_bad_sizes_are_named(name: str, size: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        networks.blueprint_of(spaces.resolve(name), 5, input_size=size)
    assert str(caught.value) == message


def test_a_genotype_may_be_named_or_written_as_brackets() -> None:
    genotype = spaces.resolve("arch0")
    expected = networks.blueprint_of(genotype, 11).layers
    for found in ("arch0", str(genotype), genotype.parts):
        assert networks.blueprint_of(found, 11).layers == expected
    with pytest.raises(GenotypeError, match="did you mean arch2"):
        networks.blueprint_of("arch9", 11)
    with pytest.raises(ConfigError, match="head is 'eleven', expected a number of classes or a H"):
        networks.blueprint_of("arch0", "eleven")


def test_other_mistakes_are_named() -> None:
    arch0 = spaces.resolve("arch0")
    with pytest.raises(
        ConfigError, match=r"^segmentation head has 0 outputs, expected 1 or more$"
    ):
        networks.blueprint_of(arch0, 0)
    with pytest.raises(ConfigError, match=r"^alpha is 0\.9, expected one of"):
        networks.blueprint_of(arch0, 5, settings=Settings(alpha=0.9))
    pooled = spaces.resolve("[[0,80],[0,0],[0,0],[0,0],[0,0]]", "dpc")
    with pytest.raises(ConfigError, match=r"^branch1\.pool_8x8 needs a fixed input_size"):
        networks.blueprint_of(pooled, 5)


def test_a_stride_that_does_not_divide_the_rate_is_refused() -> None:
    draft = Draft((32, 32))
    with pytest.raises(ConfigError, match=r"^odd: stride 2 does not divide rate \(3, 3\)$"):
        draft.depthwise(draft.image(), "odd", kernel=3, stride=2, rate=(3, 3))


def test_heads_of_other_tasks() -> None:
    arch0 = spaces.resolve("arch0")
    assert networks.blueprint_of(arch0, heads.depth()).output().channels == 1
    assert networks.blueprint_of(arch0, heads.pose(16)).output().channels == 16


def test_the_former_names_of_functions_are_reported() -> None:
    with pytest.warns(FutureWarning, match="draw is now called blueprint_of"):
        assert networks.draw is networks.blueprint_of
    with pytest.warns(FutureWarning, match="draw_encoder is now called encoder_blueprint"):
        assert networks.draw_encoder is networks.encoder_blueprint
