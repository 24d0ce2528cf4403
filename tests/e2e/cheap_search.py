"""A search whose trials cost nothing but a given time, to be run and killed by tests.

python cheap_search.py FOLDER TRIALS SECONDS [name=value …]

While there is a file FOLDER/hold-TUNER, that tuner's trial does not end, and it says that it has
come so far by FOLDER/held-TUNER; FOLDER/hold-search keeps all from their first trial.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras_tuner as kt

import tuner_oracles
from tests.tuner_oracles.searches import GOAL, score, space


class Cheap(kt.engine.base_tuner.BaseTuner):
    """Says who runs what, waits, and gives the score; ``deadly`` trials kill it."""

    deadly: Sequence[str] = ()

    def on_search_begin(self) -> None:
        self._hold("search")

    def run_trial(
        self, trial: kt.engine.trial.Trial, seconds: float, verbose: int
    ) -> dict[str, float]:
        line = f"{trial.trial_id} {self.tuner_id} {os.getpid()}\n"
        with open(os.path.join(self.project_dir, "runs.txt"), "a") as file:
            file.write(line)
        if trial.trial_id in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(seconds)
        self._hold(self.tuner_id)
        return {"score": score(trial.hyperparameters.values)}

    def _hold(self, what: str) -> None:
        folder = Path(self.directory)
        while (folder / f"hold-{what}").exists():
            (folder / f"held-{what}").touch()
            time.sleep(0.01)


def main() -> None:
    folder, trials, seconds, *more = sys.argv[1:]
    given = {name: json.loads(value) for name, value in (one.split("=") for one in more)}
    patience = given.pop("patience", 60)
    deadly, interrupts = given.pop("deadly", []), given.pop("interrupts", 0)
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
    tuner.deadly = deadly
    told = {"seconds": float(seconds), "verbose": 0, "patience": patience}
    if interrupts:
        oracle.warm_up()  # or no draw would come to its end
        again_and_again(tuner, int(trials), interrupts, told)
    else:
        tuner_oracles.search(tuner, **told)


def again_and_again(tuner: Cheap, trials: int, interrupts: int, told: dict[str, Any]) -> None:
    """As in a notebook: Ctrl-C at a random moment, and the cell is run again."""
    searching, times = threading.Event(), []

    def interrupt(*_: object) -> None:
        if searching.is_set():
            searching.clear()
            times.append(time.monotonic())
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=press, args=(interrupts,), daemon=True).start()
    while len(tuner.oracle.end_order) < trials:
        try:
            searching.set()
            tuner_oracles.search(tuner, **told)
        except KeyboardInterrupt:
            continue
    searching.clear()
    sys.stdout.write(f"interrupted {len(times)} times\n")


def press(times: int) -> None:
    rng = random.Random(1)
    for _ in range(times):
        time.sleep(rng.random() * 0.05)
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
