"""A search whose trials cost nothing but a given time, to be run and killed by tests.

python cheap_search.py FOLDER TRIALS SECONDS [name=value …]
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_tuner as kt

import tuner_oracles
from tests.tuner_oracles.searches import GOAL, score, space


class Cheap(kt.engine.base_tuner.BaseTuner):
    """Says who runs what, waits, and gives the score."""

    def run_trial(
        self, trial: kt.engine.trial.Trial, seconds: float, verbose: int
    ) -> dict[str, float]:
        line = f"{trial.trial_id} {self.tuner_id} {os.getpid()}\n"
        with open(os.path.join(self.project_dir, "runs.txt"), "a") as file:
            file.write(line)
        time.sleep(seconds)
        return {"score": score(trial.hyperparameters.values)}


def main() -> None:
    folder, trials, seconds, *more = sys.argv[1:]
    given = {name: json.loads(value) for name, value in (one.split("=") for one in more)}
    patience = given.pop("patience", 60)
    oracle = tuner_oracles.PPOOracle(
        GOAL,
        int(trials),
        hyperparameters=space(8),
        seed=5,
        window=8,
        every=8,
        minibatch=8,
        **given,
    )
    tuner = Cheap(oracle, directory=folder, project_name="search")
    tuner_oracles.search(tuner, seconds=float(seconds), verbose=0, patience=patience)


if __name__ == "__main__":
    main()
