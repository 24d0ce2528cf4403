"""Two workers against one that has both cores, on the same genotypes and the same data.

python benchmarks/workers.py --out OUT [--config camvid_auxcell] [--trials 20] [key=value ...]

Half of the trials are one list, half another; one worker, two, two, one. Time is counted from the
first trial's beginning to the last one's end, so that neither pays for starting TensorFlow.
"""

import argparse
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from nas_tf.runs import Run

ORDER = ((1, 1), (2, 1), (2, 2), (1, 2))
"""Workers, and the seed of the list they work at."""

PLAIN = ("gate.policy=open", "search.tensorboard=false")


def searched(out: Path, config: str, trials: int, overrides: list[str], turn: tuple) -> Run:
    """The run of one turn, which is searched unless it is there."""
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
    """Seconds from the first trial's beginning to the last one's end."""
    times = [
        [datetime.fromisoformat(t) for t in (trial.started, trial.ended)] for trial in run.trials
    ]
    began, ended = min(start for start, _ in times), max(end for _, end in times)
    return (ended - began).total_seconds()


def main() -> None:
    """Prints each turn, and how much faster two workers are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--config", default="camvid_auxcell")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    took: dict[int, list[float]] = {1: [], 2: []}
    for turn in ORDER:
        run = searched(given.out, given.config, given.trials // 2, given.overrides, turn)
        took[turn[0]].append(span(run))
        median = statistics.median(trial.seconds for trial in run.trials)
        print(
            f"{turn[0]} workers, list {turn[1]}: {len(run.trials)} trials in {span(run):.0f} s, "
            f"median trial {median:.0f} s",
            flush=True,
        )
    print(f"two workers are {sum(took[1]) / sum(took[2]):.2f} times as fast as one")


if __name__ == "__main__":
    main()
