"""Compares trained networks: accuracy by class, costs, and their int8 TFLite models.

python benchmarks/final_networks.py --out OUT --docs docs/results runs/camvid_auxcell-arch0 ...

Takes folders of `nas-tf train` on one data set. Writes final_networks.md and .csv, or others by
--name, into --docs; the models, and a picture of images, truths and predictions, into --out, since
the photographs may not be ours to publish. An existing model is not converted again. --figure may
be repeated; without it, the page shows the task's usual figure.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from nas_tf import quiet

quiet.load("tensorflow")
quiet.load("keras_tuner")

from PIL import Image  # noqa: E402

from nas_tf import files  # noqa: E402
from nas_tf.jobs import trained  # noqa: E402
from nas_tf.spaces.published import PUBLISHED  # noqa: E402
from nas_tf.training import from_config, hardware  # noqa: E402
from nas_tf.training.full_run import RESULT  # noqa: E402
from serving import graph, lite_metadata, lite_runner, measure, parity, tflite  # noqa: E402

KINDS: tuple[tflite.Kind, ...] = ("int8",)
SAMPLES, SHOWN = 100, 4


@dataclass(frozen=True)
class Trained:
    """A trained network: name of its folder, network, training record, models and their scores."""

    name: str
    found: trained.LoadedNetwork
    record: Mapping[str, Any]
    models: Mapping[str, bytes]
    scores: Mapping[str, parity.Parity]


def network_of(folder: Path, out: Path) -> Trained:
    """Converts and scores the network of a folder."""
    found, models = trained.find(str(folder)), {}
    hardware.fuse_if_possible(found.shipment.blueprint)
    record = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    for kind in KINDS:
        path = out / f"{folder.name}-{kind}.tflite"
        if (
            not path.exists()
            or lite_metadata.read(path)["weights_sha256"] != found.shipment.digest
        ):
            samples = list(found.samples(SAMPLES))
            files.write(path, tflite.convert(found.shipment, kind, samples))
        models[kind] = path.read_bytes()
    answers = {kind: lite_runner.LiteModel(item, threads=2) for kind, item in models.items()}
    scores = parity.compare(found.shipment, answers, found.pictures(record["split"]))
    return Trained(folder.name, found, record, models, scores)


def timed(networks: Sequence[Trained], rounds: int) -> dict[tuple[str, str, int], float]:
    """Returns milliseconds by int8 model, runtime and threads; models are timed in turns."""
    contents = {Path(item.name): item.models["int8"] for item in networks}
    rows = measure.time_in_turns(contents, lite_runner.runtimes(), (1, 2), rounds)
    return {(row.name, row.runtime, row.threads): median(row.medians) for row in rows}


def costs(
    networks: Sequence[Trained], times: Mapping[Any, float], figures: Sequence[str]
) -> Iterator[str]:
    """Yields the rows of the table of costs, one per network."""
    runtimes = list(lite_runner.runtimes())
    columns = ["network", "epochs", "hours", "parameters", "multiply-adds"]
    columns += [name for figure in figures for name in (figure, f"{figure} as int8")]
    columns += ["int8 bytes", *(f"int8, {runtime}, 1 / 2 threads, ms" for runtime in runtimes)]
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    for item in networks:
        about, stages = item.found.shipment.about(), item.found.config.full_training.stages
        cells = [item.name, str(sum(stage.epochs for stage in stages))]
        cells += [f"{item.record['seconds'] / 3600:.1f}", f"{about['parameters']:,}"]
        cells += [f"{about['multiply_adds'] / 1e9:.2f} B"]
        results = [item.scores[kind].result for kind in ("keras", "int8")]
        cells += [f"{result[figure]:.4f}" for figure in figures for result in results]
        cells += [f"{len(item.models['int8']):,}"]
        for runtime in runtimes:
            own = (times[item.name, runtime, threads] for threads in (1, 2))
            cells.append(" / ".join(f"{value:.1f}" for value in own))
        yield f"| {' | '.join(cells)} |"


def by_class(networks: Sequence[Trained]) -> list[list[str]]:
    """Returns a row per class or joint and a column per network, with the first figure of each."""
    tables = [item.record["table"] for item in networks]
    label, figure = list(tables[0][0])[:2]
    rows = [[label, *(item.name for item in networks)]]
    for lines in zip(*tables, strict=True):
        values = (line[figure] for line in lines)
        shown = ("–" if value is None else f"{value:.4f}" for value in values)
        rows.append([lines[0][label], *shown])
    return rows


def picture(networks: Sequence[Trained], path: Path) -> None:
    """Writes rows of examples: image, truth, and every network's prediction."""
    columns = []
    for item in networks:
        shipment, rows = item.found.shipment, []
        task = shipment.task
        network = graph.network(shipment.blueprint, shipment.arrays, for_conversion=False)
        config, size = item.found.config, item.found.shipment.size
        shown = from_config.shown_pictures(config, item.record["split"], size).spread(SHOWN)
        for images, target in shown.batches(task, SHOWN):
            outputs = network(images)
            for n, image in enumerate(images.numpy()):
                goal = (
                    {k: v[n] for k, v in target.items()} if isinstance(target, dict) else target[n]
                )
                own = {name: values[n] for name, values in outputs.items()}
                drawn = task.picture(image, goal, own)
                rows.append(drawn[:, -image.shape[1] :] if columns else drawn)
        columns.append(np.concatenate(rows))
    Image.fromarray(np.concatenate(columns, axis=1)).save(path)


