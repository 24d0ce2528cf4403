"""Writes a page of what a study measured: command, table, conclusions, figure, every score.

python benchmarks/study_results.py --title "Super-net and training" --machine "2 cores, no GPU" \
    --out docs/results/bsd500_study studies/bsd500_denoise

Writes OUT.md and, in the folder OUT, the figures and CSV files of settings and scores. --name
WORDS=TEXT replaces words of the command and of settings, such as the path of a super-net. --among
WORDS=TEXT compares the genotypes with some words, and those without, among themselves.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from nas_tf.report import document
from nas_tf.report import study as report
from nas_tf.runs.statistics import spearman
from nas_tf.runs.study import LONGER, Study

LEAST = 0.9


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--machine", required=True, help="The machine, and what else ran on it.")
    parser.add_argument("--out", type=Path, required=True, help="Without a suffix.")
    parser.add_argument(
        "--among",
        action="append",
        default=[],
        metavar="WORDS=TEXT",
        help="Compare genotypes that have these words, and the others, among themselves too.",
    )
    parser.add_argument("--name", action="append", default=[], help="WORDS=TEXT")
    arguments = parser.parse_args()
    among, names = (
        dict(item.rsplit("=", 1) for item in given) for given in (arguments.among, arguments.name)
    )
    with tempfile.TemporaryDirectory() as folder:
        _write(_renamed(arguments.study, names, Path(folder)), arguments, among, parser)


def _write(
    study: Study,
    arguments: argparse.Namespace,
    among: Mapping[str, str],
    parser: argparse.ArgumentParser,
) -> None:
    for words in among:
        if len({words in genotype for genotype in study.info.genotypes}) == 1:
            parser.error(
                f"--among: all genotypes have {words!r}, or none, expected a part of them"
            )
    out: Path = arguments.out
    text = "\n".join(_page(study, out.name, arguments.title, arguments.machine, among))
    write(study, out, text)


def write(study: Study, out: Path, text: str) -> None:
    """Writes the page, the figures and the tables."""
    out.mkdir(parents=True, exist_ok=True)
    report.write_table(study, out / "settings.csv")
    for name, figure in (("study", report.figure(study)), ("ranks", report.ranks(study))):
        document.save_figure(figure, out / name)
        (out / f"{name}.png").unlink(missing_ok=True)
    scores = list(_scores(study))
    with (out / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ("genotype", *study.info.settings), lineterminator="\n")
        table.writeheader()
        table.writerows(scores)
    out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")


def _page(
    study: Study, name: str, title: str, machine: str, among: Mapping[str, str]
) -> Iterator[str]:
    yield f"# {title}"
    yield ""
    yield f"Command: `{study.info.command}`. Machine: {machine}."
    yield ""
    yield "| setting | genotypes | ρ | 95 % | seconds a candidate | mean score |"
    yield "|---|---:|---:|---:|---:|---:|"
    for row in report.rows(study):
        known, mean = row["rho"] is not None, row["mean_score"]
        cells = (
            *(row["setting"], row["genotypes"]),
            f"{row['rho']:.2f}" if known else "",
            f"{row['low']:.2f} to {row['high']:.2f}" if known else "",
            *(row["seconds"], "" if mean is None else f"{mean:.4f}"),
        )
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    yield "ρ is Spearman's, with the scores of the last row; seconds are medians."
    yield from report.lines(study, LEAST)
    for words, text in among.items():
        yield from ("", "Among themselves:", "", *_parts(study, words, text))
    yield ""
    yield f"![Ranks in the {LONGER} against those under each setting]({name}/ranks.svg)"
    yield ""
    yield f"![ρ against seconds]({name}/study.svg)"
    yield ""
    yield f"Every score is in [scores.csv]({name}/scores.csv)."


def _parts(study: Study, words: str, text: str) -> Iterator[str]:
    """Yields sentences on the genotypes that have some words, and on the others."""
    for has, which in ((True, "with"), (False, "without")):
        texts = {item for item in study.info.genotypes if (words in item) is has}
        longer = [own.score for own, _ in study.pairs(LONGER) if own.genotype in texts]
        ranked = []
        for name in study.info.settings:
            pairs = [pair for pair in study.pairs(name) if pair[0].genotype in texts]
            own, other = ([pair[side].score for pair in pairs] for side in (0, 1))
            if name != LONGER and (found := spearman(own, other)) is not None:
                ranked.append(f"; {name} {found}")
        yield (
            f"- The {len(longer)} genotypes {which} {text} (`{words}`) score {min(longer):.4f} to "
            f"{max(longer):.4f} after the {LONGER}{''.join(ranked)}"
        )


def _scores(study: Study) -> Iterator[dict[str, object]]:
    """Yields a row for each genotype, its score by setting; a failed one is empty."""
    found = {(item.genotype, item.setting): item for item in study.results if not item.failed}
    for genotype in study.info.genotypes:
        row: dict[str, object] = {"genotype": genotype}
        for setting in study.info.settings:
            if (genotype, setting) in found:
                row[setting] = round(found[genotype, setting].score, 6)
        yield row


def _renamed(folder: Path, names: Mapping[str, str], copy: Path) -> Study:
    """Returns a copy of a study in which words have other names."""
    for path in folder.glob("*.json*"):
        text = path.read_text(encoding="utf-8")
        for words, instead in names.items():
            text = text.replace(words, instead)
        (copy / path.name).write_text(text, encoding="utf-8")
    return Study(copy)


if __name__ == "__main__":
    main()
