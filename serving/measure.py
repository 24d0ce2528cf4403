"""How latency is measured: TFLite's interpreter with XNNPACK, fixed threads, warmed, the median.

One thread is timed by the processor's clock, which on an idle machine is that on the wall and on a
busy one leaves other processes out; several threads by the clock on the wall. What is timed are
inference graphs of their own, so that a network in training mode cannot be.
"""

import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nas_tf.errors import ConfigError
from nas_tf.networks.blueprint import Blueprint
from serving import lite_models, lite_runner

WARMUPS = 10
RUNS = 50
_LEAST = 7


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one run, over so many."""

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
        content: The model.
        threads: Of the interpreter.
        seconds: After which no further run begins, once there are seven.
        runtime: Whose interpreter, ``tf.lite`` or a module that has the same.
    """
    interpreter = _ready(content, threads, runtime)
    clock = time.thread_time if threads == 1 else time.perf_counter
    for _ in _until(WARMUPS, seconds / 4):
        interpreter.invoke()
    taken = []
    for _ in _until(RUNS, seconds):
        began = clock()
        interpreter.invoke()
        taken.append(1e3 * (clock() - began))
    median, p90 = np.percentile(taken, (50, 90))
    return Timing(float(median), float(p90), len(taken))


def time_network(blueprint: Blueprint, *, threads: int = 1) -> Timing:
    """Times a network as shipped, up to its logits, with random weights."""
    return time_model(lite_models.of_network(blueprint), threads=threads)


def device() -> str:
    """The processor's name."""
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


def _until(most: int, seconds: float) -> Iterator[int]:
    """Counts to ``most``, or to the least number if the time is up."""
    end = time.perf_counter() + seconds
    for count in range(most):
        if count >= _LEAST and time.perf_counter() > end:
            return
        yield count


_SECONDS = 2.0


@dataclass(frozen=True)
class TimedModel:
    """A model by one runtime on so many threads: the median of every round."""

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
    """A row for each model, runtime and number of threads."""
    medians: dict[tuple[Path, str, int], list[float]] = {}
    for _ in range(rounds):
        for threads in counts:
            for runtime, module in runtimes.items():
                for path, content in contents.items():
                    medians.setdefault((path, runtime, threads), []).append(
                        _median(path, content, threads, module)
                    )
    for (path, runtime, threads), taken in medians.items():
        yield TimedModel(path.name, len(contents[path]), runtime, threads, taken)


def _median(path: Path, content: bytes, threads: int, module: ModuleType) -> float:
    try:
        return time_model(content, threads=threads, seconds=_SECONDS, runtime=module).median_ms
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{path} is no TFLite model that runs here: {error}") from error
