"""Many trials of the auxiliary-cell space with a reward of no cost; prints time and memory.

python long_search.py FOLDER TRIALS
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_tuner as kt
import psutil

import tuner_oracles
from nas_tf import spaces
from tests.tuner_oracles.searches import GOAL, finish, place


def main() -> None:
    folder, trials = Path(sys.argv[1]), int(sys.argv[2])
    hp = kt.HyperParameters()
    for token in spaces.get("auxcell").tokens:
        hp.Choice(token.name, list(range(token.size)))
    oracle = place(
        tuner_oracles.PPOOracle(GOAL, trials, hyperparameters=hp, seed=1, entropy=0.1), folder
    )
    seconds, own, memory = [], [], []
    for number in range(trials):
        begun, used = time.perf_counter(), time.process_time()
        trial = oracle.create_trial("a")
        values = trial.hyperparameters.values
        finish(oracle, trial, sum(values.values()) / 100)
        seconds.append(time.perf_counter() - begun)
        own.append(time.process_time() - used)
        if number % (trials // 10) == trials // 10 - 1:
            memory.append(psutil.Process().memory_info().rss / 2**20)
    sys.stdout.write(json.dumps({"seconds": seconds, "own": own, "memory": memory}))


if __name__ == "__main__":
    main()
