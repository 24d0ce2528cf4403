"""Training steps, compared with NumPy, Keras and TensorFlow Addons."""

import gc
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from msgspec import structs

from nas_tf import networks, quiet, spaces
from nas_tf.config.schema import Optimiser
from nas_tf.networks.functional import Computed
from nas_tf.networks.state import arrays_of_model, fill_model, initial_arrays, to_arrays
from nas_tf.tasks import Segmentation
from nas_tf.training import optimizers
from nas_tf.training.learner import Learner
from nas_tf.training.optimizers import PolyakAverage
from tests.training import small

ARCH1 = spaces.resolve("arch1")

tfa = quiet.load("tensorflow_addons")


def softmax_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(-np.take_along_axis(logs, labels[..., None], -1).mean())


@pytest.mark.parametrize("distillation", [0.0, 0.3])
@pytest.mark.parametrize("weight", [0.0, 0.15])
def test_the_loss_is_its_formula(distillation: float, weight: float) -> None:
    learner = small.learner(distillation=distillation, auxiliary_weight=weight)
    rng = np.random.default_rng(0)
    shape = (2, 4, 6)
    logits = {name: rng.normal(size=(*shape, 4)) for name in ("logits", "aux1", "aux2")}
    labels, teacher = rng.integers(0, 4, shape), rng.normal(size=(*shape, 4))
    expected = softmax_cross_entropy(logits["logits"], labels)
    for name in ("aux1", "aux2"):
        expected += weight * softmax_cross_entropy(logits[name], labels)
    expected += distillation * np.mean((logits["logits"] - teacher) ** 2)
    outputs, *auxiliaries = (
        {"logits": tf.constant(value, tf.float32)} for value in logits.values()
    )
    given = Computed(outputs, dict(enumerate(auxiliaries)), {})
    loss = learner.loss(given, tf.constant(labels), tf.constant(teacher, tf.float16))
    assert float(loss) == pytest.approx(expected, rel=1e-3)


def test_without_a_teacher_there_is_no_distance() -> None:
    given = Computed({"logits": tf.random.stateless_normal((1, 4, 4, 4), (1, 1))}, {}, {})
    labels = tf.zeros((1, 4, 4), tf.int32)
    with_weight = small.learner(distillation=0.3).loss(given, labels, None)
    assert float(with_weight) == float(small.learner().loss(given, labels, None))


def test_gradients_are_clipped_then_decayed() -> None:
    settings = Optimiser(clip=3.0, weight_decay=0.1)
    gradient, weights = np.array([3.0, -4.0, 12.0]), np.array([1.0, 2.0, -1.0])
    found = optimizers.effective_gradient(settings, tf.constant(gradient), tf.constant(weights))
    np.testing.assert_allclose(found, gradient * 3 / 13 + 0.1 * weights, rtol=1e-6)


def test_polyak_averages_as_addons_does() -> None:
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=7), rng.normal(size=(5, 7))
    reference = tf.Variable(start, dtype=tf.float32)
    averaging = tfa.optimizers.MovingAverage(
        tf.keras.optimizers.legacy.SGD(0.1), average_decay=0.9
    )
    weights = tf.Variable(start, dtype=tf.float32)
    average = PolyakAverage({"decoder": weights}, {})
    for gradient in gradients.astype(np.float32):
        averaging.apply_gradients([(tf.constant(gradient), reference)])
        weights.assign_sub(0.1 * gradient)
        average.update(0.9, {"decoder": weights}, {})
    averaging.assign_average_vars([reference])
    np.testing.assert_allclose(average.trainable["decoder"], reference, rtol=1e-5)


