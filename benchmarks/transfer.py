"""Transfers a trained network to other tasks: CVPR paper, Tables 2 and 3, on the embedded scenes.

python benchmarks/transfer.py run --out OUT --epochs depth=20,pose=60 runs/camvid_auxcell-arch0
python benchmarks/transfer.py tell --out OUT --docs docs/results

For every task the network is trained once from its trained weights and once from its encoder's
ImageNet weights, by the same recipe for as long: the difference is the gain of the transfer. These
are runs of `nas-tf finetune` and `nas-tf train`, which resume where they were stopped.
"""

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas_tf import spaces
from nas_tf.genotype import Genotype

WAYS = {"transferred": "from the trained network", "anew": "from ImageNet's encoder"}
TASKS = {"depth": "shapes_depth", "pose": "shapes_pose"}
ABOUT = "transfer.json"


def commands(
    trained: Path, out: Path, epochs: Mapping[str, int], overrides: Sequence[str]
) -> dict[str, list[str]]:
    """Returns the arguments of nas-tf by the name of a run."""
    genotype = Genotype.from_json((trained / "genotype.json").read_text(encoding="utf-8"))
    found = {}
    for task, count in epochs.items():
        recipe = ["--config", TASKS[task], f"full_training.stages.0.epochs={count}", *overrides]
        for way in WAYS:
            name = f"{task}-{way}"
            first = ["finetune", str(trained), "--task", task]
            if way == "anew":
                section = spaces.space_of(genotype).section()
                space = section if isinstance(section, str) else json.dumps(section)
                first = ["train", str(genotype), f"space={space}"]
            found[name] = [*first, *recipe, "--out", str(out / name)]
    return found


def run(out: Path, wanted: Mapping[str, list[str]]) -> None:
    """Runs all trainings, one after another."""
    out.mkdir(parents=True, exist_ok=True)
    about = out / ABOUT
    before = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
    for name, arguments in wanted.items():
        if (out / name).exists() and before.get(name) != arguments:
            raise SystemExit(f"{out / name} is by another command, expected another --out")
    about.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    for name, arguments in wanted.items():
        if not (out / name / "result.json").exists():
            subprocess.run([sys.executable, "-m", "nas_tf", *arguments], check=True)


def write_page(out: Path, docs: Path) -> None:
    """Writes the page, and its figures as CSV."""
    runs = json.loads((out / ABOUT).read_text(encoding="utf-8"))
    records = {
        name: json.loads((out / name / "result.json").read_text(encoding="utf-8")) for name in runs
    }
    tasks = list(dict.fromkeys(name.rpartition("-")[0] for name in runs))
    rows = [
        (task, figure, *values) for task in tasks for figure, *values in figures(task, records)
    ]
    with (docs / "transfer.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["task", "figure", *WAYS])
        writer.writerows(rows)
    for task in tasks:
        picture = out / f"{task}-transferred" / "predictions.png"
        shutil.copyfile(picture, docs / f"transfer_{task}.png")
    sections = "\n".join(_section(task, records, runs) for task in tasks)
    (docs / "transfer.md").write_text(PAGE.format(sections=sections), encoding="utf-8")


def figures(task: str, records: Mapping[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Yields figures of both ways: first those of the task, then those of every joint."""
    both = [records[f"{task}-{way}"] for way in WAYS]
    for key in both[0]["result"]:
        yield key, *(item["result"][key] for item in both)
    label, *rest = both[0]["table"][0]
    for lines in zip(*(item["table"] for item in both), strict=True):
        if lines[0][label] not in both[0]["result"]:
            yield f"{lines[0][label]}, {rest[0]}", *(line[rest[0]] for line in lines)


def _section(task: str, records: Mapping[str, Any], runs: Mapping[str, list[str]]) -> str:
    names = [f"{task}-{way}" for way in WAYS]
    rows = "\n".join(
        f"| {figure} | {' | '.join(_cell(value) for value in values)} |"
        for figure, *values in figures(task, records)
    )
    return SECTION.format(
        task=task,
        split=records[names[0]]["split"],
        minutes=" and ".join(f"{records[name]['seconds'] / 60:.0f}" for name in names),
        ways=" | ".join(WAYS.values()),
        rows=rows,
        commands="\n".join(f"    nas-tf {_typed(runs[name])}" for name in names),
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _typed(arguments: list[str]) -> str:
    """Returns the arguments as typed, without the folders' locations on this machine."""
    return shlex.join(
        f"runs/{Path(argument).name}"
        if "/" in argument and not argument.startswith("[")
        else argument
        for argument in arguments
    )


PAGE = """\
# A network found by segmenting, taken to depth and pose

One network, by the same recipe for as long, once from the weights it was trained to on CamVid and
once with a new decoder on its encoder's ImageNet weights. Figures are those of the CVPR paper's
Tables 2 and 3, of the last weights on the split named, in float32. The data are the embedded drawn
scenes of 128 pixels, not the paper's: what can be read off is whether the network and its weights
carry over.
{sections}"""
SECTION = """
## {task} on `shapes`

| {split} | {ways} |
|---|---:|---:|
{rows}

{minutes} minutes of training:

{commands}

![{task} by the transferred network](transfer_{task}.png)

*Scenes, truths, and what the transferred network sees.*
"""


def main() -> None:
    """Runs the trainings, or writes their page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "tell"))
    parser.add_argument("trained", type=Path, nargs="?", help="a folder of `nas-tf train`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path, default=Path("docs/results"))
    parser.add_argument("--epochs", default="depth=20,pose=60")
    parser.add_argument("overrides", nargs="*", help="key=value for all trainings")
    arguments = parser.parse_intermixed_args()
    if arguments.what == "tell":
        write_page(arguments.out, arguments.docs)
        return
    if arguments.trained is None:
        parser.error("run takes the folder of a trained network")
    epochs = {task: int(count) for task, _, count in map(_parted, arguments.epochs.split(","))}
    run(arguments.out, commands(arguments.trained, arguments.out, epochs, arguments.overrides))


def _parted(text: str) -> tuple[str, str, str]:
    task, sign, count = text.partition("=")
    if task not in TASKS or not count.isdecimal():
        wanted = ", ".join(f"{item}=NUMBER" for item in TASKS)
        raise SystemExit(f"--epochs has {text!r}, expected some of {wanted}")
    return task, sign, count


if __name__ == "__main__":
    main()