PAGE = """\
# {title}

Command: `python benchmarks/final_networks.py --out OUT{options} {names}`, on {device}.
Data: {data}, trained on `{train}`, scored on `{split}` at {size}, one scale, no mirror images,
last weights; int8 by TFLite on the same images, its ranges from {samples} training images.
Milliseconds are medians of {rounds} rounds in turns.

{costs}

## By class: {figure}

{classes}

Each network was trained by:

{commands}
"""


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path, required=True)
    parser.add_argument("--name", default="final_networks", help="Name of the page.")
    parser.add_argument("--title", default="Trained networks beside each other")
    parser.add_argument("--figure", action="append", help="A figure of the task, such as ap50.")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    names = [folder.name for folder in arguments.runs]
    if len(set(names)) < len(names):
        parser.error(f"folders of one name: {' '.join(names)}")
    for folder in (arguments.out, arguments.docs):
        folder.mkdir(parents=True, exist_ok=True)
    found = [network_of(folder, arguments.out) for folder in arguments.runs]
    picture(found, arguments.out / "predictions.png")
    page = arguments.docs / f"{arguments.name}.md"
    with page.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(by_class(found))
    figures = arguments.figure or [found[0].found.shipment.task.headline]
    text = page_text(found, arguments.title, figures, arguments.rounds)
    page.write_text(text, encoding="utf-8")


def page_text(networks: Sequence[Trained], title: str, figures: Sequence[str], rounds: int) -> str:
    """Returns the page, with all models timed."""
    first = networks[0]
    config = first.found.config
    return PAGE.format(
        title=title,
        options="".join(f" --figure {figure}" for figure in figures),
        names=" ".join(f"runs/{item.name}" for item in networks),
        device=measure.device(),
        data=config.data.name,
        train=config.data.train_split,
        split=first.record["split"],
        size="x".join(map(str, first.found.shipment.size)),
        samples=SAMPLES,
        rounds=rounds,
        costs="\n".join(costs(networks, timed(networks, rounds), figures)),
        figure=list(first.record["table"][0])[1],
        classes="\n".join(_table(by_class(networks))),
        commands="\n".join(f"- {item.name}: {_genotype(item)}" for item in networks),
    )


def _genotype(network: Trained) -> str:
    config = network.found.config
    full = config.full_training.stages[0]
    genotype = network.found.genotype
    names = {entry.genotype: name for name, entry in PUBLISHED.items()}
    towers = config.network.head_width
    return (
        f"`{names.get(genotype, genotype)}`, width {config.network.width or 'as published'}, "
        f"{'' if towers is None else f'towers {towers}, '}"
        f"batch {full.batch}, encoder {full.encoder.kind} {full.encoder.learning_rate:g}, decoder "
        f"{full.decoder.kind} {full.decoder.learning_rate:g}, {full.schedule.kind} schedule, "
        f"losses at {config.full_training.loss_at}, seed {config.seed}"
    )


def _table(rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(rows[0])} |"
    yield f"|---|{'---:|' * (len(rows[0]) - 1)}"
    for row in rows[1:]:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    main()
