"""What a search adds to its trials' own time: oracle, ledger, records, TensorBoard, pictures.

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
    """Seconds from the end of a trial to the beginning of its worker's next."""
    by_worker: dict[str, list[TrialRecord]] = {}
    for trial in run.trials:
        by_worker.setdefault(trial.worker, []).append(trial)
    for trials in by_worker.values():
        for item, after in itertools.pairwise(trials):
            begins, ended = map(datetime.fromisoformat, (after.started, item.ended))
            yield (begins - ended).total_seconds()


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
    print(f"within trials, beside their stages: {(own - staged) / own:.1%}")


if __name__ == "__main__":
    main()
