"""Measures how many candidates the paper's gate admits, by how fast its chance falls.

python benchmarks/gate.py docs/results/camvid_search/*/trials.csv --docs docs/results

Replays the gate on the stage-one rewards of finished searches, in their order and, for longer
searches, sampled from them with replacement; by many seeds, since a search has only one.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nas_tf.config import schema
from nas_tf.training import gate

ANNEALS = (0.99, 0.95, 0.9, 0.8)
BUDGETS = (100, 1000, 10_000)
SEEDS = 50


def rewards(path: Path) -> list[float]:
    """Reads the rewards of stage one, in the order in which trials were proposed."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["trial"])
    return [float(row["stage_one"]) for row in rows if row["stage_one"]]


def passed(values: Sequence[float], anneal: float, seed: int) -> float:
    """Returns the share of candidates that the gate admits to stage two."""
    admission = gate.make(schema.Gate(anneal=anneal), seed)
    return float(np.mean([admission.admits(value) for value in values]))


def rows(found: dict[str, list[float]], seeds: int) -> Iterator[list[str]]:
    """Yields a row per search, then a row per budget."""
    for name, values in found.items():
        yield [name, str(len(values)), *_shares([values] * seeds)]
    pool = np.concatenate(list(found.values()))
    for budget in BUDGETS:
        sampled = (np.random.default_rng((seed, budget)).choice(pool, budget) for seed in range(5))
        yield ["drawn from all", f"{budget:,}", *_shares([item.tolist() for item in sampled])]


def _shares(searches: Sequence[Sequence[float]]) -> Iterator[str]:
    for anneal in ANNEALS:
        shares = [passed(values, anneal, seed) for seed, values in enumerate(searches)]
        low, high = np.quantile(shares, [0.05, 0.95])
        yield f"{np.mean(shares):.0%} ({low:.0%}–{high:.0%})"


PAGE = """\
# The gate: how many go on to stage two

Command: `python benchmarks/gate.py {names} --docs docs/results`.

The paper's gate lets a candidate below the running mean through by a chance that begins at 0.9 and
falls; it does not say how. Here it is multiplied by `gate.anneal` after every such candidate. The
table replays it on stage-one rewards of CamVid searches: the share of candidates that went on to
stage two, its mean and the middle nine tenths over {seeds} seeds (five for drawn ones).

| rewards | trials | {anneals} |
|---|---:|{bars}
{rows}
"""


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, nargs="+", help="trials.csv of searches")
    parser.add_argument("--docs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    found = {path.parent.name: rewards(path) for path in arguments.tables}
    text = PAGE.format(
        names=" ".join(f"{name}/trials.csv" for name in found),
        seeds=arguments.seeds,
        anneals=" | ".join(f"anneal {item:g}" for item in ANNEALS),
        bars="---:|" * len(ANNEALS),
        rows="\n".join(f"| {' | '.join(row)} |" for row in rows(found, arguments.seeds)),
    )
    (arguments.docs / "gate.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
