"""The controller: vocabularies of positions, repeatable samples, learning, exact resume."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.tuner_oracles.searches import space
from tuner_oracles.controller import Alphabet, Batch, Controller
from tuner_oracles.tokens import Token, Tokens

ROOT = Path(__file__).parents[2]
AUXCELL = tuple(
    Token(name, tuple(range(size)))
    for name, size in [
        *((f"connections.c{index}", 4 + (index - 1) // 2) for index in range(1, 7)),
        ("cell.o1", 11),
        *((f"cell.i{index}", 2 + 3 * ((index - 2) // 2)) for index in range(2, 8)),
        *((f"cell.o{index}", 11) for index in range(2, 8)),
    ]
)


@pytest.fixture(scope="module")
def controller() -> Controller:
    return Controller(AUXCELL, seed=3)


def batch(controller: Controller, count: int, seed: int = 0) -> Batch:
    tokens, log_probs = controller.sample(range(seed, seed + count))
    advantages = np.random.default_rng(seed).normal(size=count)
    return Batch(tokens, log_probs, advantages)


@pytest.mark.parametrize(
    ("method", "call"),
    [("sample", "_unrolled"), ("log_probs", "_weighed"), ("train", "_trained")],
)
def test_ctrl_c_while_it_computes_takes_effect_after_it(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, method: str, call: str
) -> None:
    """TensorFlow would turn an interrupt of its own calls into another error, or drop it."""
    tried, compute, computed = batch(controller, 4), getattr(controller, call), []
    argument = {"sample": [0], "log_probs": tried.tokens, "train": tried}[method]

    def interrupted(*arguments: object) -> object:
        signal.raise_signal(signal.SIGINT)
        computed.append(call)
        return compute(*arguments)

    monkeypatch.setattr(controller, call, interrupted)
    before = controller.arrays()
    with pytest.raises(KeyboardInterrupt):
        getattr(controller, method)(argument)
    assert computed == [call]
    controller.restore(before)


def test_a_thousand_samples_stay_in_their_vocabularies(controller: Controller) -> None:
    tokens, log_probs = controller.sample(range(1000))
    sizes = np.array([len(token.values) for token in AUXCELL])
    assert tokens.min() == 0
    assert (tokens.max(axis=0) == sizes - 1).all(), "all values occur, and none beyond"
    assert (log_probs <= 0).all()


def test_probabilities_of_a_position_sum_to_one() -> None:
    tokens = Tokens(space(2, 3)).tokens
    small = Controller(tokens, seed=1, units=8)
    vectors = np.array([(first, second) for first in range(3) for second in range(3)])
    probabilities = np.exp(small.log_probs(vectors).sum(axis=1))
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)
    episodes, _ = small.sample(range(20_000))
    counts = np.array([(episodes == item).all(axis=1).mean() for item in vectors])
    assert np.abs(counts - probabilities).max() < 0.01


def test_a_sample_is_the_same_alone_and_among_others(controller: Controller) -> None:
    tokens, log_probs = controller.sample(range(16))
    alone, its = controller.sample([11])
    assert (alone[0] == tokens[11]).all()
    np.testing.assert_allclose(its[0], log_probs[11], atol=1e-6)
    np.testing.assert_allclose(controller.log_probs(tokens), log_probs, atol=1e-5)


def test_tokens_of_a_kind_and_vocabulary_share_a_head() -> None:
    alphabet = Alphabet.of(AUXCELL)
    operations = [i for i, token in enumerate(AUXCELL) if token.kind == "cell.o"]
    assert len({alphabet.first[i] for i in operations}) == 1
    fives = [i for i, token in enumerate(AUXCELL) if len(token.values) == 5]
    assert {AUXCELL[i].kind for i in fives} == {"connections.c", "cell.i"}
    assert len({alphabet.first[i] for i in fives}) == 2, "of equal size, but of different kinds"
    assert alphabet.symbols == 4 + 5 + 6 + 11 + 2 + 5 + 8


def test_an_untrained_controller_is_nearly_uniform(controller: Controller) -> None:
    fresh = Controller(AUXCELL, seed=5)
    _, log_probs = fresh.sample(range(200))
    uniform = -sum(np.log(len(token.values)) for token in AUXCELL)
    assert log_probs.sum(axis=1).mean() == pytest.approx(uniform, abs=0.3)


def test_two_layers_of_a_hundred_uniform_weights(controller: Controller) -> None:
    shapes = {tuple(variable.shape) for variable in controller._weights}
    assert {(100, 400), (400,), (19, 100), (100, 41)} <= shapes
    fresh = Controller(AUXCELL, seed=4)
    weights = np.concatenate([variable.numpy().ravel() for variable in fresh._weights])
    assert -0.1 <= weights.min() < -0.099
    assert 0.099 < weights.max() <= 0.1
    assert weights.std() == pytest.approx(0.1 / np.sqrt(3), rel=0.01)


def test_what_was_good_becomes_likelier(controller: Controller) -> None:
    learner = Controller(AUXCELL, seed=9, learning_rate=1e-3)
    episodes = batch(learner, 8)._replace(advantages=np.array([1.0] * 4 + [-1.0] * 4))
    before = learner.log_probs(episodes.tokens).sum(axis=1)
    for _ in range(3):
        metrics = learner.train(episodes)
    change = learner.log_probs(episodes.tokens).sum(axis=1) - before
    assert (change[:4] > 0).all()
    assert (change[4:] < 0).all()
    assert 0 <= metrics["clip_fraction"] <= 1


def test_nothing_is_learned_beyond_the_clip() -> None:
    """Episodes of a distant policy: where the ratio is beyond the clip, there is no gradient."""
    learner = Controller(AUXCELL, seed=9, clip=0.1)
    episodes = batch(learner, 4)
    far = episodes._replace(log_probs=episodes.log_probs - 0.5, advantages=np.ones(4))
    before = learner.arrays()
    assert learner.train(far)["clip_fraction"] == 1
    after = learner.arrays()
    for old, new in zip(before[:10], after[:10], strict=True):
        np.testing.assert_array_equal(old, new)


def decided(entropy: float = 0.0) -> tuple[Controller, np.ndarray]:
    """Returns a small controller far from uniform, and all vectors of its two tokens."""
    learner = Controller(
        Tokens(space(2, 3)).tokens, seed=1, units=8, learning_rate=1e-2, entropy=entropy
    )
    learner.restore([20 * array for array in learner.arrays()])
    return learner, np.array([(first, second) for first in range(3) for second in range(3)])


def test_a_token_is_sampled_given_the_previous_token() -> None:
    learner, vectors = decided()
    log_probs = learner.log_probs(vectors).reshape(3, 3, 2)
    firsts, seconds = log_probs[..., 0], log_probs[..., 1]
    np.testing.assert_allclose(firsts, firsts[:, :1].repeat(3, 1), atol=1e-6)
    for number in (1, 2):
        assert np.abs(seconds[number] - seconds[0]).max() > 0.01


@pytest.mark.parametrize("entropy", [0.0, 1.0])
def test_the_entropy_bonus_makes_a_policy_less_sure(entropy: float) -> None:
    learner, vectors = decided(entropy)

    def sureness() -> float:
        log_probs = learner.log_probs(vectors).sum(axis=1)
        return float((np.exp(log_probs) * log_probs).sum())

    before = sureness()
    nothing = np.full(len(vectors), 1e-12)  # tf-agents omits frames of advantage 0
    episodes = Batch(vectors, learner.log_probs(vectors), nothing)
    for _ in range(3):
        learner.train(episodes)
    change = sureness() - before
    assert change < -0.01 if entropy else abs(change) < 1e-4


def test_gradients_are_clipped_to_the_norm() -> None:
    """Adam's first moment after one step is a tenth of the gradient."""
    norms = {}
    for clip in (1e-3, 1e3):
        learner = Controller(AUXCELL, seed=9, gradient_clip=clip)
        learner.train(batch(learner, 8))
        moments = [item.numpy() for item in learner._state if item.name.startswith("m/")]
        assert len(moments) == len(learner._weights)
        norms[clip] = 10 * np.linalg.norm([np.linalg.norm(moment) for moment in moments])
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert norms[1e3] > 2e-3


