"""Measures latency: TFLite's interpreter with XNNPACK, fixed threads, after warm-up, the median.

One thread is timed by CPU time, which on an idle machine equals wall time and on a busy one
excludes other processes; several threads are timed by wall time. Only inference graphs are timed,
so a network in training mode cannot be measured by mistake. ``time_in_turns`` alternates between
models, runtimes and numbers of threads, so that changes of the machine's speed affect all alike.
"""

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import psutil

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Blueprint
from serving import lite_models, lite_runner

WARMUPS = 10
RUNS = 50
_MIN_RUNS = 7


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a run: the median and the 90th percentile of ``runs`` runs."""

    median_ms: float
    p90_ms: float
    runs: int


def time_model(
    content: bytes,
    *,
    threads: int = 1,
    seconds: float = 5.0,
    runtime: ModuleType | None = None,
) -> Timing:
    """Times a TFLite model on random input: 50 runs after 10, fewer if they take too long.

    Args:
        content: The content of the model file.
        threads: The number of threads of the interpreter.
        seconds: The time after which no further run starts, once there are seven.
        runtime: The module with the interpreter, ``tf.lite`` or one with the same interface.
    """
    interpreter = _ready(content, threads, runtime)
    clock = time.thread_time if threads == 1 else time.perf_counter
    for _ in _until(WARMUPS, seconds / 4):
        interpreter.invoke()
    times_ms = []
    for _ in _until(RUNS, seconds):
        start = clock()
        interpreter.invoke()
        times_ms.append(1e3 * (clock() - start))
    median, p90 = np.percentile(times_ms, (50, 90))
    return Timing(float(median), float(p90), len(times_ms))


def time_network(blueprint: Blueprint, *, threads: int = 1) -> Timing:
    """Times a network as shipped, up to its logits, with random weights."""
    return time_model(lite_models.of_network(blueprint), threads=threads)


def device() -> str:
    """Returns the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _ready(content: bytes, threads: int, runtime: ModuleType | None) -> Any:
    interpreter = lite_runner.opened(content, threads=threads, runtime=runtime)
    rng = np.random.default_rng(1)
    for detail in interpreter.get_input_details():
        is_pixels = detail["dtype"] == np.uint8
        values = (
            rng.integers(0, 256, detail["shape"])
            if is_pixels
            else rng.uniform(-1, 1, detail["shape"])
        )
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    return interpreter


def _until(limit: int, seconds: float) -> Iterator[int]:
    """Counts up to ``limit``, or to the minimum number of runs if the time is up."""
    end = time.perf_counter() + seconds
    for count in range(limit):
        if count >= _MIN_RUNS and time.perf_counter() > end:
            return
        yield count


_SECONDS_PER_TURN = 2.0


@dataclass(frozen=True)
class TimedModel:
    """A model's timing by one runtime and number of threads: the median of every round."""

    name: str
    size: int
    runtime: str
    threads: int
    medians: Sequence[float]


def time_in_turns(
    contents: Mapping[Path, bytes],
    runtimes: Mapping[str, ModuleType],
    counts: Sequence[int],
    rounds: int,
) -> Iterable[TimedModel]:
    """Times models in turns; yields a row for each model, runtime and number of threads."""
    medians: dict[tuple[Path, str, int], list[float]] = {}
    for _ in range(rounds):
        for threads in counts:
            for runtime, module in runtimes.items():
                for path, content in contents.items():
                    medians.setdefault((path, runtime, threads), []).append(
                        _median(path, content, threads, module)
                    )
    for (path, runtime, threads), per_round in medians.items():
        yield TimedModel(path.name, len(contents[path]), runtime, threads, per_round)


def _median(path: Path, content: bytes, threads: int, module: ModuleType) -> float:
    try:
        return time_model(
            content, threads=threads, seconds=_SECONDS_PER_TURN, runtime=module
        ).median_ms
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{path} is not a TFLite model that runs here: {error}") from error


_NEARLY_ALL, _NOTICEABLE = 0.75, 0.3


class ProcessorUse(NamedTuple):
    """Seconds of the clock, of use of all processors, and of use by this process and children."""

    clock: float
    busy: float
    own: float


def processor_use() -> ProcessorUse:
    """Returns the processor use up to now."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice
    return ProcessorUse(time.monotonic(), sum(times) - idle - guests, sum(os.times()[:4]))


def is_busy(before: ProcessorUse, after: ProcessorUse, processors: int) -> bool:
    """Returns whether others used a part of the processors while nearly all were in use."""
    seconds = max(after.clock - before.clock, 1e-9)
    busy = (after.busy - before.busy) / seconds
    others = busy - (after.own - before.own) / seconds
    return others > _NOTICEABLE and busy > _NEARLY_ALL * processors
