"""Draws what a super-net learnt: its figures, its operations and its paths, epoch by epoch."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas_tf.errors import DataError
from nas_tf.report.document import BLUE, GREEN, GREY, INK, ORANGE, paper, sheet
from nas_tf.runs import Run, filenames
from nas_tf.spaces import SearchSpace
from nas_tf.spaces.derivation import best_path, edges_of, masked_moves, softmax, sources_of
from nas_tf.spaces.restoration import RestorationSpace

_MOVES = ("narrower", "same", "wider")
_SOURCES = ("h(l-2)", "h(l-1)")


@dataclass(frozen=True)
class Learnt:
    """The epochs of a super-net: rows of figures, and the logits after each of ``epochs``."""

    space: RestorationSpace
    rows: Sequence[dict[str, str]]
    epochs: Sequence[int]
    alphas: np.ndarray
    betas: np.ndarray

    def column(self, name: str) -> tuple[list[int], list[float]]:
        """Returns the epochs that have a figure, and its values."""
        found = [(int(row["epoch"]), float(row[name])) for row in self.rows if row.get(name)]
        return [epoch for epoch, _ in found], [value for _, value in found]

    @cached_property
    def operations(self) -> np.ndarray:
        """The softmax of each edge's operations after each epoch [epoch, edge, operation]."""
        return np.array([[softmax(row) for row in alpha] for alpha in self.alphas.tolist()])

    @cached_property
    def moves(self) -> np.ndarray:
        """The softmax of each source's moves after each epoch [epoch, source, move]."""
        space = self.space
        masked = masked_moves(sources_of(space.layers, space.levels), space.levels)
        tables = self.betas.copy()
        for row, column in masked:
            tables[:, row, column] = -np.inf
        powers = np.exp(tables - tables.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)


def read(run: Run, space: SearchSpace) -> Learnt | None:
    """Reads what the super-net of a run learnt; None if the run trained none."""
    path, table = run.folder / filenames.ARCHITECTURE, run.folder / filenames.SUPERNET
    if not path.exists() or not table.exists() or not isinstance(space, RestorationSpace):
        return None
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        epochs = [int(line["epoch"]) for line in lines]
        alphas, betas = (
            np.array([line[key] for line in lines], float) for key in ("alpha", "beta")
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} or {table.name} is damaged: {error}; put back a copy") from error
    return Learnt(space, rows, epochs, alphas, betas) if rows and len(alphas) else None


def curves(learnt: Learnt) -> Figure:
    """Draws the loss, PSNR and SSIM on meta-val, and the entropy of the operations, by epoch."""
    with paper():
        panels = (
            (("loss", INK, "training loss"),),
            (("psnr", BLUE, "PSNR (dB)"),),
            (("ssim", GREEN, "SSIM"),),
            (("entropy", ORANGE, "entropy of the operations"),),
        )
        figure, axes = sheet(2, 2, size=(8.0, 5.0))
        for own, ((name, colour, label),) in zip(axes, panels, strict=True):
            own.plot(*learnt.column(name), color=colour, marker=".")
            own.set(xlabel="epoch", ylabel=label)
            own.ticklabel_format(axis="y", useOffset=False)
            own.xaxis.set_major_locator(MaxNLocator(integer=True))
        return figure


def operations(learnt: Learnt) -> Figure:
    """Draws the shares of the operations on each edge after the last epoch, cell by cell."""
    edges, names = edges_of(learnt.space.nodes), [*learnt.space.variant.ops, "none"]
    cells = np.split(learnt.operations[-1], len(learnt.operations[-1]) // len(edges))
    labels = [f"node {node + 1} ← {_source(source)}" for node, source in edges]
    with paper():
        height = 1.2 + 0.22 * len(edges)
        figure, axes = sheet(1, len(cells), size=(max(4.0, 2.7 * len(cells)), height), share=True)
        most = max(float(cell.max()) for cell in cells)
        for number, (own, cell) in enumerate(zip(axes, cells, strict=True), 1):
            image = own.imshow(cell, cmap="Blues", vmin=0, vmax=most, aspect="auto")
            own.set_xticks(range(len(names)), names, rotation=90)
            own.set_yticks(range(len(edges)), labels)
            own.grid(visible=False)
            own.set_title(f"layer {number}" if len(cells) > 1 else "all layers", fontsize=9)
        figure.colorbar(image, ax=axes, label="share")
        return figure


def paths(learnt: Learnt) -> Figure:
    """Draws the moves between levels as wide as their share, and the most probable path."""
    space, moves = learnt.space, learnt.moves[-1]
    path, probability = best_path(learnt.betas[-1].tolist(), space.layers, space.levels)
    with paper():
        figure, (axes, shares) = sheet(1, 2, size=(8.0, 3.2))
        for (layer, level), row in zip(sources_of(space.layers, space.levels), moves, strict=True):
            for column, share in enumerate(row):
                if share > 0:
                    ends = [level, level + column - 1]
                    width = 0.5 + 6 * float(share)
                    axes.plot([layer, layer + 1], ends, color=GREY, lw=width, alpha=0.6)
        axes.plot(range(space.layers + 1), [0, *path], "o-", color=ORANGE, lw=1.5)
        axes.set(xlabel="layer", ylabel="width")
        axes.set_xticks(range(space.layers + 1), ["stem", *range(1, space.layers + 1)])
        axes.set_yticks(range(space.levels), [f"x{f:g}" for f in space.variant.factors])
        axes.set_title(f"probability of the path: {probability:.3g}", fontsize=9)
        _moves_by_epoch(shares, learnt)
        figure.legend(*shares.get_legend_handles_labels(), loc="outside lower right", ncols=3)
        return figure


def _moves_by_epoch(axes: Axes, learnt: Learnt) -> None:
    """Draws the mean share of each direction over the levels that have it."""
    for column, (name, colour) in enumerate(zip(_MOVES, (BLUE, GREEN, ORANGE), strict=True)):
        own = learnt.moves[:, :, column]
        exists = own[0] > 0
        if exists.any():
            axes.plot(learnt.epochs, own[:, exists].mean(1), color=colour, label=name)
    axes.set(xlabel="epoch", ylabel="mean share of a move")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _source(number: int) -> str:
    return _SOURCES[number] if number < len(_SOURCES) else f"node {number - 1}"


PLOTS: dict[str, tuple[str, str, Callable[[Learnt], Figure]]] = {
    "supernet": (
        "The super-net's training",
        "Loss on the batches of the weights; PSNR and SSIM of the super-net on meta-val; the "
        "entropy of an edge's operations as a share of the largest, which falls as the search "
        "decides.",
        curves,
    ),
    "operations": (
        "Operations on each edge",
        "Softmax of alpha after the last epoch. For each node, the two edges with the largest "
        "share of an operation other than none are read off, each with that operation.",
        operations,
    ),
    "paths": (
        "Widths of the layers",
        "Left: moves between widths, as wide as their share (softmax of beta), and the most "
        "probable path. Right: mean shares of the moves by epoch.",
        paths,
    ),
}
