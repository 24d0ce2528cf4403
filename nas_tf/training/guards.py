"""What a candidate may cost: refused before it runs, stopped while it runs."""

import time

import psutil

from nas_tf.config.schema import Limits
from nas_tf.networks import Blueprint, Cost, cost

_GIB = 1 << 30


class OverLimit(Exception):
    """A candidate that costs more than it may; the message says what and how much."""


class CannotTell(Exception):
    """A candidate of which some cost can't be told; the message says why."""


def check_cost(limits: Limits, counted: Cost) -> None:
    """Refuses a network of too many parameters or multiply-adds as shipped."""
    for what, value, most in (
        ("parameters", counted.params, limits.params),
        ("multiply-adds", counted.madds, limits.madds),
    ):
        if most is not None and value > most:
            raise OverLimit(f"{value:,} {what}, the limit is {most:,}")


def check_latency(limits: Limits, latency_ms: float | None) -> None:
    """Refuses a network that takes too long as shipped."""
    most = limits.latency_ms
    if latency_ms is not None and most is not None and latency_ms > most:
        raise OverLimit(f"{latency_ms:.4g} ms of latency, the limit is {most:g} ms")


def check_memory(limits: Limits, blueprint: Blueprint, batch: int) -> None:
    """Refuses a network whose kept activations alone are beyond the limit."""
    if limits.memory_gib is None:
        return
    needed = batch * activation_bytes(blueprint) / _GIB
    if needed > limits.memory_gib:
        raise OverLimit(
            f"{needed:.1f} GiB of activations at batch {batch}, "
            f"the limit is {limits.memory_gib:g} GiB"
        )


def activation_bytes(blueprint: Blueprint) -> int:
    """What one image's outputs of all layers take in float32; a step has to keep most of them."""
    elements = (
        layer.size[0] * layer.size[1] * layer.channels for layer in blueprint.live().layers
    )
    return 4 * sum(elements)


def costs(blueprint: Blueprint) -> Cost:
    """What the network costs as shipped."""
    return cost(blueprint.deployed())


class Guard:
    """Watches seconds and memory while a candidate trains."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._began = limits, time.perf_counter()
        self._process = psutil.Process()

    def check(self) -> None:
        """Raises as soon as a limit is passed; called at every step."""
        limits = self._limits
        if limits.seconds is not None:
            seconds = time.perf_counter() - self._began
            if seconds > limits.seconds:
                raise OverLimit(f"{seconds:.0f} s, the limit is {limits.seconds:g} s")
        if limits.memory_gib is not None:
            held = self._process.memory_info().rss / _GIB
            if held > limits.memory_gib:
                raise OverLimit(
                    f"{held:.1f} GiB held while training, the limit is {limits.memory_gib:g} GiB"
                )


class Diverged(Exception):
    """The loss is no number any more; what was learnt before is kept."""
