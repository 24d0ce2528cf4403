"""What Polyak averages, the teacher and auxiliaries do to rewards: the CVPR paper's Figure 3.

python benchmarks/ablations.py run --out OUT camvid_auxcell 'stage_one.crop=[192,192]' \
    stage_two=null threads=1                                    # goes on where it was stopped
python benchmarks/ablations.py tell --out OUT --docs docs/results

The same seeded genotypes are evaluated with everything on and with one thing off, genotype by
genotype, so that what is there at any time is paired. Without a teacher in the configuration its
row is left out.
"""

import argparse
import csv
import itertools
import json
import random
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from nas_tf import quiet, spaces
from nas_tf.config import load
from nas_tf.config.load import dump
from nas_tf.config.schema import Experiment
from nas_tf.genotype import Genotype
from nas_tf.report.style import CYCLE, paper, sheet
from nas_tf.runs.statistics import paired, spearman

ON, POLYAK, TEACHER = "all on", "no Polyak averages", "no teacher"
VARIANTS: dict[str, tuple[str, ...]] = {
    ON: (),
    POLYAK: ("stage_one.polyak=null",),
    TEACHER: ("stage_one.distillation=0",),
    "no auxiliaries": ("network.auxiliary=none",),
}
GENOTYPES, SEED = 24, 7
RESULTS, ABOUT = "results.jsonl", "about.json"
Rewards = Mapping[str, Mapping[str, float]]
"""By variant and genotype."""


def chosen(space: str, count: int) -> list[Genotype]:
    """Different genotypes by the seed."""
    rng, found = random.Random(SEED), {}
    while len(found) < count:
        one = spaces.get(space).sample(rng)
        found.setdefault(str(one), one)
    return list(found.values())


def run(out: Path, config: str, overrides: Sequence[str], count: int) -> None:
    """Evaluates what is absent."""
    quiet.load("tensorflow")
    from nas_tf.training import gate, processor
    from nas_tf.training.groundwork import Groundwork
    from nas_tf.training.two_stage import TwoStage

    plain = load(config, overrides)
    processor.use_threads(plain.threads)
    _claim(out, plain)
    done, evaluators = read(out), {}
    for genotype, name in itertools.product(chosen(plain.space, count), VARIANTS):
        absent = str(genotype) not in done.get(name, {})
        if not absent or (name == TEACHER and plain.teacher is None):
            continue
        if name not in evaluators:
            second = name == POLYAK and plain.stage_two is not None
            both = ("stage_two.polyak=null",) * second
            changed = load(config, [*overrides, *VARIANTS[name], *both])
            evaluators[name] = TwoStage(changed, Groundwork(changed))
        found = evaluators[name].evaluate(genotype, gate.make(plain.gate, plain.seed))
        seconds = sum(sum(stage.seconds.values()) for stage in found.stages)
        line = {"variant": name, "genotype": str(genotype), "reward": found.reward}
        line |= {"params": found.params, "seconds": round(seconds, 1), "failed": found.failed}
        _append(out / RESULTS, json.dumps(line))
        print(f"{name}: {found.reward:.4f} in {seconds:.0f} s, {genotype}", flush=True)


def _append(path: Path, line: str) -> None:
    """Behind whatever a kill may have cut short."""
    whole = not path.exists() or path.read_bytes()[-1:] == b"\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if whole else chr(10)}{line}\n")


def _claim(out: Path, config: Experiment) -> None:
    """Writes what is run, or refuses a folder of something else."""
    out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/ablations.py", *sys.argv[1:]])
    about, kept = {"command": command, "config": dump(config)}, out / ABOUT
    if kept.exists() and json.loads(kept.read_text())["config"] != about["config"]:
        raise SystemExit(f"{out} holds results by another configuration, expected another --out")
    kept.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def read(out: Path) -> dict[str, dict[str, float]]:
    """Rewards by variant and genotype, without failures and lines that a kill cut short."""
    found: dict[str, dict[str, float]] = {}
    path = out / RESULTS
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if not line.get("failed"):
                found.setdefault(line["variant"], {})[line["genotype"]] = line["reward"]
    return found


def table(rewards: Rewards) -> Iterator[str]:
    """Each variant against everything on, over the genotypes that have both."""
    yield "| variant | mean reward | best | off minus on, paired | higher when off | rank |"
    yield "|---|---:|---:|---|---:|---|"
    for name, mine in rewards.items():
        common = [key for key in mine if key in rewards[ON]]
        off, on = ([one[key] for key in common] for one in (mine, rewards[ON]))
        cells = [f"{np.mean(off):.4f}", f"{np.max(off):.4f}"]
        if name == ON:
            cells += ["", "", ""]
        else:
            higher = np.mean(np.asarray(off) > np.asarray(on))
            cells += [str(paired(off, on) or ""), f"{higher:.0%}", str(spearman(off, on) or "")]
        yield f"| {name} | {' | '.join(cells)} |"


def draw(rewards: Rewards, path: Path) -> None:
    """A column a variant, a dot a genotype, a line from each to what it has with everything on."""
    with paper():
        figure, (axes,) = sheet(size=(7.0, 3.6))
        for column, (name, mine) in enumerate(rewards.items()):
            values = list(mine.values())
            axes.scatter([column] * len(values), values, s=14, color=CYCLE[column], zorder=3)
            axes.hlines(np.median(values), column - 0.2, column + 0.2, color=CYCLE[column], lw=2)
            for key, value in mine.items():
                if name != ON and key in rewards[ON]:
                    axes.plot([0, column], [rewards[ON][key], value], color="0.85", lw=0.5)
        axes.set_xticks(range(len(rewards)), list(rewards))
        axes.set_ylabel("reward")
        figure.savefig(path)


def tell(out: Path, docs: Path) -> None:
    """The page, its figure and every reward as CSV."""
    rewards, about = read(out), json.loads((out / ABOUT).read_text(encoding="utf-8"))
    draw(rewards, docs / "ablations.svg")
    with (docs / "ablations.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["variant", "reward", "genotype"])
        for name, mine in rewards.items():
            rows.writerows([name, value, genotype] for genotype, value in mine.items())
    text = PAGE.format(
        command=shlex.join(
            "out/ablations" if word == str(out) else word for word in shlex.split(about["command"])
        ),
        seed=SEED,
        counts=", ".join(f"{len(mine)} with {name}" for name, mine in rewards.items()),
        table="\n".join(table(rewards)),
    )
    (docs / "ablations.md").write_text(text, encoding="utf-8")


PAGE = """\
# What Polyak averages, the teacher and auxiliaries do

Command: `{command}`, genotypes by seed {seed}. Rewards on meta-val: {counts}.

{table}

![rewards by variant](ablations.svg)

*A dot a genotype, a bar their median; lines join what one genotype has with everything on and with
one thing off.* Every reward is in [ablations.csv](ablations.csv). Differences are told with the p
of Wilcoxon's signed-rank test; `rank` is Spearman's correlation with everything on.
"""


def main() -> None:
    """Runs or tells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "tell"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path, default=Path("docs/results"))
    parser.add_argument("--count", type=int, default=GENOTYPES)
    parser.add_argument("config", nargs="?", default="camvid_auxcell")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_intermixed_args()
    if given.what == "run":
        run(given.out, given.config, given.overrides, given.count)
    else:
        tell(given.out, given.docs)


if __name__ == "__main__":
    main()
