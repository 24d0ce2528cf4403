"""The parts of the controller from tf-agents: networks, agent, time steps, trajectories.

This module is imported through ``controller.py`` only: tf-agents takes seconds to import.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.keras_layers import dynamic_unroll_layer
from tf_agents.networks import lstm_encoding_network, network
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

_FIRST, _MID, _LAST = 0, 1, 2


class Actor(network.Network):
    """An LSTM over (position, previous token) that outputs logits of the position's own symbols.

    The authors' controller does not receive its own samples as input; here each token is sampled
    given the previous ones. Layers have names since variables are sorted by name, and Keras's
    numbering depends on all other layers that the process has built.
    """

    def __init__(self, mask: np.ndarray, units: int, layers: int) -> None:
        length, symbols = mask.shape
        spec = _observation_spec(length, symbols)
        body = lstm_encoding_network.LSTMEncodingNetwork(
            spec,
            preprocessing_layers={
                "position": tf.keras.layers.Embedding(length, units, name="position"),
                "previous": tf.keras.layers.Embedding(symbols + 1, units, name="previous"),
            },
            preprocessing_combiner=tf.keras.layers.Add(name="input"),
            input_fc_layer_params=None,
            output_fc_layer_params=None,
            lstm_size=None,
            rnn_construction_fn=lambda: _lstm(units, layers),
            name="body",
        )
        super().__init__(spec, body.state_spec, "actor")
        self._body = body
        self._heads = tf.keras.layers.Dense(symbols, name="heads")
        self._mask = tf.constant(mask)

    def call(
        self,
        observation: Any,
        step_type: Any = None,
        network_state: Any = (),
        training: Any = False,
    ) -> tuple[Any, Any]:
        """Returns the next token's distribution and the LSTM's state."""
        hidden, state = self._body(
            observation, step_type=step_type, network_state=network_state, training=training
        )
        logits = self._heads(hidden) + tf.gather(self._mask, observation["position"])
        return tfp.distributions.Categorical(logits=logits, dtype=tf.int32), state


class NoCritic(network.Network):
    """A critic whose value is always zero: the papers have a reward baseline and no critic."""

    def __init__(self, length: int, symbols: int) -> None:
        super().__init__(_observation_spec(length, symbols), (), "no_critic")

    def call(
        self,
        observation: Any,
        step_type: Any = None,
        network_state: Any = (),
        training: Any = False,
    ) -> tuple[Any, Any]:
        """Returns zeros."""
        return tf.zeros_like(observation["position"], tf.float32), network_state


class BaselineAgent(ppo_clip_agent.PPOClipAgent):
    """PPO whose advantage, reward less baseline, is stored as the reward of every frame.

    tf-agents always normalises advantages within the batch, which would replace the baseline by
    the batch's mean and leave a batch of one without a gradient.
    """

    def policy_gradient_loss(
        self,
        time_steps: Any,
        actions: Any,
        log_probs: Any,
        advantages: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Returns the clipped loss; the trajectory's rewards are the advantages."""
        return super().policy_gradient_loss(
            time_steps, actions, log_probs, time_steps.reward, *args, **kwargs
        )


def agent(
    mask: np.ndarray,
    units: int,
    layers: int,
    optimizer: Any,
    *,
    clip: float,
    entropy: float,
    gradient_clip: float,
) -> BaselineAgent:
    """Builds the agent for tokens whose foreign symbols are masked."""
    length, symbols = mask.shape
    return BaselineAgent(
        ts.time_step_spec(_observation_spec(length, symbols)),
        tensor_spec.BoundedTensorSpec((), tf.int32, 0, symbols - 1),
        optimizer=optimizer,
        actor_net=Actor(mask, units, layers),
        value_net=NoCritic(length, symbols),
        importance_ratio_clipping=clip,
        entropy_regularization=entropy,
        gradient_clipping=gradient_clip,
        discount_factor=1.0,
        value_pred_loss_coef=0.0,
        num_epochs=1,  # more are unrolled in the graph
        normalize_rewards=False,
        normalize_observations=False,
        greedy_eval=False,
    )


