"""A search whose trials cost only a given time, to be run and killed by tests.

python cheap_search.py FOLDER TRIALS SECONDS [name=value …]

While a file FOLDER/hold-TUNER exists, that tuner's trial does not end, and the tuner creates
FOLDER/held-TUNER to show it; FOLDER/hold-search holds all tuners before their first trial.
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
from nas_tf.jobs.interrupts import repeat_dropped
from tests.tuner_oracles.searches import GOAL, score, space

ORACLES = {
    "PPOOracle": {"window": 8, "every": 8, "minibatch": 8},
    "EvolutionOracle": {"population": 8, "tournament": 3},
    "NearBestOracle": {},
    "RandomOracle": {},
}


class Cheap(kt.engine.base_tuner.BaseTuner):
    """Logs the trial and its tuner, waits, and returns the score; ``deadly`` trials kill it."""

    deadly: Sequence[str] = ()

    def on_search_begin(self) -> None:
        self._hold("search")

    def run_trial(
        self, trial: kt.engine.trial.Trial, seconds: float, verbose: int
    ) -> dict[str, float]:
        line = f"{trial.trial_id} {self.tuner_id} {os.getpid()}\n"
        with open(os.path.join(self.directory, "runs.txt"), "a") as file:
            file.write(line)
        if trial.trial_id in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(seconds)
        self._hold(self.tuner_id)
        return {"score": score(trial.hyperparameters.values)}

    def _hold(self, name: str) -> None:
        folder = Path(self.directory)
        while (folder / f"hold-{name}").exists():
            (folder / f"held-{name}").touch()
            time.sleep(0.01)


def search(
    folder: Path,
    trials: int,
    seconds: float,
    *,
    oracle: str = "PPOOracle",
    timeout: float = 60,
    deadly: Sequence[str] = (),
    interrupts: int = 0,
    **given: Any,
) -> None:
    """Searches in ``folder/search``; further arguments are the oracle's."""
    search_oracle = getattr(tuner_oracles, oracle)(
        GOAL, trials, hyperparameters=space(8), seed=5, **ORACLES[oracle], **given
    )
    tuner = Cheap(search_oracle, directory=str(folder), project_name="search")
    tuner.deadly = deadly
    arguments = {"seconds": seconds, "verbose": 0, "timeout": timeout}
    if interrupts:
        search_oracle.warm_up()  # else no sample would be completed
        again_and_again(tuner, trials, interrupts, arguments)
    else:
        tuner_oracles.search(tuner, **arguments)


def main() -> None:
    folder, trials, seconds, *more = sys.argv[1:]
    given = {name: json.loads(value) for name, value in (item.split("=") for item in more)}
    search(Path(folder), int(trials), float(seconds), **given)


def again_and_again(tuner: Cheap, trials: int, interrupts: int, arguments: dict[str, Any]) -> None:
    """Presses Ctrl-C at random moments and searches again, as in a notebook."""
    searching, caught = threading.Event(), 0

    def interrupt(*_: object) -> None:
        nonlocal caught
        if searching.is_set():
            searching.clear()
            caught += 1
            raise KeyboardInterrupt

    def press() -> None:
        rng = random.Random(1)
        while caught < interrupts:
            searching.wait()
            time.sleep(rng.random() * 0.02)
            os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, interrupt)
    repeat_dropped()
    threading.Thread(target=press, daemon=True).start()
    while len(tuner.oracle.end_order) < trials:
        try:
            searching.set()
            tuner_oracles.search(tuner, **arguments)
            searching.clear()
        except KeyboardInterrupt:
            continue
    sys.stdout.write(f"interrupted {caught} times\n")


if __name__ == "__main__":
    main()
