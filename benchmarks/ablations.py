"""Effects of Polyak averages, a teacher and auxiliaries on rewards: CVPR paper, Figures 3 and 4.

python benchmarks/ablations.py run --out OUT --teacher FILE camvid_auxcell \
    'stage_one.crop=[192,192]' stage_two=null threads=1         # resumes where it was stopped
python benchmarks/ablations.py tell --out OUT --page ablations --docs docs/results
python benchmarks/ablations.py run --out LONG --like OUT --count 12 --variants classifier,none \
    camvid_auxcell 'stage_one.crop=[192,192]' stage_one.epochs=25 stage_two=null threads=1

The same seeded genotypes are evaluated as configured and with one change, genotype by genotype, so
that the results are paired at any time. With ``--like`` the genotypes are those of another folder,
spread over its rewards from the best to the worst; the page then states whether the two folders
rank them alike.
"""

import argparse
import csv
import itertools
import json
import random
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from nas_tf import quiet, spaces
from nas_tf.config import load
from nas_tf.config.load import dump
from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.report.document import CYCLE, paper, sheet
from nas_tf.runs.statistics import paired, spearman

BASE = "as configured"
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "polyak": ("no Polyak averages", ("stage_one.polyak=null",)),
    "none": ("no auxiliaries", ("network.auxiliary=none",)),
    "classifier": ("auxiliary classifiers", ("network.auxiliary=classifier",)),
}
TEACHER = "a teacher as well"
GENOTYPES, SEED = 24, 7
STANDARD = "polyak,none"
RESULTS, ABOUT = "results.jsonl", "about.json"
Rewards = Mapping[str, Mapping[str, float]]
"""Rewards by variant and genotype."""


def chosen(space: str, count: int) -> list[Genotype]:
    """Samples ``count`` distinct genotypes by the seed."""
    rng, found = random.Random(SEED), {}
    while len(found) < count:
        sample = spaces.get(space).sample(rng)
        found.setdefault(str(sample), sample)
    return list(found.values())


def spread(rewards: Mapping[str, float], count: int) -> list[str]:
    """Returns genotypes from best to worst, each further one in the middle of the widest gap."""
    ranked = sorted(rewards, key=lambda reward: -rewards[reward])
    if count > len(ranked):
        raise SystemExit(f"--count is {count}, expected at most the {len(ranked)} genotypes there")
    places = [0, len(ranked) - 1]
    while len(places) < count:
        inner = sorted(places)
        low, high = max(itertools.pairwise(inner), key=lambda pair: pair[1] - pair[0])
        places.append((low + high) // 2)
    return [ranked[place] for place in places[:count]]


def changes(names: str, teacher: Path | None) -> dict[str, tuple[str, ...]]:
    """Returns overrides by variant, the unchanged configuration first."""
    found: dict[str, tuple[str, ...]] = {BASE: ()}
    for name in filter(None, names.split(",")):
        if name not in VARIANTS:
            raise SystemExit(f"--variants has {name}, expected some of {', '.join(VARIANTS)}")
        title, overrides = VARIANTS[name]
        found[title] = overrides
    if teacher is not None:
        found[TEACHER] = (f"teacher={teacher}",)
    return found


def run(
    out: Path,
    config: str,
    overrides: Sequence[str],
    genotypes: Sequence[Genotype],
    variants: Mapping[str, tuple[str, ...]],
) -> None:
    """Evaluates the genotypes and variants whose results are absent."""
    quiet.load("tensorflow")
    from nas_tf.training import gate, hardware
    from nas_tf.training.shared_data import SharedData
    from nas_tf.training.two_stage import TwoStage

    plain = load(config, overrides)
    hardware.use_threads(plain.threads)
    _claim(out, plain)
    done, evaluators = read(out), {}
    for genotype, name in itertools.product(genotypes, variants):
        if str(genotype) in done.get(name, {}):
            continue
        if name not in evaluators:
            both = ("stage_two.polyak=null",) * (
                "stage_one.polyak=null" in variants[name] and plain.stage_two is not None
            )
            changed = load(config, [*overrides, *variants[name], *both])
            evaluators[name] = TwoStage(changed, SharedData(changed))
        found = evaluators[name].evaluate(genotype, gate.make(plain.gate, plain.seed))
        seconds = sum(sum(stage.seconds.values()) for stage in found.stages)
        line = {"variant": name, "genotype": str(genotype), "reward": found.score}
        line |= {"params": found.params, "seconds": round(seconds, 1), "failed": found.failed}
        _append(out / RESULTS, json.dumps(line))
        print(f"{name}: {found.score:.4f} in {seconds:.0f} s, {genotype}", flush=True)


def _append(path: Path, line: str) -> None:
    """Appends a line, on a new line even if a kill cut the last one short."""
    is_complete = not path.exists() or path.read_bytes()[-1:] == b"\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if is_complete else chr(10)}{line}\n")


