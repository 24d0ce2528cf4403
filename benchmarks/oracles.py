"""Measures how fast oracles learn: rewards over trials on synthetic spaces, against KerasTuner's.

python benchmarks/oracles.py run --out out/oracles            # every run is saved; resumes
python benchmarks/oracles.py tell --out out/oracles --docs docs/results

Every reward of the published runs is in docs/results/oracles_runs.tar.gz; extracted into out/,
`run` computes only absent runs.

The reward is a hidden table: each value of each token has a worth, part of which is shared by
tokens of one kind (a good operation is good in most places), pairs of tokens interact, and noise
is added. It is scaled so that random vectors have mean 0.5 and standard deviation 0.05. In
problems with collapses, some pairs of values, which 5 % of random vectors have, take another 0.25
to 0.45: networks that hardly learn are common among real candidates.
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
SEEDS = range(1, 21)
SPACES = ("auxcell", "template", "xception")
WITH_COLLAPSES = ", collapses"
PROBLEMS = (*SPACES, *(space + WITH_COLLAPSES for space in SPACES))
COLLAPSING, RAREST = 0.05, 0.02
MARKS, LAST = (60, 100, 200, 300, 1000), 20
# Trials per run: a Gaussian process over hundreds of trials takes seconds per proposal.
ORACLES = {
    "PPO": 1000,
    "PPO, imagined": 1000,
    "predictor": 1000,
    "evolution": 1000,
    "evolution, population 16": 1000,
    "near-best": 1000,
    "random": 1000,
    "KerasTuner random": 1000,
    "KerasTuner Bayesian": 100,
    "PPO, papers' settings": 5000,
}
LONG = "PPO, papers' settings"
GUIDED = ("PPO", "PPO, imagined", "predictor")
EVOLUTION = ("evolution", "evolution, population 16")
COMPARED = (100, 300)


class Reward:
    """The hidden table of one problem; noise is sampled per trial, the same for all oracles."""

    def __init__(self, sizes: dict[str, int], seed: int, *, collapses: bool = False) -> None:
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
        vectors = [[rng.integers(size) for size in counts] for _ in range(3000)]
        raw = [self._raw(vector) for vector in vectors]
        self.mean, self.std = float(np.mean(raw)), float(np.std(raw))
        self.noise = np.random.default_rng([seed, 78])
        self.fatal = self._fatal(np.array(vectors), seed) if collapses else []

    def __call__(self, vector: list[int]) -> float:
        """Returns the reward of a trial."""
        z = (self._raw(vector) - self.mean) / self.std
        reward = 0.5 + SPREAD * z + self.noise.normal(0, NOISE)
        if any(vector[a] == u and vector[b] == v for a, u, b, v in self.fatal):
            reward -= SPREAD * self.noise.uniform(5, 9)
        return reward

    def _fatal(self, vectors: np.ndarray, seed: int) -> list[tuple[int, int, int, int]]:
        """Returns pairs of positions and values that 5 % of the vectors have, each few of them."""
        rng, found = np.random.default_rng([seed, 79]), []
        collapsed = np.zeros(len(vectors), bool)
        while collapsed.mean() < COLLAPSING:
            a, b = sorted(rng.choice(vectors.shape[1], 2, replace=False))
            u, v = (rng.integers(vectors[:, place].max() + 1) for place in (a, b))
            having = (vectors[:, a] == u) & (vectors[:, b] == v)
            if 0 < having.mean() <= RAREST:
                found.append((int(a), int(u), int(b), int(v)))
                collapsed |= having
        return found

    def _raw(self, vector: list[int]) -> float:
        own = sum(table[value] for table, value in zip(self.worth, vector, strict=True))
        return own + sum(table[vector[a], vector[b]] for a, b, table in self.pairs)


def hyperparameters(problem: str) -> Any:
    """Returns the problem's space as KerasTuner's hyperparameters."""
    import keras_tuner as kt

    hp, space = kt.HyperParameters(), problem.removesuffix(WITH_COLLAPSES)
    if space == "xception":
        kt.applications.HyperXception(input_shape=(71, 71, 3), classes=10).build(hp)
        hp.values = {}
        return hp
    for token in spaces.get(space).tokens:
        hp.Choice(token.name, list(range(token.size)))
    return hp


def make(oracle: str, trials: int, seed: int, hp: Any) -> Any:
    """Makes an oracle with its default settings."""
    import keras_tuner as kt

    import tuner_oracles

    makers: dict[str, Callable] = {
        "PPO": tuner_oracles.PPOOracle,
        "PPO, imagined": tuner_oracles.PPOOracle,
        "PPO, papers' settings": tuner_oracles.PPOOracle,
        "predictor": tuner_oracles.PredictorOracle,
        "evolution": tuner_oracles.EvolutionOracle,
        "evolution, population 16": tuner_oracles.EvolutionOracle,
        "near-best": tuner_oracles.NearBestOracle,
        "random": tuner_oracles.RandomOracle,
        "KerasTuner random": kt.oracles.RandomSearchOracle,
        "KerasTuner Bayesian": kt.oracles.BayesianOptimizationOracle,
    }
    more = {
        LONG: {"preset": "paper"},
        "PPO, imagined": {"imagined": 8},
        "evolution, population 16": {"population": 16, "tournament": 4},
    }.get(oracle, {})
    objective = kt.Objective("reward", "max")
    return makers[oracle](
        objective=objective, max_trials=trials, hyperparameters=hp, seed=seed, **more
    )


def path_of(out: Path, problem: str, oracle: str, seed: int) -> Path:
    """Returns the path of a run's file."""
    names = (re.sub(r"[^A-Za-z0-9]+", "_", name) for name in (problem, oracle))
    return out / f"{'--'.join(names)}--{seed}.json"


