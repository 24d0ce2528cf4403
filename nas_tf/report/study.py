"""Reports a study as sentences, a table, and figures of ranks and of ρ against time."""

import csv
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from nas_tf.report.document import BLUE, GREY, INK, paper, sheet
from nas_tf.report.formatting import score
from nas_tf.runs.study import LONGER, Measured, Study, rho

_COLUMNS = 3
COLUMNS = ("setting", "genotypes", "rho", "low", "high", "seconds", "mean_score", "front")


def rows(study: Study) -> Iterator[dict[str, object]]:
    """Yields a row for each setting and each score without training.

    ``front`` marks the settings that no other beats.
    """
    front, untrained = {item.name for item in study.front}, study.untrained
    for item in [*study.measured, *untrained]:
        found = item.correlation
        yield {
            "setting": item.name,
            "genotypes": item.count,
            "rho": None if found is None else round(found.rho, 4),
            "low": None if found is None else round(found.low, 4),
            "high": None if found is None else round(found.high, 4),
            "seconds": round(item.seconds, 2),
            "mean_score": None if item in untrained else round(item.mean, 6),
            "front": item.name in front,
        }


def lines(study: Study, least: float) -> Iterator[str]:
    """Yields sentences on how complete the study is, and on the cheapest setting to trust."""
    total = len(study.info.genotypes) * len(study.info.settings)
    trained = [result for result in study.results if result.setting in study.info.settings]
    yield f"{len(trained)} of {total} trainings are done."
    failed = sum(result.failed for result in trained)
    if failed:
        yield f"{failed} of them failed and are left out."
    if not study.front:
        yield "Too few different scores for a rank correlation."
        return
    known = [item for item in study.untrained if item.correlation is not None]
    if known:
        best = max(known, key=rho)
        yield f"Without training, {best.name} rank best: {best.correlation}."
    chosen = study.cheapest(least)
    if chosen is None:
        best = max(study.front, key=rho)
        yield (
            f"No setting has ρ of {least:g} or more with the {LONGER}: the highest is that of "
            f"{best.name}, {best.correlation}."
        )
        return
    yield (
        f"The cheapest setting with ρ of {least:g} or more is {chosen.name}: "
        f"{chosen.correlation}, {chosen.seconds:.1f} s a candidate{_speed(study, chosen)}."
    )


def _speed(study: Study, chosen: Measured) -> str:
    """Returns how many trials it allows in the time of one as configured."""
    configured = study.measured[0]
    if configured.name == chosen.name or not chosen.seconds:
        return ""
    return f", {configured.seconds / chosen.seconds:.1f} trials in the time of one as configured"


def figure(study: Study) -> Figure:
    """Draws ρ with its interval against the seconds of a candidate, and the front."""
    with paper():
        drawing, (axes,) = sheet(size=(8.0, 4.2))
        front = {item.name for item in study.front}
        for item in study.measured:
            if (found := item.correlation) is None:
                continue
            colour = BLUE if item.name in front else GREY
            axes.plot([item.seconds] * 2, [found.low, found.high], color=colour, lw=1)
            axes.plot(item.seconds, found.rho, "o", color=colour)
            axes.annotate(
                item.name.replace("stage_one.", ""),
                (item.seconds, found.rho),
                textcoords="offset points",
                xytext=(5, 4),
                fontsize=7,
            )
        steps = [(item.seconds, rho(item)) for item in study.front]
        if steps:
            axes.step(*zip(*steps, strict=True), where="post", color=INK, lw=0.8)
        axes.set(xlabel="seconds a candidate", ylabel=f"ρ with the {LONGER}", xscale="log")
        return drawing


def ranks(study: Study) -> Figure:
    """Draws the ranks of genotypes under each setting against those in the longer training."""
    from scipy.stats import rankdata

    with paper():
        items = [item for item in study.measured if item.correlation is not None]
        columns = max(1, min(len(items), _COLUMNS))
        rows = max(1, -(-len(items) // columns))
        drawing, all_axes = sheet(rows, columns, size=(3.2 * columns, 2.9 * rows), share=True)
        for axes, item in zip(all_axes, items, strict=False):
            sides = zip(*study.pairs(item.name), strict=True)
            places = [rankdata([-result.score for result in side]) for side in sides]
            axes.plot(*places, "o", color=BLUE, markersize=3)
            axes.set_title(
                f"{item.name.replace('stage_one.', '')}\n{item.correlation}", fontsize=7
            )
            axes.set_xlabel("rank")
        for axes in all_axes[len(items) :]:
            axes.set_visible(False)
        for axes in all_axes[::columns]:
            axes.set_ylabel(f"rank in the {LONGER}")
        return drawing


def write_table(study: Study, path: Path) -> None:
    """Writes the rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows(study))


def result_line(name: str, value: float, seconds: float) -> str:
    """Returns a line about one training of a study."""
    return f"{name}: {score(value)} in {seconds:.1f} s"
