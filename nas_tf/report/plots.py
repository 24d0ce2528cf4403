"""The pictures of a run, each drawn from ``facts``."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas_tf.errors import DataError
from nas_tf.report.document import BLUE, GREEN, GREY, INK, MOST_POINTS, ORANGE, RED, paper, sheet
from nas_tf.report.run_statistics import PARTS, RunStatistics, Shares
from nas_tf.runs import TrialRecord

COSTS: dict[str, tuple[str, float]] = {
    "params": ("parameters (millions)", 1e6),
    "madds": ("multiply-adds (billions)", 1e9),
    "latency_ms": ("latency (ms)", 1.0),
}


def search_curve(facts: RunStatistics) -> Figure:
    """Rewards by trial, the best so far and the mean of the last twenty."""
    figure, (axes,) = sheet()
    gated, both = facts.gated, [trial for trial in facts.completed if trial.stopped != "gate"]
    _dots(axes, facts, both, BLUE, "finished")
    _dots(axes, facts, gated, ORANGE, "stopped by the gate")
    numbers = facts.x(facts.completed)
    axes.step(numbers, facts.best_so_far, where="post", color=INK, label="best so far")
    axes.plot(numbers, facts.running_mean(), color=GREEN, label="mean of the last 20")
    low = _floor([trial.reward for trial in facts.completed])
    failed = facts.x(facts.failed)
    axes.plot(failed, [low] * len(failed), "x", color=RED, label="failed") if failed else None
    axes.set(xlabel="trial", ylabel="reward", xlim=(0, len(facts.trials) + 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def densities(facts: RunStatistics) -> Figure:
    """How the rewards of each stage are spread."""
    figure, (axes,) = sheet(size=(8.0, 2.8))
    for stage, colour in enumerate((ORANGE, BLUE)):
        rewards = facts.stage_rewards(stage)
        if rewards:
            density(axes, rewards, colour, f"stage {stage + 1} ({len(rewards)} trials)")
    axes.set(xlabel="reward", ylabel="density")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def density(axes: Axes, rewards: Sequence[float], colour: str, label: str) -> None:
    """A smooth density with its trials as a rug; a plain line where all are alike."""
    from scipy.stats import gaussian_kde

    values = np.asarray(rewards, float)
    if len(values) < 3 or values.std() < 1e-9:
        axes.vlines(values, 0, 1, color=colour, label=label)
        return
    reach = np.linspace(values.min() - values.std(), values.max() + values.std(), 200)
    height = gaussian_kde(values)(reach)
    axes.plot(reach, height, color=colour, label=label)
    axes.fill_between(reach, height, color=colour, alpha=0.15, linewidth=0)
    rug = values if len(values) <= MOST_POINTS else np.quantile(values, np.linspace(0, 1, 200))
    axes.plot(rug, np.full(len(rug), -0.02 * height.max()), "|", color=colour, alpha=0.6)


def gate(facts: RunStatistics) -> Figure:
    """What the gate let through, and whether stage one foretells stage two."""
    figure, (left, right) = sheet(1, 2)
    went = [trial for trial in facts.completed if trial.stopped != "gate" and trial.stages]
    for trials, colour, label in ((went, BLUE, "went on"), (facts.gated, ORANGE, "stopped")):
        rewards = [trial.stages[0].score for trial in trials]
        _points(left, facts.x(trials), rewards, colour, label)
    if facts.bar:
        bar = list(facts.bar), list(facts.bar.values())
        left.step(*bar, where="mid", color=INK, linewidth=1, label="the mean")
    left.set(xlabel="trial", ylabel="reward after stage one")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    firsts, seconds = ([trial.stages[n].score for trial in facts.both] for n in (0, 1))
    _points(right, firsts, seconds, BLUE, "")
    if firsts:
        ends = [min(firsts + seconds), max(firsts + seconds)]
        right.plot(ends, ends, color=GREY, linewidth=1)
    right.set(xlabel="reward after stage one", ylabel="after stage two")
    right.set_title(str(facts.honesty or "too few trials for a rank correlation"), fontsize=9)
    return figure


def pareto(facts: RunStatistics) -> Figure:
    """Score against what the network costs, and the front of those that no other beats."""
    costs = [
        cost
        for cost in COSTS
        if facts.completed and all(getattr(trial, cost) for trial in facts.completed)
    ]
    figure, axes = sheet(1, max(1, len(costs)), share=True)
    for one, cost in zip(axes, costs, strict=False):
        label, unit = COSTS[cost]

        def price(trial: TrialRecord, cost: str = cost, unit: float = unit) -> float:
            return getattr(trial, cost) / unit

        scores = [trial.score for trial in facts.completed]
        _points(one, [price(trial) for trial in facts.completed], scores, GREY, "trials")
        front = facts.run.pareto(cost)
        one.step([price(t) for t in front], [t.score for t in front], where="post", color=BLUE)
        one.plot([price(t) for t in front], [t.score for t in front], "o", color=BLUE, ms=5)
        one.set(xlabel=label)
    axes[0].set(ylabel="score")
    return figure


def shares(facts: RunStatistics) -> Figure:
    """How often each choice was made over time, and what it went along with."""
    kinds = facts.shares
    tallest = [0.26 * len(kind.words) + 1.0 for kind in kinds]
    figure, _ = sheet(size=(8.0, sum(tallest)))
    figure.clf()
    grid = figure.add_gridspec(len(kinds), 2, height_ratios=tallest, width_ratios=(3, 2))
    for row, kind in enumerate(kinds):
        heat = figure.add_subplot(grid[row, 0])
        _heat(heat, kind)
        _effects(figure.add_subplot(grid[row, 1], sharey=heat), kind)
    return figure


def _heat(axes: Axes, kind: Shares) -> None:
    image = axes.imshow(kind.shares, aspect="auto", cmap="Blues", vmin=0)
    axes.set_yticks(range(len(kind.words)), [word.replace("_", " ") for word in kind.words])
    windows = kind.shares.shape[1]
    ticks = sorted({0, windows // 2, windows - 1})
    labels = [f"{kind.edges[n] + 1}–{kind.edges[n + 1]}" for n in ticks]
    axes.set_xticks(ticks, labels)
    axes.set(xlabel="trials", title=f"{kind.kind}: share of choices")
    axes.grid(visible=False)
    axes.figure.colorbar(image, ax=axes, format=lambda share, _: f"{share:.0%}", fraction=0.05)


def _effects(axes: Axes, kind: Shares) -> None:
    places = np.arange(len(kind.words))
    means, errors = kind.effects[:, 0], kind.effects[:, 1]
    known = ~np.isnan(means)
    colours = [BLUE if mean > 0 else ORANGE for mean in means[known]]
    axes.barh(places[known], means[known], xerr=1.96 * errors[known], color=colours, height=0.6)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set(title="reward with it less without")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelleft=False)


def seconds(facts: RunStatistics) -> Figure:
    """Where the time of every trial went."""
    figure, (axes,) = sheet()
    table = {name: values for name, values in facts.seconds.items() if values.sum() > 0}
    count = len(facts.trials)
    groups = np.array_split(np.arange(count), min(count, 100) or 1)
    bottom = np.zeros(len(groups))
    left = np.array([group[0] + 1 for group in groups])
    wide = np.array([len(group) for group in groups])
    for name, colour in _colours(table).items():
        values = table[name]
        heights = np.array([values[group].mean() for group in groups])
        label = f"{name} ({values.sum() / 60:.1f} min)"
        axes.bar(left, heights, wide, bottom, align="edge", color=colour, lw=0, label=label)
        bottom += heights
    axes.set(xlabel="trial", ylabel="seconds", xlim=(1, count + 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    return figure


def _colours(names: Iterable[str]) -> dict[str, Any]:
    """Stage one in blues, stage two in oranges, what is neither in grey."""
    ramps = {"stage 1": colormaps["Blues_r"], "stage 2": colormaps["Oranges_r"]}
    parts = list(PARTS)
    return {
        name: GREY
        if name == "other"
        else ramps[name[:7]](0.1 + 0.75 * parts.index(name[8:]) / len(parts))
        for name in names
    }


PLOTS: dict[str, tuple[str, Callable[[RunStatistics], Figure]]] = {
    "search_curve": ("Rewards over the search", search_curve),
    "densities": ("How rewards are spread", densities),
    "gate": ("The gate", gate),
    "pareto": ("Score against cost", pareto),
    "shares": ("What was chosen", shares),
    "seconds": ("Where the time went", seconds),
}


def draw(name: str, facts: RunStatistics) -> Figure:
    """One of the pictures, by its name."""
    with paper():
        return PLOTS[name][1](facts)


def _dots(
    axes: Axes, facts: RunStatistics, trials: Sequence[TrialRecord], colour: str, label: str
) -> None:
    _points(axes, facts.x(trials), [trial.reward for trial in trials], colour, label)


def _points(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, label: str) -> None:
    many = len(x) > MOST_POINTS
    axes.plot(x, y, "o", color=colour, ms=3.5, alpha=0.7, mew=0, label=label, rasterized=many)


def _floor(rewards: Sequence[float]) -> float:
    return min(rewards) if rewards else 0.0


_OWN = ("stage", "epoch", "step", "loss", "seconds", "reward")


@dataclass(frozen=True)
class Curve:
    """What is drawn: a loss for every epoch, and figures where they were taken."""

    epochs: tuple[int, ...]
    loss: tuple[float, ...]
    scored: tuple[int, ...]
    figures: dict[str, tuple[float, ...]]


def read_history(path: Path) -> Curve:
    """Reads a history; figures outside of 0–1, such as errors in metres, are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise DataError(f"{path} holds no epoch yet, expected one row an epoch")
    numbered = list(enumerate(rows, 1))
    scored = [(number, row) for number, row in numbered if row.get("reward")]
    names = [key for key in rows[-1] if key not in _OWN and not key.startswith("rate_")]
    figures = {name: tuple(float(row[name]) for _, row in scored) for name in names}
    return Curve(
        epochs=tuple(number for number, _ in numbered),
        loss=tuple(float(row["loss"]) for row in rows),
        scored=tuple(number for number, _ in scored),
        figures={name: values for name, values in figures.items() if _is_share(values)},
    )


def training_curve(curve: Curve, title: str) -> Figure:
    """Figures above, the loss below."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for name, values in curve.figures.items():
        upper.plot(curve.scored, values, marker=".", label=name.replace("_", " "))
    upper.set_ylim(0, 1)
    upper.set_title(title)
    upper.grid(alpha=0.3)
    if curve.figures:
        upper.legend(loc="lower right", fontsize="small")
    lower.plot(curve.epochs, curve.loss, color="black")
    lower.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    lower.grid(alpha=0.3)
    return figure


def save(history: Path, path: Path, *, title: str) -> None:
    """Draws a history into a file whose suffix says the format."""
    training_curve(read_history(history), title).savefig(path)


def _is_share(values: Sequence[float]) -> bool:
    return bool(values) and all(0 <= value <= 1 for value in values)
