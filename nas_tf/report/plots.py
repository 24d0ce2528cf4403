"""Draws the figures of a run from its ``RunStatistics``, and the curve of a training."""

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
from nas_tf.runs.statistics import spearman

COSTS: dict[str, tuple[str, float]] = {
    "params": ("parameters (millions)", 1e6),
    "madds": ("multiply-adds (billions)", 1e9),
    "latency_ms": ("latency (ms)", 1.0),
}


def search_curve(statistics: RunStatistics) -> Figure:
    """Draws rewards by trial, the best so far and the mean of the last twenty."""
    figure, (axes,) = sheet()
    gated, both = (
        statistics.gated,
        [trial for trial in statistics.completed if trial.stopped != "gate"],
    )
    _dots(axes, statistics, both, BLUE, "finished")
    _dots(axes, statistics, gated, ORANGE, "stopped by the gate")
    numbers = statistics.x(statistics.completed)
    axes.step(numbers, statistics.best_so_far, where="post", color=INK, label="best so far")
    axes.plot(numbers, statistics.running_mean(), color=GREEN, label="mean of the last 20")
    if failed := statistics.x(statistics.failed):  # at the bottom, below every reward
        below = axes.get_xaxis_transform()
        axes.plot(failed, [0.015] * len(failed), "x", color=RED, label="failed", transform=below)
    axes.set(xlabel="trial", ylabel="reward", xlim=(0, len(statistics.trials) + 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def densities(statistics: RunStatistics) -> Figure:
    """Draws the density of scores after each stage."""
    figure, (axes,) = sheet(size=(8.0, 2.8))
    for stage, colour in enumerate((ORANGE, BLUE)):
        scores = statistics.stage_scores(stage)
        if scores:
            density(axes, scores, colour, f"stage {stage + 1} ({len(scores)} trials)")
    axes.set(xlabel="score", ylabel="density")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def density(axes: Axes, scores: Sequence[float], colour: str, label: str) -> None:
    """Draws a kernel density with a rug of the trials; plain lines if all are equal."""
    from scipy.stats import gaussian_kde

    values = np.asarray(scores, float)
    if len(values) < 3 or np.ptp(values) <= 1e-9 * np.abs(values).max():
        axes.vlines(values, 0, 1, color=colour, label=label)
        return
    grid = np.linspace(values.min() - values.std(), values.max() + values.std(), 200)
    height = gaussian_kde(values)(grid)
    axes.plot(grid, height, color=colour, label=label)
    axes.fill_between(grid, height, color=colour, alpha=0.15, linewidth=0)
    rug = values if len(values) <= MOST_POINTS else np.quantile(values, np.linspace(0, 1, 200))
    axes.plot(rug, np.full(len(rug), -0.02 * height.max()), "|", color=colour, alpha=0.6)


def gate(statistics: RunStatistics) -> Figure:
    """Draws the trials that the gate admitted and stopped, and scores of stage one against two."""
    figure, (left, right) = sheet(1, 2)
    passed = [trial for trial in statistics.completed if trial.stopped != "gate" and trial.stages]
    for trials, colour, label in ((passed, BLUE, "passed"), (statistics.gated, ORANGE, "stopped")):
        scores = [trial.stages[0].score for trial in trials]
        _points(left, statistics.x(trials), scores, colour, label)
    if statistics.bar:
        bar = list(statistics.bar), list(statistics.bar.values())
        left.step(*bar, where="mid", color=INK, linewidth=1, label="the mean")
    left.set(xlabel="trial", ylabel="score after stage one")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    firsts, seconds = ([trial.stages[n].score for trial in statistics.both] for n in (0, 1))
    _points(right, firsts, seconds, BLUE, "")
    if firsts:
        ends = [min(firsts + seconds), max(firsts + seconds)]
        right.plot(ends, ends, color=GREY, linewidth=1)
    right.set(xlabel="score after stage one", ylabel="after stage two")
    right.set_title(
        str(statistics.stage_correlation or "too few trials for a rank correlation"), fontsize=9
    )
    return figure


def pareto(statistics: RunStatistics) -> Figure:
    """Draws score against each cost, with the Pareto front."""
    costs = [
        cost
        for cost in COSTS
        if statistics.completed and all(getattr(trial, cost) for trial in statistics.completed)
    ]
    figure, axes = sheet(1, max(1, len(costs)), share=True)
    for panel, cost in zip(axes, costs, strict=False):
        label, unit = COSTS[cost]

        def scaled_cost(trial: TrialRecord, cost: str = cost, unit: float = unit) -> float:
            return getattr(trial, cost) / unit

        scores = [trial.score for trial in statistics.completed]
        _points(
            panel, [scaled_cost(trial) for trial in statistics.completed], scores, GREY, "trials"
        )
        front = statistics.run.pareto(cost)
        line = [scaled_cost(trial) for trial in front], [trial.score for trial in front]
        panel.step(*line, where="post", color=BLUE)
        panel.plot(*line, "o", color=BLUE, ms=5)
        panel.set(xlabel=label)
    axes[0].set(ylabel="score")
    return figure


def metric(statistics: RunStatistics) -> Figure:
    """Draws the score, which is computed from the loss, against the task's metric."""
    figure, (axes,) = sheet(size=(5.0, 3.6))
    found = [trial for trial in statistics.completed if trial.trial in statistics.other_metric]
    scores, values = [t.score for t in found], [statistics.other_metric[t.trial] for t in found]
    _points(axes, scores, values, BLUE, "")
    axes.set(xlabel="score", ylabel=found[0].stages[-1].other_metric if found else "metric")
    correlation = spearman(scores, values)
    axes.set_title(str(correlation or "too few trials for a rank correlation"), fontsize=9)
    return figure


def shares(statistics: RunStatistics) -> Figure:
    """Draws the share of each choice over time, and its association with reward."""
    kinds = statistics.shares
    heights = [0.26 * len(kind.words) + 1.0 for kind in kinds]
    figure, _ = sheet(size=(8.0, sum(heights)))
    figure.clf()
    grid = figure.add_gridspec(len(kinds), 2, height_ratios=heights, width_ratios=(3, 2))
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


def seconds(statistics: RunStatistics) -> Figure:
    """Draws the time of every trial by activity."""
    figure, (axes,) = sheet()
    table = {name: values for name, values in statistics.seconds.items() if values.sum() > 0}
    count = len(statistics.trials)
    groups = np.array_split(np.arange(count), min(count, 100) or 1)
    bottom = np.zeros(len(groups))
    left = np.array([group[0] + 1 for group in groups])
    widths = np.array([len(group) for group in groups])
    for name, colour in _colours(table).items():
        values = table[name]
        heights = np.array([values[group].mean() for group in groups])
        label = f"{name} ({values.sum() / 60:.1f} min)"
        axes.bar(left, heights, widths, bottom, align="edge", color=colour, lw=0, label=label)
        bottom += heights
    axes.set(xlabel="trial", ylabel="seconds", xlim=(1, count + 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    return figure


def _colours(names: Iterable[str]) -> dict[str, Any]:
    """Returns blues for stage one, oranges for stage two, and grey for the rest."""
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
    "densities": ("Distribution of scores", densities),
    "gate": ("The gate", gate),
    "pareto": ("Score against cost", pareto),
    "metric": ("Score against metric", metric),
    "shares": ("Choices", shares),
    "seconds": ("Time", seconds),
}


def drawn(statistics: RunStatistics) -> list[str]:
    """Returns the names of the figures for which a run has data."""
    optional = {
        "gate": statistics.both or statistics.gated,
        "metric": statistics.other_metric,
        "shares": statistics.shares,
    }
    return [name for name in PLOTS if optional.get(name, True)]


def draw(name: str, statistics: RunStatistics) -> Figure:
    """Draws the figure of a name."""
    with paper():
        return PLOTS[name][1](statistics)


def _dots(
    axes: Axes, statistics: RunStatistics, trials: Sequence[TrialRecord], colour: str, label: str
) -> None:
    _points(axes, statistics.x(trials), [trial.reward for trial in trials], colour, label)


def _points(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, label: str) -> None:
    many = len(x) > MOST_POINTS
    axes.plot(x, y, "o", color=colour, ms=3.5, alpha=0.7, mew=0, label=label, rasterized=many)


_NOT_METRICS = ("stage", "epoch", "step", "loss", "seconds", "reward")
"""Columns of a history that are no metrics; ``reward`` is the score."""


@dataclass(frozen=True)
class Curve:
    """The data of a training curve: the loss of every epoch, and metrics where validated."""

    epochs: tuple[int, ...]
    loss: tuple[float, ...]
    scored: tuple[int, ...]
    figures: dict[str, tuple[float, ...]]


def read_history(path: Path) -> Curve:
    """Reads a history."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise DataError(f"{path} holds no epoch yet, expected one row an epoch")
    numbered = list(enumerate(rows, 1))
    scored = [(number, row) for number, row in numbered if row.get("reward")]
    names = [key for key in rows[-1] if key not in _NOT_METRICS and not key.startswith("rate_")]
    return Curve(
        epochs=tuple(number for number, _ in numbered),
        loss=tuple(float(row["loss"]) for row in rows),
        scored=tuple(number for number, _ in scored),
        figures={name: tuple(float(row[name]) for _, row in scored) for name in names},
    )


def training_curve(curve: Curve, title: str) -> Figure:
    """Draws metrics between 0 and 1 on top, others in panels of their own, and the loss below."""
    shares = [name for name, values in curve.figures.items() if _is_share(values)]
    groups = [[name] for name in curve.figures if name not in shares]
    groups = [shares, *groups] if shares else groups
    heights = [2 if names is shares else 1 for names in groups] + [1]
    figure = Figure(figsize=(7, 1 + 4 / 3 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
    *uppers, lower = grid.flat
    for axes, names in zip(uppers, groups, strict=True):
        for name in names:
            label = name.replace("_", " ")
            axes.plot(curve.scored, curve.figures[name], marker=".", label=label)
        if names is shares:
            axes.set_ylim(0, 1)
        axes.legend(loc="lower right", fontsize="small")
    lower.plot(curve.epochs, curve.loss, color="black")
    lower.set(xlabel="epoch", ylabel="training loss")
    lower.set_ylim(bottom=min(0.0, *lower.get_ylim()))
    grid.flat[0].set_title(title)
    for axes in grid.flat:
        axes.grid(alpha=0.3)
    return figure


def save(history: Path, path: Path, *, title: str) -> None:
    """Draws a history into a file, in the format of its suffix."""
    training_curve(read_history(history), title).savefig(path)


def _is_share(values: Sequence[float]) -> bool:
    return bool(values) and all(0 <= value <= 1 for value in values)
