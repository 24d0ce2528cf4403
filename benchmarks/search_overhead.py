"""Measures a search's overhead over its trials: oracle, ledger, records, TensorBoard, pictures.

python benchmarks/search_overhead.py RUN
"""

import argparse
import itertools
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from nas_tf.runs import Run, TrialRecord


def gaps(run: Run) -> Iterator[float]:
    """Yields the seconds from the end of a trial to the start of its worker's next."""
    by_worker: dict[str, list[TrialRecord]] = {}
    for trial in run.trials:
        by_worker.setdefault(trial.worker, []).append(trial)
    for trials in by_worker.values():
        for before, after in itertools.pairwise(trials):
            started, ended = map(datetime.fromisoformat, (after.started, before.ended))
            yield (started - ended).total_seconds()


def main() -> None:
    """Prints the gaps and their share; pauses of a run that was interrupted count as gaps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = Run(parser.parse_args().run)
    waits, own = np.array(list(gaps(run))), sum(trial.seconds for trial in run.trials)
    staged = sum(sum(stage.seconds.values()) for trial in run.trials for stage in trial.stages)
    print(f"{len(run.trials)} trials, {own:.0f} s; stages alone {staged:.0f} s")
    print(
        f"between trials: median {np.median(waits):.2f} s, most {waits.max():.2f} s, in all "
        f"{waits.sum() / own:.1%} of the trials' time"
    )
    print(f"within trials, outside their stages: {(own - staged) / own:.1%}")


if __name__ == "__main__":
    main()
