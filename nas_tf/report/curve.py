"""The curve of a full training: its loss and figures over the epochs, from ``history.csv``."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from nas_tf.errors import DataError

_OWN = ("stage", "epoch", "step", "loss", "seconds", "reward")


@dataclass(frozen=True)
class Curve:
    """What is drawn: a loss for every epoch, and figures where they were taken."""

    epochs: tuple[int, ...]
    loss: tuple[float, ...]
    scored: tuple[int, ...]
    figures: dict[str, tuple[float, ...]]


def read(path: Path) -> Curve:
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


def draw(curve: Curve, title: str) -> Figure:
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
    draw(read(history), title).savefig(path)


def _is_share(values: Sequence[float]) -> bool:
    return bool(values) and all(0 <= value <= 1 for value in values)
