"""The machines that train one network together, as ``TF_CONFIG`` describes them to TensorFlow."""

import json
import os
import zlib
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nas_tf.errors import ConfigError

_VARIABLE = "TF_CONFIG"
_JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Machines:
    """The number of machines, and which of them this is, from 0; that one leads the others."""

    count: int = 1
    number: int = 0

    @property
    def leads(self) -> bool:
        """True for the machine whose checkpoints and results are the training's."""
        return self.number == 0


def machines() -> Machines:
    """Returns the machines of the environment variable ``TF_CONFIG``; without it, this one."""
    text = os.environ.get(_VARIABLE, "")
    if not text:
        return Machines()
    try:
        described = json.loads(text)
        cluster = described.get("cluster") or {}
        addresses = [(job, n) for job in _JOBS for n in range(len(cluster.get(job, ())))]
        if others := cluster.keys() - set(_JOBS):
            raise ConfigError(f"{_VARIABLE} has the job {min(others)}, expected chief and worker")
        if len(addresses) < 2:
            return Machines()
        task = described["task"]
        return Machines(len(addresses), addresses.index((task["type"], int(task["index"]))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{_VARIABLE} is {text}, expected such as {_EXAMPLE}") from error


def check_agreement(strategy: tf.distribute.Strategy, machine: Machines, state: Any) -> None:
    """Raises unless this machine is about to train what all others are.

    Args:
        strategy: The strategy of all machines.
        machine: This machine among them.
        state: What has the same text on every machine: the network, its settings, the step.
    """
    own = zlib.crc32(str(state).encode())

    @tf.function(autograph=False)
    def summed() -> tf.Tensor:
        values = strategy.run(lambda: tf.constant(own, tf.float64))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    if float(summed()) != own * strategy.num_replicas_in_sync:
        raise ConfigError(
            f"machine {machine.number + 1} of {machine.count} differs from the others in "
            "configuration, genotype or step: give the same command on all machines, with one "
            "folder that they share"
        )
