"""Writes a page of trained restoration networks beside the noisy pictures and BM3D.

    python benchmarks/denoiser_results.py --title "Denoisers on BSDS500" --machine "2 cores" \\
        --denoisers docs/results/bsd500_denoisers.csv --int8 runs/found --pictures 20 \\
        --out docs/results/bsd500_networks --group "width 20" runs/found runs/skip ...

Each --group names trainings that are compared with its first one, as `nas-tf compare` does:
trainings that differ in their seed only are one network. --denoisers is what
`benchmarks/denoisers.py` printed for the same pictures. --int8 names a training whose network is
converted to 8 bits and scored, beside the float model, on evenly spaced pictures. Writes OUT.md
and a CSV file for each group into the folder OUT.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nas_tf.genotype import Genotype
from nas_tf.report import trainings
from nas_tf.report.trainings import TrainingComparison
from nas_tf.runs.trainings import Training
from nas_tf.spaces.published import PUBLISHED

DROPPED = ("epochs", "time each")


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--title", required=True)
    parser.add_argument("--machine", required=True, help="The machine, and what else ran on it.")
    parser.add_argument("--out", type=Path, required=True, help="Without a suffix.")
    parser.add_argument("--denoisers", type=Path, help="What benchmarks/denoisers.py printed.")
    parser.add_argument("--int8", type=Path, help="A training whose network is converted.")
    parser.add_argument("--pictures", type=int, default=20, help="Pictures to score it on.")
    parser.add_argument(
        "--group", nargs="+", action="append", required=True, metavar=("TITLE", "RUN")
    )
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"# {arguments.title}", "", f"Machine: {arguments.machine}.", ""]
    groups = [
        (title, TrainingComparison([Training(Path(run)) for run in runs]))
        for title, *runs in arguments.group
    ]
    lines += list(_data(groups[0][1].trainings[0]))
    if arguments.denoisers:
        lines += list(_denoisers(arguments.denoisers))
    for number, (title, comparison) in enumerate(groups, start=1):
        path = out / f"group{number}.csv"
        trainings.write_table(comparison, path)
        lines += list(_group(title, comparison, path, out.parent))
    if arguments.int8:
        lines += list(_in_eight_bits(arguments.int8, arguments.pictures))
    out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _data(training: Training) -> Iterator[str]:
    about = training.settings
    yield (
        f"Data: {about['data.name']}, trained on `{about['data.train_split']}`, scored on whole "
        f"pictures of `{training.record['split']}`, noise neither clipped nor rounded (protocol "
        "`standard`), last weights."
    )
    yield ""


def _denoisers(path: Path) -> Iterator[str]:
    """Yields the figures of methods that learn nothing."""
    with path.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    yield from _table(found)
    yield ""


def _group(title: str, comparison: TrainingComparison, path: Path, page: Path) -> Iterator[str]:
    """Yields a section with a row for each network, and how each was trained."""
    first = comparison.trainings[0]
    yield f"## {title[0].upper()}{title[1:]}"
    yield ""
    rows = []
    for group, row in zip(comparison.groups, trainings.rows(comparison), strict=True):
        steps = {"steps": str(group.trainings[0].record["steps"])}
        rows.append({"network": row["network"], **steps, **_without(row, (*DROPPED, "network"))})
    yield from _table(rows)
    yield ""
    yield from (f"- {line}" for line in comparison.lines)
    for group in comparison.groups:
        seeds = ", ".join(str(item.settings["seed"]) for item in group.trainings)
        shown = group.trainings[0]
        yield f"- {group.name}: `{_name(shown.genotype)}`, seed {seeds}, {_recipe(shown)}"
    yield ""
    yield (
        f"Every training is in [{path.name}]({path.relative_to(page)}); differences are in "
        f"{next(iter(first.figures))}, with Welch's 95 % interval."
    )
    yield ""


def _without(row: Mapping[str, str], keys: Sequence[str]) -> dict[str, str]:
    return {key: value for key, value in row.items() if key not in keys}


def _name(genotype: Genotype) -> str:
    names = {entry.genotype: name for name, entry in PUBLISHED.items()}
    return names.get(genotype, str(genotype))


def _recipe(training: Training) -> str:
    about = training.settings
    stage = {
        key.removeprefix("full_training.stages.0."): value
        for key, value in about.items()
        if key.startswith("full_training.stages.0.")
    }
    sigma = about["degradation.noise.sigma"]
    noise = f"{sigma:g}" if isinstance(sigma, float | int) else sigma
    return (
        f"width {about.get('network.width') or 20}, noise {noise}, "
        f"batch {stage['batch']}, {stage['decoder.kind']} {stage['decoder.learning_rate']:g}, "
        f"{stage['schedule.kind']} schedule, λ of SSIM {about.get('task.ssim_weight')}"
    )


def _in_eight_bits(folder: Path, pictures: int) -> Iterator[str]:
    """Yields what 8 bits cost, measured on pictures of 8 bits, as models on a device get them."""
    from nas_tf.jobs import exports, trained

    network = trained.find(str(folder))
    with tempfile.TemporaryDirectory() as place:
        written = exports.write(network, Path(place), ["int8"])
        found = exports.compare(network, written, pictures)
        size = written["int8"].stat().st_size
    yield f"## {folder.name} in 8 bits"
    yield ""
    yield from _table(
        [
            {"model": name, **{key: f"{value:.4f}" for key, value in item.result.items()}}
            for name, item in found.items()
        ]
    )
    yield ""
    yield (
        f"On {pictures} pictures of `{network.config.data.val_split}`, evenly spaced, whose noise "
        f"is clipped and rounded to bytes; the TFLite model has {size:,} bytes."
    )


def _table(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    yield f"| {' | '.join(rows[0])} |"
    yield f"|---|{'---:|' * (len(rows[0]) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row.values())} |"


if __name__ == "__main__":
    main()
