"""Times the controller on this CPU: a proposal, an update and a checkpoint, after warm-up.

python benchmarks/controller.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nas_tf import quiet, spaces
from tuner_oracles.ppo import PRESETS, PPOSearcher
from tuner_oracles.tokens import Token

ROUNDS = 30


def median_ms(work: Callable[[int], object]) -> float:
    """Returns the median milliseconds of a call."""
    taken = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


def measure(space: str, preset: str) -> str:
    """Returns a line of figures for a space and a preset."""
    tokens = [Token(token.name, tuple(range(token.size))) for token in spaces.get(space).tokens]
    searcher = PPOSearcher(PRESETS[preset])
    searcher.start([token for token in tokens if len(token.values) > 1], seed=1)
    start = time.perf_counter()
    searcher.warm_up()
    warm_up = time.perf_counter() - start
    proposal = median_ms(searcher.propose)
    for number in range(searcher.config.window):
        searcher._window.append(_episode(searcher, number))
    searcher.baseline.update(0.5)
    update = median_ms(lambda _: searcher._update())
    with tempfile.TemporaryDirectory() as folder:
        searcher._since_checkpoint, searcher._fresh = 10**9, 0
        checkpoint = median_ms(lambda _: _checkpoint(searcher, Path(folder)))
    traces = searcher._controller._trained.experimental_get_tracing_count()
    return (
        f"{space:9} {preset:6} warm-up {warm_up:5.2f} s  proposal {proposal:5.2f} ms  "
        f"update {update:6.1f} ms  checkpoint {checkpoint:5.1f} ms  training traced {traces} x"
    )


def _episode(searcher: PPOSearcher, number: int) -> object:
    from tuner_oracles.ppo import Episode

    drawn = searcher.propose(number)
    return Episode(drawn.tokens, drawn.policy["log_probs"], 0.5 + 0.01 * (number % 7))


def _checkpoint(searcher: PPOSearcher, folder: Path) -> None:
    searcher._since_checkpoint = 10**9
    searcher.checkpoint(folder)


def main() -> None:
    """Prints a line for every space with every preset."""
    quiet.load("tensorflow")
    for space in spaces.SPACES:
        for preset in PRESETS:
            print(measure(space, preset))


if __name__ == "__main__":
    main()
