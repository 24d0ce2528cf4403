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
from nas_tf.cli import _repeat_dropped_interrupts
from tests.tuner_oracles.searches import GOAL, score, space

ORACLES = {
    "PPOOracle": {"window": 8, "every": 8, "minibatch": 8},
    "EvolutionOracle": {"population": 8, "tournament": 3},
    "NearBestOracle": {},
    "RandomOracle": {},
}


class Cheap(kt.engine.base_tuner.BaseTuner):
    """Says who runs what, waits, and gives the score; ``deadly`` trials kill it."""

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

    def _hold(self, what: str) -> None:
        folder = Path(self.directory)
        while (folder / f"hold-{what}").exists():
            (folder / f"held-{what}").touch()
            time.sleep(0.01)


def search(
    folder: Path,
    trials: int,
    seconds: float,
    *,
    oracle: str = "PPOOracle",
    patience: float = 60,
    deadly: Sequence[str] = (),
    interrupts: int = 0,
    **given: Any,
) -> None:
    """Searches in ``folder/search``; what is given more is the oracle's."""
    made = getattr(tuner_oracles, oracle)(
        GOAL, trials, hyperparameters=space(8), seed=5, **ORACLES[oracle], **given
    )
    tuner = Cheap(made, directory=str(folder), project_name="search")
    tuner.deadly = deadly
    told = {"seconds": seconds, "verbose": 0, "patience": patience}
    if interrupts:
        made.warm_up()  # or no draw would come to its end
        again_and_again(tuner, trials, interrupts, told)
    else:
        tuner_oracles.search(tuner, **told)


def main() -> None:
    folder, trials, seconds, *more = sys.argv[1:]
    given = {name: json.loads(value) for name, value in (item.split("=") for item in more)}
    search(Path(folder), int(trials), float(seconds), **given)


def again_and_again(tuner: Cheap, trials: int, interrupts: int, told: dict[str, Any]) -> None:
    """As in a notebook: Ctrl-C at a random moment, and the cell is run again."""
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
    _repeat_dropped_interrupts()
    threading.Thread(target=press, daemon=True).start()
    while len(tuner.oracle.end_order) < trials:
        try:
            searching.set()
            tuner_oracles.search(tuner, **told)
            searching.clear()
        except KeyboardInterrupt:
            continue
    sys.stdout.write(f"interrupted {caught} times\n")


if __name__ == "__main__":
    main()
