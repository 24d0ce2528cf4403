"""A small search with a reward that costs nothing, for the tests of oracles."""

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras_tuner as kt

from tuner_oracles import RandomOracle
from tuner_oracles.ledger import NAME

GOAL = kt.Objective("score", "max")


def space(tokens: int = 6, values: int = 4) -> kt.HyperParameters:
    hp = kt.HyperParameters()
    for index in range(tokens):
        hp.Choice(f"op{index}", [f"v{value}" for value in range(values)])
    hp.Fixed("width", 48)
    return hp


def score(values: dict[str, Any]) -> float:
    """Returns a score that is best if each token has the value of its position; pairs interact."""
    ops = [int(value[1]) for name, value in values.items() if name.startswith("op")]
    correct = [op == index % 4 for index, op in enumerate(ops)]
    pairs = sum(a and b for a, b in pairwise(correct))
    return (sum(correct) + pairs) / (2 * len(ops) - 1)


def place(oracle: kt.Oracle, folder: Path) -> kt.Oracle:
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "search")
    return oracle


def finish(oracle: Any, trial: Any, value: float) -> None:
    oracle.update_trial(trial.trial_id, {"score": value})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def drive(oracle: Any, stop_after: int | None = None) -> None:
    """Runs trials to the end, or ``stop_after`` of them."""
    done = 0
    while done != stop_after:
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            return
        finish(oracle, trial, score(trial.hyperparameters.values))
        done += 1


def outcome(oracle: Any) -> list[tuple[str, dict[str, Any], str, float | None]]:
    """Returns all trials: id, values, status and score."""
    return [
        (trial_id, trial.hyperparameters.values, trial.status, trial.score)
        for trial_id, trial in oracle.trials.items()
    ]


def killed(complete: Path, folder: Path, lines: Sequence[bytes]) -> None:
    """Copies a search in the state after a kill; folders of trials are for people only."""
    shutil.copytree(complete, folder, ignore=shutil.ignore_patterns("trial_*"))
    (folder / "search" / NAME).write_bytes(b"".join(lines))


def made(folder: Path, trials: int = 10, **more: Any) -> RandomOracle:
    """Returns the oracle of a small random search in a folder."""
    return place(RandomOracle(GOAL, trials, hyperparameters=space(), seed=1, **more), folder)
