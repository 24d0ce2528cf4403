"""The recurrent controller of both papers and its PPO training, on tf-agents.

Each time step is one token: an LSTM reads the position and the previous token, and a head for
each kind of token and vocabulary outputs the distribution of the next one.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tuner_oracles.interrupts import uninterrupted

_MASKED = -1e9  # finite: an infinite logit makes the entropy's gradient NaN


@dataclass(frozen=True)
class Alphabet:
    """The tokens as symbols of an alphabet with a part for each kind of token and vocabulary."""

    first: tuple[int, ...]
    sizes: tuple[int, ...]
    symbols: int

    @classmethod
    def of(cls, tokens: Sequence[Any]) -> "Alphabet":
        """Builds the alphabet; tokens of the same kind and vocabulary share a part."""
        parts: dict[Any, int] = {}
        first, symbols = [], 0
        for token in tokens:
            part = (token.kind, token.values)
            if part not in parts:
                parts[part] = symbols
                symbols += len(token.values)
            first.append(parts[part])
        return cls(tuple(first), tuple(len(token.values) for token in tokens), symbols)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of positions and symbols."""
        return len(self.sizes), self.symbols

    @cached_property
    def mask(self) -> np.ndarray:
        """The summand of each position's logits: 0 for its own symbols, -1e9 for all others."""
        table = np.full(self.shape, _MASKED, np.float32)
        for row, first, size in zip(table, self.first, self.sizes, strict=True):
            row[first : first + size] = 0
        return table


class Batch(NamedTuple):
    """Episodes to learn from: token vectors, log-probabilities when sampled, advantages."""

    tokens: np.ndarray
    log_probs: np.ndarray
    advantages: np.ndarray


