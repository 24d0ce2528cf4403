"""The decoder of DeepLabv3+ behind dense prediction cells, on every encoder and stride."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks, spaces
from nas_tf.errors import ConfigError
from nas_tf.networks import encoders

GENOTYPE = spaces.DPCSpace(branches=2).parse([[0, "sep3x3_1x6"], [1, "pool_1x1"]])
SIZE = (65, 97)


def settings(encoder: str = "mobilenet_v2", **changes: Any) -> networks.Settings:
    alpha = 0.35 if encoder == "mobilenet_v2" else None
    changes = {"width": 8, "decoder": "deeplabv3plus", **changes}
    return networks.settings.published(
        "dpc", encoder=encoders.get(encoder, alpha or 1.0), **changes
    )


def randomised(model: tf.keras.Model) -> tf.keras.Model:
    """Returns the model with statistics other than the initial ones, so that these count too."""
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            gamma, beta, mean, _ = layer.get_weights()
            shift, scale = rng.normal(size=beta.shape), rng.uniform(0.5, 1.5, beta.shape)
            layer.set_weights([gamma, beta + 0.1 * shift, mean + 0.1 * shift, scale])
    return model


@pytest.mark.parametrize(
    ("encoder", "name", "channels"),
    [
        ("mobilenet_v2", "block_2_depthwise_relu", 144),
        ("xception", "block3_sepconv2_bn", 256),
        ("resnet50", "conv2_block3_out", 256),
    ],
)
def test_it_reads_the_released_layer_or_the_tap_of_stride_4(
    encoder: str, name: str, channels: int
) -> None:
    chosen = networks.settings.published(
        "dpc", encoder=encoders.get(encoder), decoder="deeplabv3plus"
    )
    blueprint = networks.blueprint_of("dpc-top1", 19, input_size=(513, 513), settings=chosen)
    first = blueprint.by_name["decoder.low_level.conv"]
    read = blueprint.by_name[first.inputs[0]]
    assert (read.name, read.channels, read.stride) == (name, channels, 4)
    assert (blueprint.output().stride, blueprint.output().size) == (4, read.size)
    resize = blueprint.by_name["decoder.resize"]
    assert resize.options["corners"]
    concat = blueprint.by_name["decoder.concat"]
    assert concat.inputs == ("decoder.resize", "decoder.low_level.relu")
    assert concat.channels == 256 + 48


def test_it_computes_what_the_released_code_does() -> None:
    model = randomised(networks.build(GENOTYPE, 3, input_size=SIZE, settings=settings()))
    names = ("projection.relu", "block_2_depthwise_relu")
    image = tf.random.stateless_uniform((2, *SIZE, 3), (1, 2), -1, 1)
    known = [model.get_layer(name).output for name in names]
    x, low, logits = tf.keras.Model(model.input, [*known, model.output])(image)

    def normalised(name: str, y: tf.Tensor) -> tf.Tensor:
        gamma, beta, mean, variance = model.get_layer(name).get_weights()
        return tf.nn.relu((y - mean) / np.sqrt(variance + 1e-5) * gamma + beta)

    def pointwise(name: str, y: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(y, model.get_layer(name).kernel, 1, "SAME")

    low = normalised("decoder.low_level.bn", pointwise("decoder.low_level.conv", low))
    x = tf.compat.v1.image.resize_bilinear(x, low.shape[1:3], align_corners=True)
    y = tf.concat([x, low], -1)
    for number in (1, 2):
        name = f"decoder.sep{number}"
        kernel = model.get_layer(f"{name}.depthwise").depthwise_kernel
        y = tf.nn.depthwise_conv2d(y, kernel, [1, 1, 1, 1], "SAME")
        y = normalised(f"{name}.depthwise.bn", y)
        y = normalised(f"{name}.bn", pointwise(f"{name}.pointwise", y))
    classifier = model.get_layer("output.classifier")
    expected = tf.nn.conv2d(y, classifier.kernel, 1, "SAME") + classifier.bias
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "stride"),
    [
        ("mobilenet_v2", 16),
        ("mobilenet_v2", 8),
        *(
            pytest.param(name, stride, marks=pytest.mark.slow)
            for name in ("resnet50", "xception")
            for stride in (16, 8)
        ),
    ],
)
def test_on_its_taps_it_is_the_rest_of_the_network(encoder: str, stride: int) -> None:
    chosen = settings(encoder, output_stride=stride)
    network = randomised(networks.build(GENOTYPE, 3, input_size=SIZE, settings=chosen))
    taps = networks.encoder(chosen.encoder, input_size=SIZE, output_stride=stride, low_level=True)
    decoder = networks.build_decoder(GENOTYPE, 3, input_size=SIZE, settings=chosen)
    networks.copy_weights(network, taps)
    assert networks.copy_weights(network, decoder) == []
    low = {"mobilenet_v2": "tap4"}.get(encoder, "tap0")
    assert sorted(decoder.input_names) == sorted(["tap3", low])
    image = tf.random.stateless_uniform((2, *SIZE, 3), (5, 6), -1, 1)
    features = taps(image, training=False)
    given = {name: features[name] for name in decoder.input_names}
    fine, coarse = features["tap0"].shape[1], given["tap3"].shape[1]
    assert coarse == -(-fine * 4 // stride)
    logits = network(image, training=False)
    assert logits.shape[1:3] == given[low].shape[1:3]
    np.testing.assert_allclose(logits, decoder(given, training=False), rtol=1e-4, atol=1e-4)


def test_every_weight_has_a_gradient() -> None:
    model = networks.build(GENOTYPE, 3, input_size=SIZE, settings=settings())
    image = tf.random.stateless_uniform((2, *SIZE, 3), (1, 2), -1, 1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(image, training=True)))
    gradients = tape.gradient(loss, model.trainable_weights)
    for variable, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name
    refined = [weight for weight in model.trainable_weights if "decoder." in weight.name]
    assert len(refined) == 3 + 2 * 6


def test_other_spaces_and_other_decoders_are_refused() -> None:
    for space in ("auxcell", "template", "fcos", "restoration", "baseline"):
        with pytest.raises(ConfigError) as caught:
            networks.settings.published(space, decoder="deeplabv3plus")
        line = f"decoder is deeplabv3plus, expected None, as space {space} has its own"
        assert str(caught.value) == line
        assert networks.settings.published(space, decoder=None).decoder is None
    with pytest.raises(ConfigError, match=r"^decoder is 'unet', expected one of \(None, 'deepl"):
        networks.settings.published("dpc", decoder="unet")
