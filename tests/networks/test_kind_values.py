"""Values of kinds of layers, computed here by their formulas."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.networks.arithmetic import batch_norm, conv, leaky_relu
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import from_arrays, initial_arrays

IMAGE = np.random.default_rng(1).normal(size=(1, 6, 8, 4)).astype(np.float32)


def computed(
    add: Callable[[Draft, Layer], Layer],
    image: np.ndarray = IMAGE,
    *,
    training: bool = False,
    **arrays: np.ndarray,
) -> np.ndarray:
    """Computes one layer ``x`` of an image, with some of its arrays, given by role."""
    draft = Draft(image.shape[1:3])
    draft.start_part("decoder", epsilon=1e-3, momentum=0.9)
    draft.output(add(draft, draft.image(image.shape[3])), "y")
    blueprint = draft.finish()
    found = initial_arrays(blueprint, seed=1)
    for role, value in arrays.items():
        key = next(key for key in found if key[1] == role)
        found[key] = np.asarray(value, np.float32).reshape(found[key].shape)
    network = Functional(blueprint)
    state = from_arrays(network.parts, found)
    parts = frozenset(network.parts if training else ())
    result = network(image, state.trainable, state.statistics, training=parts)
    return result.outputs["y"].numpy()


@pytest.mark.parametrize(
    ("symmetric", "expected"), [(True, [[4, 6], [6, 9]]), (False, [[9, 6], [6, 4]])]
)
def test_symmetric_padding_is_pytorch_s(symmetric: bool, expected: list) -> None:
    ones = np.ones((1, 4, 4, 1), np.float32)
    found = computed(
        lambda draft, x: draft.conv(x, "x", 1, kernel=3, stride=2, symmetric=symmetric),
        ones,
        kernel=np.ones(9),
    )
    np.testing.assert_array_equal(found[0, ..., 0], expected)


@pytest.mark.parametrize("size", [(5, 8), (6, 7)])
@pytest.mark.parametrize(
    ("kernel", "rate", "stride"), [(1, 1, 2), (3, 2, 1), (3, 1, 2), (5, 1, 4)]
)
def test_symmetric_padding_has_the_size_that_is_declared(
    size: tuple[int, int], kernel: int, rate: int, stride: int
) -> None:
    draft = Draft(size)
    options = dict(kernel=kernel, rate=rate, stride=stride, symmetric=True)
    x = draft.conv(draft.image(1), "x", 1, **options)
    found = computed(lambda d, x: d.conv(x, "x", 1, **options), np.ones((1, *size, 1), np.float32))
    assert found.shape == (1, *x.size, 1)


def test_a_convolution_in_groups_reads_its_own_channels() -> None:
    kernel = np.random.default_rng(2).normal(size=(1, 1, 2, 6)).astype(np.float32)
    found = computed(lambda draft, x: draft.conv(x, "x", 6, groups=2), kernel=kernel)
    halves = [IMAGE[..., :2] @ kernel[0, 0, :, :3], IMAGE[..., 2:] @ kernel[0, 0, :, 3:]]
    np.testing.assert_allclose(found, np.concatenate(halves, -1), atol=1e-5)


def test_an_output_per_group_sums_neighbouring_channels() -> None:
    w = np.random.default_rng(2).normal(size=(2, 2)).astype(np.float32)
    found = computed(lambda draft, x: draft.conv(x, "x", 2, groups=2), kernel=w.T)
    for c in range(2):
        expected = w[c, 0] * IMAGE[..., 2 * c] + w[c, 1] * IMAGE[..., 2 * c + 1]
        np.testing.assert_allclose(found[..., c], expected, atol=1e-5)


def test_group_normalisation() -> None:
    gamma, beta = np.array([1, 2, 3, 4]), np.array([0.5, 0, -0.5, 1])
    image = 3 + IMAGE * np.array([1, 5, 1, 0.1], np.float32)
    found = computed(
        lambda draft, x: draft.group_norm(x, "x", groups=2), image, gamma=gamma, beta=beta
    )
    for group in (slice(0, 2), slice(2, 4)):
        own = image[..., group]
        expected = (own - own.mean()) / np.sqrt(own.var() + 1e-3) * gamma[group] + beta[group]
        np.testing.assert_allclose(found[..., group], expected, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_batch_normalisation_without_factors(training: bool) -> None:
    mean, variance = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 2, 3, 4])
    found = computed(
        lambda draft, x: draft.batch_norm(x, "x", affine=False),
        training=training,
        mean=mean,
        variance=variance,
    )
    if training:
        mean, variance = IMAGE.mean((0, 1, 2)), IMAGE.var((0, 1, 2))
    np.testing.assert_allclose(found, (IMAGE - mean) / np.sqrt(variance + 1e-3), atol=1e-5)


def test_constants_per_channel() -> None:
    mean, deviation = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1, 2, 0.5, 0.1])
    found = computed(
        lambda draft, x: draft.normalise(x, "x", mean=mean, deviation=deviation), training=True
    )
    np.testing.assert_allclose(found, (IMAGE - mean) / deviation, atol=1e-5)


def test_max_pooling_with_symmetric_padding() -> None:
    image = np.arange(1, 17, dtype=np.float32).reshape(1, 4, 4, 1)
    found = computed(
        lambda draft, x: draft.max_pool(x, "x", kernel=3, stride=2, symmetric=True), image
    )
    np.testing.assert_array_equal(found[0, ..., 0], [[6, 8], [14, 16]])


def test_the_gradient_of_leaky_relu_is_the_same_in_bfloat16() -> None:
    values = tf.constant([-2.0, -0.5, 0.5, 3.0])
    for dtype in (tf.float32, tf.bfloat16):
        x = tf.cast(values, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = leaky_relu(x, 0.25)
        assert y.numpy().tolist() == [-0.5, -0.125, 0.5, 3.0]
        assert tape.gradient(y, x).numpy().tolist() == [0.25, 0.25, 1.0, 1.0]


def test_leaky_relu_exp_and_difference() -> None:
    def add(draft: Draft, x: Layer) -> Layer:
        y = draft.leaky_relu(x, "leaky", slope=0.2)
        return draft.subtract(draft.exp(y, "exp"), x, "x")

    expected = np.exp(np.where(IMAGE > 0, IMAGE, 0.2 * IMAGE)) - IMAGE
    np.testing.assert_allclose(computed(add), expected, atol=1e-5)


def test_a_weighted_sum_has_a_factor_per_channel_and_a_scale_one_for_all() -> None:
    scaled = computed(lambda draft, x: draft.scale(x, "x", scalar=True), kernel=np.array([3]))
    np.testing.assert_allclose(scaled, 3 * IMAGE)
    weighted = computed(lambda draft, x: draft.weighted_sum(x, x, "x"), kernel=np.arange(4))
    np.testing.assert_allclose(weighted, IMAGE * (np.arange(4) + 1), atol=1e-6)


def test_a_mix_of_a_supernet() -> None:
    """Entries of the softmax over all operations, without those that are masked."""
    alpha = np.array([[1.0, 2.0, 0.5, -1.0], [0.3, 0.1, 2.0, 7.0]])

    def add(draft: Draft, x: Layer) -> Layer:
        table = draft.table(x, "alpha", "architecture", (2, 4))
        maps = [x, draft.exp(x, "exp"), draft.relu(x, "relu")]
        entries = [(0, 0), (0, 1), (1, 2)]
        return draft.mix(table, maps, "x", entries=entries, masked=[(1, 3)])

    first, second = np.exp(alpha[0]) / np.exp(alpha[0]).sum(), np.exp(alpha[1, :3])
    weights = first[0], first[1], second[2] / second.sum()
    maps = IMAGE, np.exp(IMAGE), np.maximum(IMAGE, 0)
    expected = sum(weight * x for weight, x in zip(weights, maps, strict=True))
    np.testing.assert_allclose(computed(add, table=alpha), expected, atol=1e-5)


def test_a_deformable_convolution_begins_as_half_a_plain_one() -> None:
    """Offsets begin at zero, and masks at the sigmoid of zero."""
    kernel = np.random.default_rng(2).normal(size=(3, 3, 4, 2)).astype(np.float32)
    draft = Draft((6, 8))
    draft.output(draft.deformable(draft.image(4), "x", 2, groups=2), "y")
    arrays = initial_arrays(draft.finish(), seed=1) | {("x", "kernel"): kernel}
    network = Functional(draft.finish())
    state = from_arrays(network.parts, arrays)
    found = network(IMAGE, state.trainable, state.statistics).outputs["y"]
    np.testing.assert_allclose(found, tf.nn.conv2d(IMAGE, kernel, 1, "SAME") / 2, atol=1e-5)


def test_a_subsampled_convolution_is_every_fourth_of_the_dilated_one() -> None:
    kernel = np.random.default_rng(2).normal(size=(3, 3, 4, 1)).astype(np.float32)
    image = np.random.default_rng(3).normal(size=(1, 13, 18, 4)).astype(np.float32)
    found = computed(
        lambda draft, x: draft.depthwise(x, "x", kernel=3, stride=4, rate=(4, 8)),
        image,
        kernel=kernel,
    )
    dilated = tf.nn.depthwise_conv2d(image, kernel, (1, 1, 1, 1), "SAME", dilations=(4, 8))
    np.testing.assert_allclose(found, dilated[:, ::4, ::4], atol=1e-5)


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (
            lambda draft, x: draft.conv(x, "x", 6, groups=4),
            "x: 4 groups do not divide 4 and 6",
        ),
        (
            lambda draft, x: draft.group_norm(x, "x", groups=3),
            "x: 3 groups do not divide 4 channels",
        ),
    ],
)
def test_groups_that_do_not_divide_the_channels_are_refused(add: Callable, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        computed(add)


def test_a_mix_needs_an_entry_per_map() -> None:
    draft = Draft((4, 4))
    x = draft.image()
    table = draft.table(x, "alpha", "architecture", (1, 2))
    with pytest.raises(ValueError, match=r"^x has 2 maps and 1 entries$"):
        draft.mix(table, [x, x], "x", entries=[(0, 0)])


@pytest.mark.parametrize(("channels", "rate"), [(20, 2), (40, 3), (60, 2), (10, 2), (20, 1)])
def test_gradients_of_dilated_convolutions_in_bfloat16(channels: int, rate: int) -> None:
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, 32, 32, channels)), tf.float32)
    kernel = tf.constant(rng.normal(size=(3, 3, channels, 32)), tf.float32)

    def gradients(dtype: tf.DType) -> list[np.ndarray]:
        given = [tf.cast(values, dtype) for values in (x, kernel)]
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = conv(*given, rate=(rate, rate))
        found = (y, *tape.gradient(y, given))
        assert [values.shape for values in found] == [y.shape, x.shape, kernel.shape]
        return [tf.cast(values, tf.float32).numpy() for values in found]

    for exact, rounded in zip(gradients(tf.float32), gradients(tf.bfloat16), strict=True):
        np.testing.assert_allclose(rounded, exact, atol=0.02 * np.abs(exact).max())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [10, 16, 20, 40])
def test_batch_norm_in_bfloat16_is_that_of_tensorflow(channels: int, training: bool) -> None:
    """Where the last block of 16 channels is not full, TensorFlow's is several times as slow."""
    rng = np.random.default_rng(channels)
    x = tf.constant(rng.normal(2, 3, (2, 8, 6, channels)), tf.float32)
    upstream = tf.constant(rng.normal(size=x.shape), tf.float32)
    roles = ("gamma", "beta", "mean", "variance")
    arrays = {role: tf.constant(rng.uniform(1, 2, channels), tf.float32) for role in roles}

    @tf.function
    def found(dtype: tf.DType) -> list[tf.Tensor]:
        given = [tf.cast(x, dtype), arrays["gamma"], arrays["beta"]]
        with tf.GradientTape() as tape:
            tape.watch(given)
            y, *measured = batch_norm(given[0], arrays, epsilon=1e-3, training=training)
        gradients = tape.gradient(y, given, tf.cast(upstream, dtype))
        return [tf.cast(values, tf.float32) for values in (y, *measured, *gradients)]

    for exact, rounded in zip(found(tf.float32), found(tf.bfloat16), strict=True):
        assert rounded.shape == exact.shape
        np.testing.assert_allclose(rounded, exact, atol=0.02 * np.abs(exact).max())
    operations = found.get_concrete_function(tf.bfloat16).graph.get_operations()
    widths = [item.inputs[0].shape[-1] for item in operations if "FusedBatchNorm" in item.type]
    assert len(widths) == 2
    assert all(width % 16 == 0 for width in widths)


def test_batch_norm_without_scale_and_offset_has_those_of_one_and_zero() -> None:
    x = tf.constant(IMAGE)
    y, mean, variance = batch_norm(x, {}, epsilon=0.0, training=True)
    expected = (IMAGE - IMAGE.mean((0, 1, 2))) / IMAGE.std((0, 1, 2))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(mean, IMAGE.mean((0, 1, 2)), atol=1e-6)
    assert np.all(variance > 0)