def search(problem: str, oracle: str, seed: int, out: Path) -> Path:
    """Runs a complete search; its rewards and the oracle's seconds are written to a file."""
    path = path_of(out, problem, oracle, seed)
    if path.exists():
        return path
    quiet.load("tensorflow")
    from tuner_oracles.tokens import vocabulary

    hp = hyperparameters(problem)
    values = {item.name: list(vocabulary(item)) for item in hp.space}
    sizes = {name: len(choices) for name, choices in values.items()}
    reward = Reward(sizes, seed, collapses=WITH_COLLAPSES in problem)
    rewards, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        searcher = make(oracle, ORACLES[oracle], seed, hp)
        searcher.verbose = 0
        searcher._set_project_dir(folder, "search")
        while True:
            start = time.perf_counter()
            trial = searcher.create_trial("tuner0")
            taken = time.perf_counter() - start
            if trial.status == "STOPPED":
                break
            chosen = trial.hyperparameters.values
            rewards.append(reward([values[name].index(chosen[name]) for name in values]))
            start = time.perf_counter()
            searcher.update_trial(trial.trial_id, {"reward": rewards[-1]})
            trial.status = "COMPLETED"
            searcher.end_trial(trial)
            seconds.append(taken + time.perf_counter() - start)
    done = {"rewards": np.round(rewards, 5).tolist(), "seconds": np.round(seconds, 5).tolist()}
    path.write_text(json.dumps(done))
    return path


def run(out: Path, only: list[str], problems: list[str], jobs: int) -> None:
    """Runs all searches that are absent."""
    out.mkdir(parents=True, exist_ok=True)
    wanted = [
        (problem, oracle, seed)
        for oracle in only or ORACLES
        for seed in SEEDS
        for problem in problems or PROBLEMS
        if not (oracle == LONG and problem not in SPACES[:2])
    ]
    with ProcessPoolExecutor(jobs) as pool:
        start = time.time()
        futures = [pool.submit(search, *item, out) for item in wanted]
        for count, future in enumerate(as_completed(futures), 1):
            print(f"{count}/{len(wanted)} {time.time() - start:.0f} s {future.result().name}")


