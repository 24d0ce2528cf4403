"""Our TFLite models against public ones, timed in turns in one run.

python benchmarks/deploy.py --out OUT [PEER.tflite ...]   # converts absent models, then times all
python benchmarks/deploy.py --out OUT --docs docs/results [PEER.tflite ...]

Published genotypes with random weights and statistics, 21 classes, at the peers' size: latency
does not depend on the weights. Ratios are to the first peer in int8 on the same
runtime and threads.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from nas_tf import files, networks, spaces
from nas_tf.networks.state import Arrays, initial_arrays
from nas_tf.tasks import Segmentation
from serving import lite_runner, measure, tflite
from serving.shipment import Shipment

FOUND = "[[[3,3],[1,2],[0,2]],[1,[1,1,0,7],[0,0,5,6],[5,6,6,3]]]"
"""The best of the CamVid search by PPO (docs/results/camvid_search.md)."""
GENOTYPES = {name: name for name in ("arch0", "arch1", "arch2", "wacv-arch0", "wacv-arch1")} | {
    "camvid-ppo-best": FOUND
}
KINDS: tuple[tflite.Kind, ...] = ("fp32", "int8")
GOAL, OURS = 0.6, "-int8.tflite"
CLASSES, SIZE, SAMPLES, ROUNDS = 21, (513, 513), 8, 5


def shipment(name: str, size: tuple[int, int] = SIZE) -> Shipment:
    """Returns a published network, or the best found, as a shipment."""
    text = GENOTYPES[name]
    space = None if text in spaces.PUBLISHED else "auxcell"
    genotype, task = spaces.resolve(text, space), Segmentation(CLASSES)
    blueprint = networks.blueprint_of(
        genotype,
        task.head,
        input_size=size,
        settings=networks.settings.published(genotype.space),
    )
    facts = {"classes": [str(n) for n in range(CLASSES)], "origin": {"kind": "random weights"}}
    return Shipment(name, task, blueprint, random_arrays(blueprint.deployed()), facts)


def random_arrays(blueprint: networks.Blueprint) -> Arrays:
    """Samples weights and statistics: initial ones would give int8 unusual ranges."""
    arrays, rng = initial_arrays(blueprint, seed=1), np.random.default_rng(2)
    ranges = {"gamma": (0.5, 1.5), "beta": (-0.2, 0.2), "mean": (-0.2, 0.2), "variance": (0.5, 2)}
    for (layer, role), value in arrays.items():
        if role in ranges:
            arrays[layer, role] = rng.uniform(*ranges[role], value.shape).astype(np.float32)
    return arrays


def converted(out: Path, names: Iterable[str] = GENOTYPES) -> Iterator[Path]:
    """Converts our models that are absent and yields the paths of these."""
    rng = np.random.default_rng(1)
    samples = [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(SAMPLES)]
    for name in names:
        for kind in KINDS:
            path = out / f"{name}-{kind}.tflite"
            if not path.exists():
                files.write(path, tflite.convert(shipment(name), kind, samples))
            yield path


def main() -> None:
    """Prints a table, and writes the page if ``--docs`` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = [*arguments.peers, *converted(arguments.out)]
    contents = {path: path.read_bytes() for path in paths}
    rows = list(measure.time_in_turns(contents, lite_runner.runtimes(), (1, 2), arguments.rounds))
    first = arguments.peers[0].name if arguments.peers else paths[0].name
    lines = [*table(rows, first), "", *goal(rows, first)]
    print("\n".join(lines))
    if arguments.docs:
        text = "\n".join(
            [
                *HEAD.format(device=measure.device(), rounds=arguments.rounds).splitlines(),
                "",
                *lines,
            ]
        )
        (arguments.docs / "deploy.md").write_text(f"{text}\n", encoding="utf-8")


def table(rows: list[measure.TimedModel], first: str) -> Iterator[str]:
    """Yields a row per model: milliseconds and ratio for each runtime and number of threads."""
    columns = list(dict.fromkeys((row.runtime, row.threads) for row in rows))
    found = {(row.name, row.runtime, row.threads): np.median(row.medians) for row in rows}
    sizes = {row.name: row.size for row in rows}
    heads = [f"{runtime}, {threads} thread{'s' * (threads > 1)}" for runtime, threads in columns]
    yield f"| model | bytes | {' | '.join(heads)} |"
    yield f"|---|---:|{'---:|' * len(columns)}"
    for name, size in sizes.items():
        cells = [
            f"{found[name, *column]:.1f} ms ({found[name, *column] / found[first, *column]:.2f})"
            for column in columns
        ]
        yield f"| {name.removesuffix('.tflite')} | {size:,} | {' | '.join(cells)} |"


def goal(rows: list[measure.TimedModel], first: str) -> Iterator[str]:
    """Compares our int8 models with the goal, for each runtime and number of threads."""
    yield f"The goal for int8 is at most {GOAL} of the first model's time:"
    yield ""
    for runtime, threads in dict.fromkeys((row.runtime, row.threads) for row in rows):
        times = {
            row.name: np.median(row.medians)
            for row in rows
            if (row.runtime, row.threads) == (runtime, threads)
        }
        ours = {name: times[name] / times[first] for name in times if name.endswith(OURS)}
        best = min(ours, key=lambda name: ours[name])
        reached = [name for name in sorted(ours, key=ours.get) if ours[name] <= GOAL]
        named = (f"{name.removesuffix(OURS)} {ours[name]:.2f}" for name in reached or [best])
        how = "reached by" if reached else "not reached, the nearest is"
        where = f"{runtime}, {threads} thread{'s' * (threads > 1)}"
        yield f"- {where}: {how} {', '.join(named)}."


HEAD = """\
# TFLite models against public ones

Output of `python benchmarks/deploy.py`: medians of {rounds} rounds in which every model has its
turn, on {device}, and in brackets the ratio to the first model. Public models are
Google's (Apache-2.0), 513x513, uint8. Ours are the published genotypes, and the best of the CamVid
search, at the same size with 21 classes and random weights, in the published settings, up to a
label map of full size. All are timed by the
same protocol; what they would score on the same data is another matter."""


if __name__ == "__main__":
    main()
