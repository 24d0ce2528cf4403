"""Many trials of the auxiliary-cell space at no cost; prints how time and memory went.

python long_search.py oracle|run FOLDER TRIALS

``oracle`` is PPO alone, ``run`` a whole tuner that writes the folder of a run.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_tuner as kt
import psutil

import tuner_oracles
from nas_tf import spaces
from tests.tuner_oracles.searches import GOAL, finish, place

Told = dict[str, list[float]]
_SAME = list(range(20_000))


class Meter:
    """Time and memory after each trial: on the clock, of the processor, and resident.

    ``yardstick`` is the processor's time for work that is always the same: a processor that is
    shared is now quicker and now slower.
    """

    def __init__(self) -> None:
        self.told: Told = {"seconds": [], "processor": [], "yardstick": [], "memory": []}
        self._process = psutil.Process()
        self._last = self._now()

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def __call__(self, *_: Any) -> None:
        """A trial has ended."""
        now = self._now()
        self.told["seconds"].append(now[0] - self._last[0])
        self.told["processor"].append(now[1] - self._last[1])
        self.told["memory"].append(self._process.memory_info().rss / 2**20)
        begun = time.process_time()
        json.loads(json.dumps(_SAME))
        self.told["yardstick"].append(time.process_time() - begun)
        self._last = self._now()


def oracle(folder: Path, trials: int, meter: Meter) -> None:
    hp = kt.HyperParameters()
    for token in spaces.get("auxcell").tokens:
        hp.Choice(token.name, list(range(token.size)))
    made = place(
        tuner_oracles.PPOOracle(GOAL, trials, hyperparameters=hp, seed=1, entropy=0.1), folder
    )
    for _ in range(trials):
        trial = made.create_trial("a")
        finish(made, trial, sum(trial.hyperparameters.values.values()) / 100)
        meter()


def run(folder: Path, trials: int, meter: Meter) -> None:
    from nas_tf.config import load
    from nas_tf.search import TwoStageTuner
    from nas_tf.search.hypermodel import OBJECTIVE
    from tests.search.quick import QuickModel

    config = load("shapes_auxcell", [f"search.trials={trials}", "search.tensorboard=false"])
    space = spaces.get("auxcell")
    tuner = TwoStageTuner(
        QuickModel.of(config, space),
        tuner_oracles.EvolutionOracle(OBJECTIVE, trials, seed=1),
        directory=folder,
        project_name="run",
        on_trial=meter,
    )
    tuner_oracles.search(tuner, verbose=0)


if __name__ == "__main__":
    kinds: dict[str, Callable[[Path, int, Meter], None]] = {"oracle": oracle, "run": run}
    measured = Meter()
    kinds[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]), measured)
    sys.stdout.write("\n" + json.dumps(measured.told))
