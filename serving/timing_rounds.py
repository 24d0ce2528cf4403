"""Several models timed in turns, so that what slows the machine for a while slows all of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from nas_tf.errors import ConfigError
from serving.measure import time_model

_SECONDS = 2.0


@dataclass(frozen=True)
class Row:
    """A model by one runtime on so many threads: the median of every round."""

    name: str
    size: int
    runtime: str
    threads: int
    medians: Sequence[float]


def measure(
    contents: Mapping[Path, bytes],
    runtimes: Mapping[str, ModuleType],
    counts: Sequence[int],
    rounds: int,
) -> Iterable[Row]:
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
        yield Row(path.name, len(contents[path]), runtime, threads, taken)


def _median(path: Path, content: bytes, threads: int, module: ModuleType) -> float:
    try:
        return time_model(content, threads=threads, seconds=_SECONDS, runtime=module).median_ms
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"{path} is no TFLite model that runs here: {error}") from error
