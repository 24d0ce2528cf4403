"""A search whose trials cost nothing but a given time, to be run and killed by tests.

python cheap_search.py FOLDER TRIALS SECONDS [name=value …]
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_tuner as kt

import tuner_oracles
from tests.tuner_oracles.searches import GOAL, score, space

ORACLES = {
    "PPOOracle": {"window": 8, "every": 8, "minibatch": 8},
    "EvolutionOracle": {"population": 8, "tournament": 3},
    "NearBestOracle": {},
    "RandomOracle": {},
}


class Cheap(kt.engine.base_tuner.BaseTuner):
    """Says who runs what, waits, and gives the score."""

    def run_trial(
        self, trial: kt.engine.trial.Trial, seconds: float, verbose: int
    ) -> dict[str, float]:
        line = f"{trial.trial_id} {self.tuner_id} {os.getpid()}\n"
        with open(os.path.join(self.directory, "runs.txt"), "a") as file:
            file.write(line)
        time.sleep(seconds)
        return {"score": score(trial.hyperparameters.values)}


def search(
    folder: Path,
    trials: int,
    seconds: float,
    *,
    oracle: str = "PPOOracle",
    patience: float = 60,
    **given: Any,
) -> None:
    """Searches in ``folder/search``; what is given more is the oracle's."""
    made = getattr(tuner_oracles, oracle)(
        GOAL, trials, hyperparameters=space(8), seed=5, **ORACLES[oracle], **given
    )
    tuner = Cheap(made, directory=str(folder), project_name="search")
    tuner_oracles.search(tuner, seconds=seconds, verbose=0, patience=patience)


def main() -> None:
    folder, trials, seconds, *more = sys.argv[1:]
    given = {name: json.loads(value) for name, value in (one.split("=") for one in more)}
    search(Path(folder), int(trials), float(seconds), **given)


if __name__ == "__main__":
    main()