class Controller:
    """An LSTM policy over token vectors, trained by tf-agents' ``PPOClipAgent``.

    Defaults are the papers': two layers of 100 units, weights uniform in ±0.1, clip 0.1, Adam at
    1e-4, gradients clipped to norm 2, no entropy bonus. It always runs on the CPU in float32.

    The caller serialises calls: an instance is not safe for threads, and while a method runs it
    sets Keras' global precision policy, which it restores. Its state is in memory only; ``arrays``
    and ``restore`` save and load all of it, bit for bit.
    """

    def __init__(
        self,
        tokens: Sequence[Any],
        seed: int,
        *,
        units: int = 100,
        layers: int = 2,
        clip: float = 0.1,
        learning_rate: float = 1e-4,
        entropy: float = 0.0,
        gradient_clip: float = 2.0,
    ) -> None:
        self.alphabet = Alphabet.of(tokens)
        self.seed = seed
        self._first = np.asarray(self.alphabet.first, np.int32)
        self._parts = _tf_agents_parts()
        with _on_cpu_in_float32():
            optimizer = tf.keras.optimizers.Adam(learning_rate)
            self._agent = self._parts.agent(
                self.alphabet.mask,
                units,
                layers,
                optimizer,
                clip=clip,
                entropy=entropy,
                gradient_clip=gradient_clip,
            )
            self._agent.initialize()
            self._weights = sorted(
                self._agent.actor_net.variables, key=lambda variable: variable.name
            )
            optimizer.build(self._weights)
        self._state = [*self._weights, *optimizer.variables]
        self._initialise()
        noise = tf.TensorSpec([None, *self.alphabet.shape], tf.float32)
        self._unrolled = tf.function(self._unroll, input_signature=[noise], autograph=False)
        self._trained = tf.function(self._agent.train, autograph=False)
        self._weighed = tf.function(self._weigh, autograph=False, reduce_retracing=True)

    def sample(self, numbers: Sequence[int | tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
        """Samples a token vector for each number; also returns each token's log-probability.

        A number may have several parts. A sample depends on the seed, its number and the weights,
        not on others of the same call.
        """
        noise = np.stack(
            [self._rng(number).gumbel(size=self.alphabet.shape) for number in numbers]
        )
        with _on_cpu_in_float32():
            symbols, log_probs = self._unrolled(tf.constant(noise, tf.float32))
        return symbols.numpy() - self._first, log_probs.numpy()

    def log_probs(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the log-probability of each token of the vectors under the present policy."""
        symbols = np.asarray(tokens, np.int32) + self._first
        with _on_cpu_in_float32():
            steps = self._parts.time_steps(symbols, self.alphabet.symbols)
            return self._weighed(steps, tf.constant(symbols)).numpy()

    def train(self, batch: Batch) -> dict[str, float]:
        """Takes one Adam step and returns its metrics; batches of equal size are traced once."""
        symbols = batch.tokens + self._first
        with _on_cpu_in_float32():
            metrics = self._trained(
                self._parts.episodes(
                    symbols, batch.log_probs, batch.advantages, self.alphabet.symbols
                )
            ).extra
        return {
            "policy_loss": float(metrics.policy_gradient_loss),
            "clip_fraction": float(metrics.clip_fraction),
        }

    def arrays(self) -> list[np.ndarray]:
        """Returns all state that training changes: weights and Adam's slots."""
        return [variable.numpy() for variable in self._state]

    def restore(self, arrays: Sequence[np.ndarray]) -> None:
        """Restores the state that ``arrays`` has returned."""
        for variable, array in zip(self._state, arrays, strict=True):
            variable.assign(array)

    def _initialise(self) -> None:
        rng = np.random.default_rng([self.seed, 0])
        for variable in self._weights:
            variable.assign(rng.uniform(-0.1, 0.1, variable.shape))

    def _rng(self, number: int | tuple[int, ...]) -> np.random.Generator:
        parts = number if isinstance(number, tuple) else (number,)
        return np.random.default_rng([self.seed, 1, *parts])

    def _weigh(self, steps: Any, symbols: tf.Tensor) -> tf.Tensor:
        """Returns the log-probability of each symbol at its step."""
        policy = self._agent.collect_policy
        step = policy.distribution(steps, policy.get_initial_state(tf.shape(symbols)[0]))
        return step.action.log_prob(symbols)

    def _unroll(self, noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Samples token by token: the largest logit plus Gumbel noise is a categorical sample."""
        policy = self._agent.collect_policy
        length, count = len(self.alphabet.sizes), tf.shape(noise)[0]

        def step(position: tf.Tensor, previous: tf.Tensor, state: Any, *arrays: Any) -> tuple:
            policy_step = policy.distribution(self._parts.time_step(position, previous), state)
            symbol = tf.argmax(policy_step.action.logits + noise[:, position], -1, tf.int32)
            sampled = (symbol, policy_step.action.log_prob(symbol))
            written = [
                array.write(position, value) for array, value in zip(arrays, sampled, strict=True)
            ]
            return position + 1, symbol, policy_step.state, *written

        start = (
            tf.constant(0),
            tf.fill([count], self.alphabet.symbols),
            policy.get_initial_state(count),
            tf.TensorArray(tf.int32, length, element_shape=[None]),
            tf.TensorArray(tf.float32, length, element_shape=[None]),
        )
        *_, symbols, log_probs = tf.while_loop(lambda position, *_: position < length, step, start)
        return tf.transpose(symbols.stack()), tf.transpose(log_probs.stack())


@contextmanager
def _on_cpu_in_float32() -> Iterator[None]:
    """Runs the block on the CPU in float32, whatever the trials use: -1e9 overflows in float16.

    Ctrl-C waits for its end: TensorFlow turns an interrupt of its checks of types into an
    ``AttributeError``, and a function whose tracing is interrupted is of no use afterwards.
    """
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("float32")
    try:
        with uninterrupted(), tf.device("/CPU:0"):
            yield
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)


def _tf_agents_parts() -> ModuleType:
    """Imports ``agent.py``, which takes seconds, without the notice that gym prints at import."""
    silent = ModuleType("gym_notices.notices")
    silent.notices = {}
    sys.modules.setdefault("gym_notices.notices", silent)
    return importlib.import_module("tuner_oracles.agent")
