"""Measures how far scores without training rank candidates as the rewards of searches do.

    NAS_TF_DATA=... python benchmarks/untrained.py --out scores.csv camvid_auxcell TRIALS.csv ...

Takes a configuration and tables of trials, as every run has one in trials.csv; of a network that
was tried several times, the mean of its rewards counts. A second run continues the first.
"""

import argparse
import csv
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from nas_tf import quiet, spaces

quiet.load("tensorflow")

from nas_tf.config import load  # noqa: E402
from nas_tf.data import prepare  # noqa: E402
from nas_tf.genotype import Genotype  # noqa: E402
from nas_tf.runs.statistics import spearman  # noqa: E402
from nas_tf.training.shared_data import SharedData  # noqa: E402
from nas_tf.training.untrained import SCORES, Untrained  # noqa: E402

COLUMNS = ("genotype", "reward", "name", "score", "seconds")
Row = dict[str, str]


def rewards(space: spaces.SearchSpace, tables: Iterable[Path]) -> dict[Genotype, float]:
    """Returns the mean reward of each network that was scored."""
    found: dict[object, list[float]] = defaultdict(list)
    first: dict[object, Genotype] = {}
    for path in tables:
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["status"] == "completed":
                    genotype = space.parse(row["genotype"])
                    key = space.canonical(genotype)
                    found[key].append(float(row["reward"]))
                    first.setdefault(key, genotype)
    return {first[key]: statistics.fmean(values) for key, values in found.items()}


def measure(options: argparse.Namespace) -> list[Row]:
    """Scores what has no score yet, and returns all rows."""
    config = load(options.config, options.override)
    wanted = rewards(spaces.get(config.space), options.tables)
    rows: list[Row] = []
    if options.out.exists():
        with options.out.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    done = {(row["genotype"], row["name"]) for row in rows}
    untrained = None
    with options.out.open("a", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            table.writeheader()
        for genotype, reward in wanted.items():
            for name in SCORES:
                if (str(genotype), name) in done:
                    continue
                if untrained is None:
                    prepare(config.data.name)
                    untrained = Untrained(config, SharedData(config))
                begin = time.perf_counter()
                score = untrained.score(name, genotype)
                seconds = round(time.perf_counter() - begin, 3)
                row = dict(zip(COLUMNS, (genotype, reward, name, score, seconds), strict=True))
                rows.append({key: str(value) for key, value in row.items()})
                table.writerow(rows[-1])
                file.flush()
    return rows


def show(rows: Iterable[Row]) -> None:
    """Prints the rank correlation of each score with the reward, and its seconds."""
    print(
        "| score | networks | Spearman's ρ with the reward | median seconds |\n|---|---:|---|---:|"
    )
    for name in SCORES:
        own = [row for row in rows if row["name"] == name and math.isfinite(float(row["score"]))]
        scores, values = ([float(row[key]) for row in own] for key in ("score", "reward"))
        seconds = statistics.median(float(row["seconds"]) for row in own)
        found = spearman(scores, values)
        ranks = "–" if found is None else f"{found.rho:.2f} ({found.low:.2f} to {found.high:.2f})"
        print(f"| {name} | {len(own)} | {ranks} | {seconds:.2f} |")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE")
    show(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