def test_the_baseline_is_not_normalised_away() -> None:
    """tf-agents by itself subtracts the batch's mean: equal advantages would teach nothing."""
    learner = Controller(AUXCELL, seed=9, learning_rate=1e-3)
    episodes = batch(learner, 1)._replace(advantages=np.array([0.5]))
    before = learner.log_probs(episodes.tokens).sum()
    learner.train(episodes)
    assert learner.log_probs(episodes.tokens).sum() > before + 0.05


def test_restored_it_continues_bit_for_bit() -> None:
    first = Controller(AUXCELL, seed=9)
    for seed in range(3):
        first.train(batch(first, 8, seed * 10))
    saved = first.arrays()
    second = Controller(AUXCELL, seed=9)
    second.restore(saved)
    for item in (first, second):
        item.train(batch(item, 8, 99))
    for mine, other in zip(first.arrays(), second.arrays(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.slow
def test_what_else_the_process_does_changes_nothing() -> None:
    """Layers built before, a cleared session, global seeds and a half-precision policy."""
    plain = Controller(AUXCELL, seed=9)
    for _ in range(12):
        tf.keras.layers.LSTMCell(4)
        tf.keras.layers.Embedding(4, 4)
    tf.random.set_seed(1)
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        other = Controller(AUXCELL, seed=9)
        tf.keras.backend.clear_session()
        for first in (plain, other):
            first.train(batch(first, 8))
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    for mine, its in zip(plain.arrays(), other.arrays(), strict=True):
        assert its.dtype == mine.dtype
        np.testing.assert_array_equal(mine, its)


@pytest.mark.slow
def test_other_processes_sample_and_learn_the_same() -> None:
    code = (
        "import hashlib; from tests.tuner_oracles.test_controller import *\n"
        "learner = Controller(AUXCELL, seed=9)\n"
        "for seed in range(4): learner.train(batch(learner, 8, seed * 10))\n"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in learner.arrays())).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
        ).stdout
        for _ in range(3)
    }
    assert len(digests) == 1
    assert digests != {""}


def test_importing_prints_nothing() -> None:
    code = (
        "import os; os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
        "import tuner_oracles, tensorflow\n"
        "from tuner_oracles.controller import _tf_agents_parts; _tf_agents_parts()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