def test_averages_and_their_statistics_follow_the_formula() -> None:
    """What an untrained network has as statistics has no share in either."""
    learner = small.learner(polyak=0.9, momentum=0.5)
    expected, measured = learner.trainable["decoder"].numpy(), []
    for seed in range(3):
        measured.append(measured_by(learner, seed))
        learner.step(*small.batch(seed), small.RATES)
        expected = 0.9 * expected + 0.1 * learner.trainable["decoder"].numpy()
    running = (1 * measured[0] + 2 * measured[1] + 4 * measured[2]) / 7
    average = 0.81 * measured[0] + 0.09 * measured[1] + 0.1 * measured[2]
    np.testing.assert_allclose(learner.statistics["decoder"], running, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(learner.state().trainable["decoder"], expected, atol=1e-6)
    np.testing.assert_allclose(
        learner.state().statistics["decoder"], average, rtol=1e-3, atol=1e-4
    )


def test_averages_of_a_trained_network_start_at_its_statistics() -> None:
    first = small.learner(polyak=0.9)
    first.step(*small.batch(0), small.RATES)
    second = small.learner(polyak=0.9, state=first.state())
    measured = measured_by(second, 1)
    second.step(*small.batch(1), small.RATES)
    expected = 0.9 * first.state().statistics["decoder"] + 0.1 * measured
    np.testing.assert_allclose(
        second.state().statistics["decoder"], expected, rtol=1e-3, atol=1e-4
    )


def measured_by(learner: Learner, seed: int) -> np.ndarray:
    """The decoder's statistics on a batch, by the weights that are about to learn from it."""
    network = learner._network
    computed = network(
        small.batch(seed)[0],
        learner.trainable,
        learner.statistics,
        training=frozenset(network.parts),
    )
    return computed.measured["decoder"].numpy()


def test_without_polyak_the_live_weights_are_shown() -> None:
    learner = small.learner()
    learner.step(*small.batch(), small.RATES)
    np.testing.assert_array_equal(
        learner.state().trainable["encoder"], learner.trainable["encoder"]
    )


def test_statistics_fit_the_averaged_weights() -> None:
    """Averaged over the same past, they are near those measured again with the averages."""
    learner = small.learner(polyak=0.9)
    for _ in range(40):
        learner.step(*small.batch(1), small.RATES)
    state, network = learner.state(), learner._network
    measured = network(
        small.batch(1)[0], state.trainable, state.statistics, training=frozenset(network.parts)
    ).measured
    started = measured_by(small.learner(), 1)
    distance = np.linalg.norm(state.statistics["decoder"] - measured["decoder"])
    assert distance < 0.2 * np.linalg.norm(started - measured["decoder"])


@pytest.mark.slow
def test_a_step_is_that_of_keras_and_addons() -> None:
    """Two steps of the whole network, encoder by SGD and decoder by Adam.

    From the third on, units near the kinks of ReLU6 amplify differences in last bits.
    """
    blueprint = small.drawn("none", ARCH1)
    learner = small.learner(blueprint, loss_at="logits")
    model = networks.build(
        ARCH1,
        small.CLASSES,
        input_size=small.SIZE,
        settings=small.settings("none"),
    )
    fill_model(model, initial_arrays(blueprint, seed=1))
    of_encoder = {layer.name for layer in blueprint.layers if layer.part == "encoder"}
    encoder = [layer for layer in model.layers if layer.name in of_encoder]
    decoder = [layer for layer in model.layers if layer.name not in of_encoder]
    both = tfa.optimizers.MultiOptimizer(
        [
            (tf.keras.optimizers.legacy.SGD(1e-3, momentum=0.9), encoder),
            (tf.keras.optimizers.legacy.Adam(5e-4, epsilon=1e-3), decoder),
        ]
    )
    task, start = Segmentation(small.CLASSES), initial_arrays(blueprint, seed=1)
    for seed, most in enumerate((1e-4, 0.02)):
        images, labels = small.batch(seed)
        with tf.GradientTape() as tape:
            outputs = {"logits": model(images, training=True)}
            loss = task.loss(labels, outputs, at="logits")
        both.apply_gradients(
            zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights, strict=True)
        )
        stepped = learner.step(images, labels, {"encoder": 1e-3, "decoder": 5e-4})
        assert float(stepped) == pytest.approx(float(loss), rel=2e-3)
        trained, expected = (
            to_arrays(learner._network.parts, learner.state()),
            arrays_of_model(model),
        )
        keys = [key for key in expected if key[1] not in ("mean", "variance")]
        moved = np.concatenate([np.ravel(expected[key] - start[key]) for key in keys])
        apart = np.concatenate([np.ravel(expected[key] - trained[key]) for key in keys])
        assert np.linalg.norm(apart) < most * np.linalg.norm(moved)


@pytest.mark.slow
def test_a_learner_leaves_no_graph_behind() -> None:
    """A search creates two graphs per trial, of tens of megabytes each."""

    def graphs() -> int:
        gc.collect()
        return sum(type(item).__name__ == "FuncGraph" for item in gc.get_objects())

    def learn() -> None:
        small.learner(polyak=0.9).step(*small.batch(), small.RATES)

    learn()
    before = graphs()
    learn()
    assert graphs() == before


def test_frozen_parts_and_statistics_stay() -> None:
    learner = small.learner(optimisers={"decoder": small.ADAM}, normalising=frozenset({"decoder"}))
    before = {part: vector.numpy() for part, vector in learner.trainable.items()}
    statistics = learner.statistics["encoder"].numpy()
    learner.step(*small.batch(), {"decoder": 0.01})
    np.testing.assert_array_equal(learner.trainable["encoder"], before["encoder"])
    np.testing.assert_array_equal(learner.statistics["encoder"], statistics)
    assert np.abs(learner.trainable["decoder"].numpy() - before["decoder"]).max() > 0


def test_one_trace_serves_all_steps_and_rates() -> None:
    learner = small.learner()
    for seed in range(3):
        learner.step(*small.batch(seed), {"encoder": 0.1 / (seed + 1), "decoder": 0.01})
    assert learner._step.experimental_get_tracing_count() == 1


def vectors(learner: Learner) -> dict[str, np.ndarray]:
    """Returns the values of all variables that are tracked, by their names."""
    values = {}
    for name, each in learner.tracked.items():
        variables = [each] if isinstance(each, tf.Variable) else each.variables
        values |= {f"{name} {n}": variable.numpy() for n, variable in enumerate(variables)}
    return values