def _claim(out: Path, config: Config) -> None:
    """Records command and configuration; refuses a folder of another configuration."""
    out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/ablations.py", *sys.argv[1:]])
    path = out / ABOUT
    about = {"commands": [], "config": dump(config)}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["config"] != about["config"]:
            raise SystemExit(
                f"{out} holds results by another configuration, expected another --out"
            )
        about = before
    if command not in about["commands"]:
        about["commands"].append(command)
    path.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def read(out: Path) -> dict[str, dict[str, float]]:
    """Reads rewards by variant and genotype, without failures and incomplete lines."""
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
    """Yields a row per variant against the base configuration, over the genotypes of both."""
    yield "| variant | genotypes | mean reward | best | minus as configured | higher | rank |"
    yield "|---|---:|---:|---:|---|---:|---|"
    for name, own in rewards.items():
        common = [key for key in own if key in rewards[BASE]]
        off, on = ([item[key] for key in common] for item in (own, rewards[BASE]))
        cells = [str(len(off)), f"{np.mean(off):.4f}", f"{np.max(off):.4f}"]
        if name == BASE:
            cells += ["", "", ""]
        else:
            higher = np.mean(np.asarray(off) > np.asarray(on))
            cells += [str(paired(off, on) or ""), f"{higher:.0%}", str(spearman(off, on) or "")]
        yield f"| {name} | {' | '.join(cells)} |"


def draw(rewards: Rewards, path: Path, other: Mapping[str, float] | None) -> str:
    """Plots the variants, and the rewards against another folder's; returns the caption."""
    panels: list[tuple[Callable[[Axes], None], str]] = []
    if len(rewards) > 1 or other is None:
        panels.append(
            (
                lambda axes: _variants(axes, rewards),
                "a dot a genotype, a bar their median; lines join what one genotype has as "
                "configured and with one thing changed",
            )
        )
    if other is not None:
        panels.append(
            (
                lambda axes: _against(axes, rewards[BASE], other),
                "a dot a genotype, its reward there against the one here",
            )
        )
    with paper():
        figure, axes = sheet(1, len(panels), size=(3.5 + 3.5 * len(panels), 3.6))
        for panel_axes, (plot, _) in zip(axes, panels, strict=True):
            plot(panel_axes)
        figure.savefig(path)
    return "; next to it ".join(caption for _, caption in panels)


def _variants(axes: Axes, rewards: Rewards) -> None:
    for column, (name, own) in enumerate(rewards.items()):
        values = list(own.values())
        axes.scatter([column] * len(values), values, s=14, color=CYCLE[column], zorder=3)
        axes.hlines(np.median(values), column - 0.2, column + 0.2, color=CYCLE[column], lw=2)
        for key, value in own.items():
            if name != BASE and key in rewards[BASE]:
                axes.plot([0, column], [rewards[BASE][key], value], color="0.85", lw=0.5)
    axes.set_xticks(range(len(rewards)), list(rewards))
    axes.set_ylabel("reward")


