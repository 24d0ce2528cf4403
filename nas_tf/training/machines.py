"""The machines that train one network together, as ``TF_CONFIG`` describes them to TensorFlow."""

import contextlib
import json
import logging
import os
import signal
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nas_tf.errors import ConfigError, EnvironmentFault

_LOG = logging.getLogger("nas_tf")
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


def joint_strategy() -> tf.distribute.Strategy:
    """Returns the strategy of all machines of ``TF_CONFIG``, once they know each other."""
    machine = machines()
    _LOG.warning("machine %d of %d waits for the others", machine.number + 1, machine.count)
    try:
        with _interruptible():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ConfigError(
            "TF_CONFIG has several machines, and TensorFlow has computed in this process "
            "before: start the training in a new one"
        ) from error
    except tf.errors.OpError as error:
        raise EnvironmentFault(
            f"{_VARIABLE}: machine {machine.number + 1} of {machine.count} cannot open its own "
            f"address, or cannot reach the first machine: {error.message}"
        ) from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end the process at once meanwhile, and termination afterwards.

    TensorFlow waits for other machines outside Python, where a handler of Python is not called,
    and then has a handler of its own that ignores termination.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {
        number: signal.getsignal(number) or signal.SIG_DFL
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def reporting_lost(machine: Machines) -> Iterator[None]:
    """Raises one line if another machine ends, or cannot be reached, meanwhile."""
    try:
        yield
    except tf.errors.OpError as error:
        if machine.count == 1:
            raise
        raise EnvironmentFault(
            "another machine has ended or cannot be reached: give the same command on all "
            "machines, and the training resumes from its last checkpoint"
        ) from error


def check_agreement(
    strategy: tf.distribute.Strategy | None, machine: Machines, state: Any
) -> None:
    """Raises unless this machine is about to train what all others are; alone, it always is.

    Args:
        strategy: The strategy of all machines.
        machine: This machine among them.
        state: What has the same text on every machine: the network, its settings, the step.
    """
    if machine.count == 1:
        return
    own = zlib.crc32(str(state).encode())

    @tf.function(autograph=False)
    def summed() -> tf.Tensor:
        values = strategy.run(lambda: tf.constant(own, tf.float64))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    if float(summed()) != own * strategy.num_replicas_in_sync:
        # The second sum ends on no machine before all have read the first. It fails where
        # another machine has ended after it.
        with contextlib.suppress(tf.errors.OpError):
            float(summed())
        raise ConfigError(
            f"machine {machine.number + 1} of {machine.count} differs from the others in "
            "configuration, genotype or step: give the same command on all machines, with one "
            "folder that they share"
        )
