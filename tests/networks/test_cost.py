import pytest

from nas_tf import networks, spaces
from nas_tf.networks.by_position import by_position, position_of
from nas_tf.networks.cost import cost
from nas_tf.networks.draft import Draft


def sketch(*convs: dict) -> networks.Blueprint:
    draft = Draft((64, 64))
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    x = draft.image()
    for n, options in enumerate(convs):
        x = draft.conv(x, f"conv{n}", **options)
    draft.output(x, "logits")
    return draft.finish()


def test_counts_of_one_convolution_by_hand() -> None:
    counted = cost(sketch(dict(channels=10, kernel=3, stride=2, bias=True)))
    assert counted.params_decoder == 3 * 3 * 3 * 10 + 10
    assert counted.madds_decoder == 32 * 32 * 10 * 3 * 9
    assert counted.output == (32, 32)
    assert counted.output_stride == 2


def test_receptive_field_by_hand() -> None:
    layers = dict(channels=1, kernel=3, stride=2), dict(channels=1, kernel=3, rate=2)
    assert cost(sketch(*layers)).receptive_field == (3 + 4 * 2, 3 + 4 * 2)


def test_receptive_field_of_the_stem_is_known() -> None:
    """Conv1 and six bottlenecks: 3, then +4, +4 (stride 2 -> 4), +8, +8, +16, +16 pixels."""
    blueprint = networks.encoder_blueprint(input_size=(64, 64), strides=(4, 8))
    field = cost(networks.Blueprint(blueprint.layers, {"logits": "tap1"}, (64, 64), False))
    assert field.receptive_field == (3 + 4 + 4 + 8 + 8 + 16 + 16,) * 2


def test_receptive_field_of_a_global_branch_is_the_image() -> None:
    assert (
        cost(networks.blueprint_of(spaces.resolve("aspp"), 3, input_size=(65, 65))).receptive_field
        is None
    )


def test_peak_activations_by_hand() -> None:
    """Image 64·64·3, then also 64·64·8, then also 64·64·2: floats of four bytes."""
    counted = cost(sketch(dict(channels=8), dict(channels=2)))
    assert counted.peak_activation_bytes == 4 * 64 * 64 * (3 + 8)
    counted = cost(sketch(dict(channels=8), dict(channels=6)))
    assert counted.peak_activation_bytes == 4 * 64 * 64 * (8 + 6)


@pytest.mark.parametrize("name", spaces.PUBLISHED)
def test_positions_sum_to_the_total(name: str) -> None:
    blueprint = networks.blueprint_of(spaces.resolve(name), 3, input_size=(65, 97))
    total = cost(blueprint)
    for every in (False, True):
        rows = by_position(blueprint, every=every)
        assert sum(row.params for row in rows) == total.params + total.params_aux
        assert sum(row.madds for row in rows) == total.madds + total.madds_aux
        assert sum(row.layers for row in rows) == len(blueprint.layers)


def test_positions_are_those_of_the_genotype() -> None:
    assert position_of("block1.left.branch2.right.sep5x5.unit2.pointwise") == (
        "block1.left.branch2.right.sep5x5"
    )
    assert position_of("block_3_depthwise_BN") == "block_3"
    assert position_of("block2.repeat1.concat.bn") == "block2.repeat1.concat"
