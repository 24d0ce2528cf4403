"""Compares two workers with one that has both cores, on the same genotypes and data.

python benchmarks/workers.py --out OUT [--config camvid_auxcell] [--trials 20] [key=value ...]

There are two lists of trials, each half of them; one worker runs first, then two, two, one. Time
is counted from the start of the first trial to the end of the last, so that neither includes the
start of TensorFlow.
"""

import argparse
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from nas_tf.runs import Run

ORDER = ((1, 1), (2, 1), (2, 2), (1, 2))
"""Workers, and the seed of the list that they work on."""

PLAIN = ("gate.policy=open", "search.tensorboard=false")


def searched(out: Path, config: str, trials: int, overrides: list[str], turn: tuple) -> Run:
    """Runs the search of a turn, or resumes it, and returns its run."""
    workers, seed = turn
    folder = out / f"{workers}-workers-list-{seed}"
    command = [
        *(sys.executable, "-m", "nas_tf", "search", config, *PLAIN, *overrides, f"seed={seed}"),
        *("--oracle", "random", "--trials", str(trials), "--workers", str(workers)),
        *("--resume", "--out", str(folder)),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Run(folder)


def span(run: Run) -> float:
    """Returns the seconds from the start of the first trial to the end of the last."""
    times = [
        [datetime.fromisoformat(t) for t in (trial.started, trial.ended)] for trial in run.trials
    ]
    began, ended = min(start for start, _ in times), max(end for _, end in times)
    return (ended - began).total_seconds()


def main() -> None:
    """Prints each turn, and the speed of two workers relative to one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--config", default="camvid_auxcell")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in ORDER:
        run = searched(
            arguments.out, arguments.config, arguments.trials // 2, arguments.overrides, turn
        )
        seconds[turn[0]].append(span(run))
        median = statistics.median(trial.seconds for trial in run.trials)
        print(
            f"{turn[0]} workers, list {turn[1]}: {len(run.trials)} trials in {span(run):.0f} s, "
            f"median trial {median:.0f} s",
            flush=True,
        )
    print(f"two workers are {sum(seconds[1]) / sum(seconds[2]):.2f} times as fast as one")


if __name__ == "__main__":
    main()
