"""How fast oracles learn: rewards over trials on synthetic spaces, against KerasTuner's own.

python benchmarks/oracles.py run --out out/oracles            # every run is kept; go on any time
python benchmarks/oracles.py tell --out out/oracles --docs docs/results

The reward is a hidden table: each value of each token has a worth, of which a part is shared by
tokens of one kind (a good operation is good in most places), pairs of tokens interact, and noise
is added. It is scaled so that random vectors have mean 0.5 and standard deviation 0.05.
"""

import argparse
import csv
import itertools
import json
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from nas_tf import quiet, spaces

SPREAD, NOISE = 0.05, 0.01
SEEDS = range(1, 11)
PROBLEMS = ("auxcell", "template", "xception")
# Trials a run: a Gaussian process over hundreds of trials takes seconds a proposal.
ORACLES = {
    "PPO": 1000,
    "evolution": 1000,
    "near-best": 1000,
    "random": 1000,
    "KerasTuner random": 1000,
    "KerasTuner Bayesian": 150,
    "PPO, papers' settings": 5000,
    "random, 5000": 5000,
}
LONG = ("PPO, papers' settings", "random, 5000")


class Reward:
    """The hidden table of one problem; noise is drawn by trial, alike for all oracles."""

    def __init__(self, sizes: dict[str, int], seed: int) -> None:
        self.names = list(sizes)
        rng = np.random.default_rng([seed, 77])
        shared: dict[tuple[str, int], np.ndarray] = {}
        self.worth = []
        for name, size in sizes.items():
            kind = (re.sub(r"\d+", "", name), size)
            shared.setdefault(kind, rng.normal(size=size))
            self.worth.append(shared[kind] + 0.5 * rng.normal(size=size))
        pairs = list(itertools.combinations(range(len(sizes)), 2))
        chosen = rng.choice(len(pairs), size=min(len(pairs), 2 * len(sizes)), replace=False)
        counts = list(sizes.values())
        self.pairs = [
            (first, second, rng.normal(size=(counts[first], counts[second])))
            for first, second in (pairs[index] for index in chosen)
        ]
        drawn = [[rng.integers(size) for size in counts] for _ in range(3000)]
        raw = [self._raw(vector) for vector in drawn]
        self.mean, self.std = float(np.mean(raw)), float(np.std(raw))
        self.noise = np.random.default_rng([seed, 78])

    def __call__(self, vector: list[int]) -> float:
        """The reward of one trial."""
        z = (self._raw(vector) - self.mean) / self.std
        return 0.5 + SPREAD * z + self.noise.normal(0, NOISE)

    def _raw(self, vector: list[int]) -> float:
        own = sum(table[value] for table, value in zip(self.worth, vector, strict=True))
        return own + sum(table[vector[a], vector[b]] for a, b, table in self.pairs)


def hyperparameters(problem: str) -> Any:
    """The problem's space as KerasTuner has it."""
    import keras_tuner as kt

    hp = kt.HyperParameters()
    if problem == "xception":
        kt.applications.HyperXception(input_shape=(71, 71, 3), classes=10).build(hp)
        hp.values = {}
        return hp
    for token in spaces.get(problem).tokens:
        hp.Choice(token.name, list(range(token.size)))
    return hp


def make(oracle: str, trials: int, seed: int, hp: Any) -> Any:
    """An oracle with its default settings."""
    import keras_tuner as kt

    import tuner_oracles

    makers: dict[str, Callable] = {
        "PPO": tuner_oracles.PPOOracle,
        "PPO, papers' settings": tuner_oracles.PPOOracle,
        "evolution": tuner_oracles.EvolutionOracle,
        "near-best": tuner_oracles.NearBestOracle,
        "random": tuner_oracles.RandomOracle,
        "random, 5000": tuner_oracles.RandomOracle,
        "KerasTuner random": kt.oracles.RandomSearchOracle,
        "KerasTuner Bayesian": kt.oracles.BayesianOptimizationOracle,
    }
    more = {"preset": "paper"} if "papers" in oracle else {}
    objective = kt.Objective("reward", "max")
    return makers[oracle](
        objective=objective, max_trials=trials, hyperparameters=hp, seed=seed, **more
    )


def search(problem: str, oracle: str, seed: int, out: Path) -> Path:
    """One search from start to end; its rewards and the oracle's seconds go to a file."""
    path = out / f"{problem}--{oracle.replace(' ', '_').replace(',', '')}--{seed}.json"
    if path.exists():
        return path
    quiet.load("tensorflow")
    from tuner_oracles.tokens import vocabulary

    hp = hyperparameters(problem)
    values = {one.name: list(vocabulary(one)) for one in hp.space}
    reward = Reward({name: len(choices) for name, choices in values.items()}, seed)
    rewards, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        made = make(oracle, ORACLES[oracle], seed, hp)
        made.verbose = 0
        made._set_project_dir(folder, "search")
        while True:
            begun = time.perf_counter()
            trial = made.create_trial("tuner0")
            taken = time.perf_counter() - begun
            if trial.status == "STOPPED":
                break
            told = trial.hyperparameters.values
            rewards.append(reward([values[name].index(told[name]) for name in values]))
            begun = time.perf_counter()
            made.update_trial(trial.trial_id, {"reward": rewards[-1]})
            trial.status = "COMPLETED"
            made.end_trial(trial)
            seconds.append(taken + time.perf_counter() - begun)
    done = {"rewards": np.round(rewards, 5).tolist(), "seconds": np.round(seconds, 5).tolist()}
    path.write_text(json.dumps(done))
    return path


def run(out: Path, only: list[str], jobs: int) -> None:
    """All searches that are not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = [
        (problem, oracle, seed)
        for oracle in only or ORACLES
        for problem in PROBLEMS
        for seed in SEEDS
        if not (oracle in LONG and problem == "xception")
    ]
    with ProcessPoolExecutor(jobs) as pool:
        begun = time.time()
        futures = [pool.submit(search, *one, out) for one in wanted]
        for count, future in enumerate(as_completed(futures), 1):
            print(f"{count}/{len(wanted)} {time.time() - begun:.0f} s {future.result().name}")
