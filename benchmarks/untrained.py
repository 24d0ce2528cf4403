"""Measures how far scores without training rank candidates as the rewards of searches do.

    NAS_TF_DATA=... python benchmarks/untrained.py --out scores.csv camvid_auxcell TRIALS.csv ...

Takes a configuration and tables of trials, as every run has one in trials.csv; of a network that
was tried several times, the mean of its rewards counts. A second run continues the first.
"""

import argparse
import csv
import itertools
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

COLUMNS = ("genotype", "name", "score", "seconds")
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


def known(path: Path) -> list[Row]:
    """Returns the scores of an earlier run."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measure(options: argparse.Namespace) -> dict[str, list[tuple[float, float, float]]]:
    """Scores what has no score yet; returns score, reward and seconds of each network by name."""
    config = load(options.config, options.override)
    space, untrained = spaces.get(config.space), None
    done = {
        (space.canonical(space.parse(row["genotype"])), row["name"]): row
        for row in known(options.out)
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SCORES}
    with options.out.open("a", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if file.tell() == 0:
            table.writeheader()
        wanted = rewards(space, options.tables)
        for (genotype, reward), name in itertools.product(wanted.items(), SCORES):
            row = done.get((space.canonical(genotype), name))
            if row is None:
                if untrained is None:
                    prepare(config.data.name)
                    untrained = Untrained(config, SharedData(config))
                begin = time.perf_counter()
                score = untrained.score(name, genotype)
                seconds = round(time.perf_counter() - begin, 3)
                row = dict(zip(COLUMNS, map(str, (genotype, name, score, seconds)), strict=True))
                table.writerow(row)
                file.flush()
            found[name].append((float(row["score"]), reward, float(row["seconds"])))
    return found


def show(found: dict[str, list[tuple[float, float, float]]]) -> None:
    """Prints the rank correlation of each score with the reward, and its seconds."""
    print(
        "| score | networks | Spearman's ρ with the reward | median seconds |\n|---|---:|---|---:|"
    )
    for name, rows in found.items():
        finite = [row for row in rows if math.isfinite(row[0])]
        scores, values, seconds = zip(*finite, strict=True)
        ranks = spearman(scores, values)
        text = "–" if ranks is None else f"{ranks.rho:.2f} ({ranks.low:.2f} to {ranks.high:.2f})"
        print(f"| {name} | {len(finite)} | {text} | {statistics.median(seconds):.2f} |")


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
