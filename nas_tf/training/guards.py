"""Limits on a candidate's cost: it is refused before it trains, or stopped while it trains."""

import time

import psutil

from nas_tf.config.schema import Limits
from nas_tf.networks import Blueprint, Cost

_GIB = 1 << 30


class OverLimit(Exception):
    """A candidate that exceeds a limit; the message states the cost and the limit."""


class UnknownCost(Exception):
    """A candidate with a cost that cannot be predicted; the message states the reason."""


class Diverged(Exception):
    """A training whose loss or weights are no longer finite; earlier results stay valid."""


def check_cost(limits: Limits, counted: Cost) -> None:
    """Raises ``OverLimit`` if the exported network has too many parameters or multiply-adds."""
    for quantity, value, limit in (
        ("parameters", counted.params, limits.params),
        ("multiply-adds", counted.madds, limits.madds),
    ):
        if limit is not None and value > limit:
            raise OverLimit(f"{value:,} {quantity}, the limit is {limit:,}")


def check_latency(limits: Limits, latency_ms: float | None) -> None:
    """Raises ``OverLimit`` if the exported network takes too long."""
    limit = limits.latency_ms
    if latency_ms is not None and limit is not None and latency_ms > limit:
        raise OverLimit(f"{latency_ms:.4g} ms of latency, the limit is {limit:g} ms")


def check_memory(limits: Limits, blueprint: Blueprint, batch: int) -> None:
    """Raises ``OverLimit`` if the activations alone exceed the memory limit."""
    if limits.memory_gib is None:
        return
    needed = batch * activation_bytes(blueprint) / _GIB
    if needed > limits.memory_gib:
        raise OverLimit(
            f"{needed:.1f} GiB of activations at batch {batch}, "
            f"the limit is {limits.memory_gib:g} GiB"
        )


def activation_bytes(blueprint: Blueprint) -> int:
    """Returns the bytes of all layers' float32 outputs per image, most of which a step stores."""
    elements = (
        layer.size[0] * layer.size[1] * layer.channels for layer in blueprint.live().layers
    )
    return 4 * sum(elements)


class Guard:
    """Checks seconds and memory while a candidate trains; the time starts with the instance."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._started = limits, time.perf_counter()
        self._process = psutil.Process()

    def check(self) -> None:
        """Raises ``OverLimit`` if a limit is exceeded; the caller checks at every step."""
        limits = self._limits
        if limits.seconds is not None:
            seconds = time.perf_counter() - self._started
            if seconds > limits.seconds:
                raise OverLimit(f"{seconds:.0f} s, the limit is {limits.seconds:g} s")
        if limits.memory_gib is not None:
            held = self._process.memory_info().rss / _GIB
            if held > limits.memory_gib:
                raise OverLimit(
                    f"{held:.1f} GiB held while training, the limit is {limits.memory_gib:g} GiB"
                )
