"""TFLite models run the expected operations, and compute what Keras computes."""

import random
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.deploy import random_arrays
from nas_tf import networks, spaces
from nas_tf.networks import fused
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import fill_model
from serving import lite_models
from tests.serving.shipped import SPACES

NAMES = {
    "conv": "CONV_2D",
    "depthwise": "DEPTHWISE_CONV_2D",
    "max_pool": "MAX_POOL_2D",
    "average_pool": "AVERAGE_POOL_2D",
    "mean": "MEAN",
    "resize": "RESIZE_BILINEAR",
    "add": "ADD",
    "concat": "CONCATENATION",
    "relu": "DEPTHWISE_CONV_2D",
}
PLAIN = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def sampled(space: str, seed: int) -> Blueprint:
    genotype = spaces.get(space).sample(random.Random(seed))
    settings = networks.settings.search(space, width=8, alpha=0.35)
    return networks.blueprint_of(genotype, 5, input_size=(65, 97), settings=settings)


def expected_operations(blueprint: Blueprint) -> Counter[str]:
    return Counter(name for op in fused.ops(blueprint).elements() for name in operations(op))


def operations(op: fused.Op) -> list[str]:
    """Returns an operation's names in TFLite; at most four maps are concatenated at once."""
    if op.kind == "affine":
        return ["MUL", "ADD"]
    times = -(-(len(op.inputs) - 1) // 3) if op.kind == "concat" else 1
    return [NAMES[op.kind]] * times


def run(model: bytes) -> tuple[Counter[str], np.ndarray, np.ndarray]:
    """Returns the operations of a model, an image and its logits."""
    interpreter = tf.lite.Interpreter(model_content=model, experimental_op_resolver_type=PLAIN)
    names = Counter(op["op_name"] for op in interpreter._get_ops_details())
    interpreter.allocate_tensors()
    (given,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    image = np.random.default_rng(3).uniform(-1, 1, given["shape"]).astype(np.float32)
    interpreter.set_tensor(given["index"], image)
    interpreter.invoke()
    return names, image, interpreter.get_tensor(logits["index"])


@pytest.mark.quick(9)
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("seed", [0, 2])
def test_a_network_runs_the_expected_operations_and_computes_what_keras_does(
    space: str, seed: int
) -> None:
    blueprint = sampled(space, seed)
    arrays = random_arrays(blueprint)
    names, image, logits = run(lite_models.of_network(blueprint, arrays))
    assert names == expected_operations(blueprint)
    model = realise(blueprint.deployed(), name="whole")
    fill_model(model, arrays)
    expected = model(image, training=False).numpy()
    assert np.abs(logits - expected).max() < 1e-3 * max(1.0, np.abs(expected).max())


@pytest.mark.quick(3)
@pytest.mark.parametrize("space", SPACES)
def test_an_operation_alone_is_that_operation(space: str) -> None:
    distinct: dict[str, fused.Op] = {}
    for seed in range(20):
        distinct |= {
            (op.kind, op.kernel, op.stride, op.rate): op for op in fused.ops(sampled(space, seed))
        }
    for op in distinct.values():
        names, _, result = run_op(op)
        assert names == Counter(operations(op)), op
        assert result == (1, *op.output)


def run_op(op: fused.Op) -> tuple[Counter[str], None, tuple[int, ...]]:
    interpreter = tf.lite.Interpreter(
        model_content=lite_models.of_op(op), experimental_op_resolver_type=PLAIN
    )
    names = Counter(detail["op_name"] for detail in interpreter._get_ops_details())
    assert [tuple(given["shape"][1:]) for given in interpreter.get_input_details()] == list(
        op.inputs
    )
    return names, None, tuple(interpreter.get_output_details()[0]["shape"])