def _against(axes: Axes, own: Mapping[str, float], other: Mapping[str, float]) -> None:
    common = [key for key in own if key in other]
    axes.scatter([other[key] for key in common], [own[key] for key in common], s=18)
    axes.set_xlabel("reward there")
    axes.set_ylabel("reward here")


def write_page(out: Path, docs: Path, page: str, like: Path | None) -> None:
    """Writes the page, its figure and a CSV of every reward."""
    rewards, about = read(out), json.loads((out / ABOUT).read_text(encoding="utf-8"))
    other = read(like)[BASE] if like else None
    caption = draw(rewards, docs / f"{page}.svg", other)
    with (docs / f"{page}.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["variant", "reward", "genotype"])
        for name, own in rewards.items():
            rows.writerows([name, value, genotype] for genotype, value in own.items())
    text = PAGE.format(
        commands="\n".join(f"    {_named(command, out, like)}" for command in about["commands"]),
        seed=SEED,
        table="\n".join(table(rewards)),
        page=page,
        caption=textwrap.fill(f"*{caption[0].upper()}{caption[1:]}.*", 99),
        ranks=_ranks(rewards[BASE], other, like.name) if like else "",
    )
    (docs / f"{page}.md").write_text(text, encoding="utf-8")


def _named(command: str, out: Path, like: Path | None) -> str:
    """Returns a command without the folders' locations on this machine."""
    names = {str(out): f"out/{out.name}"} | ({str(like): f"out/{like.name}"} if like else {})
    words = (names.get(word, word) for word in shlex.split(command))
    return shlex.join(Path(word).name if word.startswith("/") else word for word in words)


def _ranks(own: Mapping[str, float], other: Mapping[str, float], name: str) -> str:
    """Returns the section that compares the ranking with that of the other folder."""
    common = [key for key in own if key in other]
    a, b = ([item[key] for key in common] for item in (other, own))
    rows = "".join(
        f"| {other[key]:.4f} | {own[key]:.4f} | `{key}` |\n"
        for key in sorted(common, key=lambda key: -other[key])
    )
    rank = spearman(a, b) or "ρ can't be told of so few or equal rewards"
    return (
        f"\n## Against the rewards in out/{name}\n\nSpearman's {rank}; mean "
        f"{np.mean(a):.4f} there, {np.mean(b):.4f} here.\n\n"
        f"| there | here | genotype |\n|---:|---:|---|\n{rows}"
    )


PAGE = """\
# {page}: rewards with one thing changed

Commands, genotypes by seed {seed}, rewards on meta-val:

{commands}

{table}

![rewards]({page}.svg)

{caption}

Every reward is in [{page}.csv]({page}.csv). Differences are told with the p of
Wilcoxon's signed-rank test, `higher` is how often the changed one has the higher reward, and
`rank` is Spearman's correlation with the rewards as configured.
{ranks}"""


def main() -> None:
    """Runs the ablations, or writes their page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "tell"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path, default=Path("docs/results"))
    parser.add_argument("--page", default="ablations", help="name of the page and its files")
    parser.add_argument("--count", type=int, default=GENOTYPES)
    parser.add_argument("--variants", default=STANDARD, help=f"some of {','.join(VARIANTS)}")
    parser.add_argument("--teacher", type=Path, help="a trained network; adds a variant with it")
    parser.add_argument("--like", type=Path, help="a folder whose genotypes are taken")
    parser.add_argument("config", nargs="?", default="camvid_auxcell")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_intermixed_args()
    if arguments.what == "tell":
        write_page(arguments.out, arguments.docs, arguments.page, arguments.like)
        return
    space = load(arguments.config, arguments.overrides).space
    if arguments.like is None:
        genotypes = chosen(space, arguments.count)
    else:
        texts = spread(read(arguments.like)[BASE], arguments.count)
        genotypes = [spaces.get(space).parse(text) for text in texts]
    variants = changes(arguments.variants, arguments.teacher)
    run(arguments.out, arguments.config, arguments.overrides, genotypes, variants)


if __name__ == "__main__":
    main()