def gather(out: Path) -> dict[tuple[str, str], np.ndarray]:
    """Reads rewards by problem and oracle, one row per seed, of the existing runs."""
    found = {}
    for problem, oracle in itertools.product(PROBLEMS, ORACLES):
        paths = [path_of(out, problem, oracle, seed) for seed in SEEDS]
        rows = [json.loads(path.read_text())["rewards"] for path in paths if path.exists()]
        if rows:
            shortest = min(map(len, rows))
            found[problem, oracle] = np.array([row[:shortest] for row in rows])
    return found


def late(rewards: np.ndarray, end: int) -> np.ndarray:
    """Returns the mean of the last 20 rewards up to a trial, by seed."""
    return rewards[:, max(0, end - LAST) : end].mean(axis=1)


def write_page(out: Path, docs: Path) -> None:
    """Writes the page, the CSV and the figure of the existing runs."""
    found = gather(out)
    (docs / "oracles.md").write_text(page(found, seconds_a_trial(out)))
    with (docs / "oracles.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["problem", "oracle", "trial", "best_so_far", f"mean_of_last_{LAST}"])
        for (problem, oracle), rewards in found.items():
            best = np.maximum.accumulate(rewards, axis=1).mean(axis=0)
            for trial in range(LAST, rewards.shape[1] + 1, LAST):
                mean = late(rewards, trial).mean()
                writer.writerow([problem, oracle, trial, f"{best[trial - 1]:.4f}", f"{mean:.4f}"])
    draw(found).savefig(docs / "oracles.svg", metadata={"Date": None})


def page(found: dict[tuple[str, str], np.ndarray], seconds: dict[str, tuple[float, ...]]) -> str:
    """Returns the results as a page of the documentation."""
    lines = [
        "# How fast the oracles learn",
        "",
        "Output of `python benchmarks/oracles.py run --out OUT`, then `tell --out OUT`; default",
        "settings but for the second evolution's, another hidden table for each seed. Rewards",
        "are synthetic: a hidden worth of every value, shared in part by tokens of one kind,",
        f"interactions of pairs, and noise of {NOISE}. Random vectors have mean 0.5 and standard",
        f"deviation {SPREAD}. With collapses, some pairs of values, which {COLLAPSING:.0%} of",
        f"random vectors have, take another {5 * SPREAD:g} to {9 * SPREAD:g}, as networks that",
        "hardly learn do among real candidates. Spaces: auxiliary cells (19 tokens), templates",
        "(44), and that of KerasTuner's own `HyperXception`. Nothing here says how they compare",
        "on real networks.",
        "",
        f"Mean over seeds of the mean reward of the {LAST} trials up to trial n, and of the best",
        f"so far. p: Mann–Whitney, one-sided, the last {LAST} of 100 and of 300 trials against",
        "those of the better evolution. KerasTuner's Bayesian oracle draws its first trials at",
        "random, three a token: for templates 132, more than the 100 it had here, for a further",
        "one costs it half a minute to a minute there, and once ten.",
        "",
        f"![best so far and mean of the last {LAST}](oracles.svg)",
    ]
    for problem in PROBLEMS:
        if rows := table(problem, found):
            lines += ["", f"## {problem}", "", *rows]
    lines += [
        "",
        "## Cost",
        "",
        "Median, mean and 99th percentile of the oracle's own milliseconds a trial, files",
        "included, all problems together, on two cores that other work kept busy too:",
        "",
        "| oracle | median | mean | 99 % |",
        "|---|---|---|---|",
        *(f"| {name} | {' | '.join(f'{x:.1f}' for x in row)} |" for name, row in seconds.items()),
        "",
    ]
    return "\n".join(lines)


def table(problem: str, found: dict[tuple[str, str], np.ndarray]) -> list[str]:
    """Returns the rows of a problem's table, none without runs."""
    heads = [*(f"mean @{mark}" for mark in MARKS), *(f"best @{mark}" for mark in MARKS)]
    heads += [f"p @{mark}" for mark in COMPARED]
    rows = [f"| oracle | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for oracle in ORACLES:
        if (problem, oracle) not in found:
            continue
        rewards = found[problem, oracle]
        reached = [n <= rewards.shape[1] for n in MARKS]
        means = (late(rewards, n).mean() for n in MARKS)
        bests = (rewards[:, :n].max(axis=1).mean() for n in MARKS)
        cells = [
            f"{value:.3f}" if is_reached else ""
            for values in (means, bests)
            for value, is_reached in zip(values, reached, strict=True)
        ]
        cells += [against_evolution(problem, oracle, found, n) for n in COMPARED]
        rows.append(f"| {oracle} | {len(rewards)} | {' | '.join(cells)} |")
    return rows if len(rows) > 2 else []


def against_evolution(
    problem: str, oracle: str, found: dict[tuple[str, str], np.ndarray], trial: int
) -> str:
    """Returns p of an oracle of policies or predictions against the better evolution."""
    from scipy.stats import mannwhitneyu

    own = found[problem, oracle]
    rivals = [found[problem, name] for name in EVOLUTION if (problem, name) in found]
    if oracle not in GUIDED or not rivals or trial > own.shape[1]:
        return ""
    better = max((late(rewards, trial) for rewards in rivals), key=np.mean)
    return f"{mannwhitneyu(late(own, trial), better, alternative='greater').pvalue:.1e}"


def seconds_a_trial(out: Path) -> dict[str, tuple[float, float, float]]:
    """Returns median, mean and 99th percentile of milliseconds a trial, but for the first."""
    found = {}
    for oracle in ORACLES:
        paths = [path_of(out, problem, oracle, seed) for problem in PROBLEMS for seed in SEEDS]
        runs = [json.loads(path.read_text())["seconds"][20:] for path in paths if path.exists()]
        if runs:
            times = np.concatenate(runs) * 1000
            most = float(np.percentile(times, 99))
            found[oracle] = float(np.median(times)), float(times.mean()), most
    return found


def draw(found: dict[tuple[str, str], np.ndarray]) -> Any:
    """Plots best so far above, mean of the last 20 below; bands are the seeds' quartiles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(PROBLEMS), 7), layout="constrained")
    axes = figure.subplots(2, len(PROBLEMS), sharex=True, squeeze=False)
    for (problem, oracle), rewards in found.items():
        upper, lower = axes[:, PROBLEMS.index(problem)]
        rewards = rewards[:, :1000]
        trials = np.arange(1, rewards.shape[1] + 1)
        best = np.maximum.accumulate(rewards, axis=1)
        sums = np.cumsum(np.pad(rewards, ((0, 0), (1, 0))), axis=1)
        window = np.minimum(trials, LAST)
        mean = (sums[:, trials] - sums[:, trials - window]) / window
        style = "--" if "KerasTuner" in oracle or "," in oracle else "-"
        color = f"C{list(ORACLES).index(oracle)}"
        for axis, values in ((upper, best), (lower, mean)):
            plotted = values[:, 9::10]
            axis.plot(trials[9::10], plotted.mean(axis=0), style, color=color, label=oracle)
            low, high = np.percentile(plotted, [25, 75], axis=0)
            axis.fill_between(trials[9::10], low, high, color=color, alpha=0.12, linewidth=0)
            axis.grid(alpha=0.3)
        upper.set_title(problem)
        lower.set_xlabel("trial")
    axes[0, 0].set_ylabel("best so far")
    axes[1, 0].set_ylabel(f"mean of the last {LAST}")
    axes[0, 0].legend(fontsize="small")
    return figure


def main() -> None:
    """Runs the searches, or writes their page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "tell"))
    parser.add_argument("--out", type=Path, default=Path("out/oracles"))
    parser.add_argument("--docs", type=Path, default=Path("docs/results"))
    parser.add_argument("--only", nargs="*", choices=tuple(ORACLES), default=[])
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=[])
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what == "run":
        run(arguments.out, arguments.only, arguments.problems, arguments.jobs)
    else:
        write_page(arguments.out, arguments.docs)


if __name__ == "__main__":
    main()