def test_equal_recipes_in_turn_are_one_recipe_and_are_not_traced_again() -> None:
    """Weights, moments, averages and dropout go on from one recipe to the other."""
    same = small.recipe(polyak=0.9)
    alone, both = (
        small.learner(recipes=dict.fromkeys(names, same)) for names in (("train",), ("train", "b"))
    )
    for n in range(6):
        expected = float(alone.step(*small.batch(n), small.RATES))
        assert float(both.step(*small.batch(n), small.RATES, by=("train", "b")[n % 2])) == expected
    assert both._step.experimental_get_tracing_count() == 2
    expected = vectors(alone)
    for name, value in vectors(both).items():
        np.testing.assert_array_equal(value, expected.pop(name), name)
    assert not expected


TURNS = {
    "weights": small.recipe(optimisers={"decoder": small.ADAM}, polyak=0.9),
    "other": small.recipe(optimisers={"encoder": small.SGD}, normalising=frozenset()),
}


def test_a_recipe_changes_its_own_parts_and_their_averages() -> None:
    learner = small.learner(recipes=TURNS)
    average = learner.trainable["decoder"].numpy()
    for n in range(4):
        name = ("weights", "other")[n % 2]
        before = vectors(learner)
        learner.step(*small.batch(n), small.RATES, by=name)
        learned = "decoder" if name == "weights" else "encoder"
        changed = {
            key.rpartition(" ")[0]
            for key, value in vectors(learner).items()
            if not np.array_equal(value, before[key])
        }
        wanted = {f"live_weights_{learned}", f"optimiser_{learned}"}
        if name == "weights":
            parts = ("encoder", "decoder")
            wanted |= {f"{k}_statistics_{part}" for k in ("live", "average") for part in parts}
            wanted |= {"average_weights_decoder"}
            average = 0.9 * average + 0.1 * learner.trainable["decoder"].numpy()
        assert changed == wanted
    state = learner.state().trainable
    np.testing.assert_allclose(state["decoder"], average, atol=1e-6)
    np.testing.assert_array_equal(state["encoder"], learner.trainable["encoder"])
    assert learner._step.experimental_get_tracing_count() == 2


def test_every_step_has_a_dropout_seed_of_its_own() -> None:
    """Without other parts in turn, it is the number of the step, which a resumed run repeats."""

    def seeds(learner: Learner, names: tuple[str, ...]) -> list[int]:
        found = []
        for name in names:
            replica = tf.distribute.get_replica_context()
            found.append(int(learner._dropout_seed(replica)[1]))
            learner.step(*small.batch(), small.RATES, by=name)
        return found

    assert seeds(small.learner(), ("train",) * 3) == [0, 1, 2]
    assert seeds(small.learner(recipes=TURNS), ("weights", "other", "other")) == [0, 1, 2]


def test_recipes_with_other_moments_of_a_part_are_refused() -> None:
    other = Optimiser(kind="sgd", learning_rate=1.0, weight_decay=0.1, clip=1.0)
    recipes = {"train": small.recipe(), "other": small.recipe(optimisers={"encoder": other})}
    small.learner(recipes=recipes)
    faster = small.recipe(optimisers={"encoder": structs.replace(other, momentum=0.5)})
    with pytest.raises(ValueError, match="encoder by optimisers of kind, momentum, beta_2 and"):
        small.learner(recipes=recipes | {"other": faster})


def test_the_names_in_checkpoints_are_those_of_runs_started_before() -> None:
    kinds = ("live_weights", "live_statistics", "average_weights", "average_statistics")
    names = {f"{kind}_{part}" for kind in (*kinds, "optimiser") for part in small.RATES}
    recipes = {"train": small.recipe(polyak=0.9)}
    recipes["frozen"] = replace(recipes["train"], normalising=frozenset())
    assert small.learner(recipes=recipes).tracked.keys() == names


def test_it_learns_a_batch_by_heart() -> None:
    learner = small.learner(auxiliary_weight=0.15, loss_at="logits")
    losses = [float(learner.step(*small.batch(), small.RATES)) for _ in range(50)]
    assert losses[-1] < 0.7 * losses[0]


_TWO_DEVICES = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import numpy as np
from tests.training import small

from nas_tf.networks.functional import Precision
import sys

precision = Precision(getattr(tf, sys.argv[1]))
frozen = dict(normalising=frozenset(), loss_at="logits", precision=precision)
alone = small.learner(**frozen)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    shared = small.learner(**frozen)
images, labels = small.batch()
data = tf.data.Dataset.from_tensors((images, labels)).unbatch().batch(small.BATCH, True)
parts = next(iter(strategy.experimental_distribute_dataset(data)))
for _ in range(3):
    expected = float(alone.step(images, labels, small.RATES))
    loss = float(shared.step(*parts, small.RATES))
    assert abs(expected - loss) < 1e-3 * expected, (expected, loss)
apart = alone.state().trainable["decoder"] - shared.state().trainable["decoder"]
assert np.abs(apart).max() < 1e-3, np.abs(apart).max()
print("same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_two_devices_share_a_batch(precision: str) -> None:
    command = [sys.executable, "-c", _TWO_DEVICES, precision]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == "same\n", done.stderr[-2000:]