def time_step(position: tf.Tensor, previous: tf.Tensor) -> ts.TimeStep:
    """Returns the frame that samples the token of a position, for a batch of episodes."""
    step_type = tf.where(position == 0, _FIRST, _MID)
    zeros = tf.zeros_like(previous)
    return ts.TimeStep(
        zeros + step_type,
        tf.cast(zeros, tf.float32),
        tf.ones_like(previous, tf.float32),
        {"position": zeros + position, "previous": previous},
    )


def time_steps(symbols: np.ndarray, start: int) -> ts.TimeStep:
    """Returns all frames of complete episodes."""
    frames = _frames(symbols, start)
    zeros = np.zeros(symbols.shape, np.float32)
    step_types = np.full(symbols.shape, _MID, np.int32)
    step_types[:, 0] = _FIRST
    return ts.TimeStep(
        *map(tf.constant, (step_types, zeros, zeros + 1)),
        {name: tf.constant(array) for name, array in frames.items()},
    )


def episodes(
    symbols: np.ndarray, log_probs: np.ndarray, advantages: np.ndarray, alphabet: int
) -> trajectory.Trajectory:
    """Converts episodes to a tf-agents trajectory: a frame for each token, and one that ends it.

    The policy that sampled them is represented by distributions with the recorded probability on
    the sampled token and the rest on another symbol: only the ratio at that token counts.
    """
    symbols, log_probs = (
        np.concatenate([array, array[:, -1:]], axis=1) for array in (symbols, log_probs)
    )
    shape = symbols.shape
    logits = np.full((*shape, alphabet), -1e9, np.float32)
    others = np.log(np.maximum(-np.expm1(log_probs.astype(np.float64)), 1e-30))
    np.put_along_axis(logits, (symbols[..., None] + 1) % alphabet, others[..., None], -1)
    np.put_along_axis(logits, symbols[..., None], log_probs[..., None], -1)
    step_types = np.full(shape, _MID, np.int32)
    step_types[:, 0], step_types[:, -1] = _FIRST, _LAST
    next_step_types = np.roll(step_types, -1, axis=1)
    discounts = np.ones(shape, np.float32)
    discounts[:, -2] = 0
    rewards = np.repeat(advantages.astype(np.float32)[:, None], shape[1], axis=1)
    frames = _frames(symbols, alphabet)
    frames["position"][:, -1] -= (
        1  # the last frame samples nothing; any position in range is valid
    )
    return trajectory.Trajectory(
        step_type=tf.constant(step_types),
        observation={name: tf.constant(array) for name, array in frames.items()},
        action=tf.constant(symbols.astype(np.int32)),
        policy_info={"dist_params": {"logits": tf.constant(logits)}},
        next_step_type=tf.constant(next_step_types),
        reward=tf.constant(rewards),
        discount=tf.constant(discounts),
    )


def _frames(symbols: np.ndarray, start: int) -> dict[str, np.ndarray]:
    count, length = symbols.shape
    previous = np.concatenate([np.full((count, 1), start), symbols[:, :-1]], axis=1)
    position = np.tile(np.arange(length, dtype=np.int32), (count, 1))
    return {"position": position, "previous": previous.astype(np.int32)}


def _observation_spec(length: int, symbols: int) -> dict[str, Any]:
    return {
        "position": tensor_spec.BoundedTensorSpec((), tf.int32, 0, length - 1),
        "previous": tensor_spec.BoundedTensorSpec((), tf.int32, 0, symbols),
    }


def _lstm(units: int, layers: int) -> dynamic_unroll_layer.DynamicUnroll:
    cells = [tf.keras.layers.LSTMCell(units, name=f"lstm_{index}") for index in range(layers)]
    return dynamic_unroll_layer.DynamicUnroll(
        tf.keras.layers.StackedRNNCells(cells, name="stack"), name="unroll"
    )
