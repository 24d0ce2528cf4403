"""Draws a sheet of examples: images, targets, both overlaid, and the class shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from nas_tf.data.examples import Examples
from nas_tf.data.info import DatasetInfo
from nas_tf.data.targets import TARGETS
from nas_tf.errors import DataError

_IGNORED = (255, 255, 255)
_OVERLAY = 0.55
_COLUMN = 2.8
_MISSING = "#20242c"
_LEGEND_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Sheet:
    """The content of a sheet: examples of a split, spread evenly over it."""

    info: DatasetInfo
    split: str
    total: int
    examples: tuple[dict[str, np.ndarray], ...]


def sheet(name: str, split: str, count: int) -> Sheet:
    """Reads ``count`` examples of a split for a sheet."""
    examples = Examples(name, split, cache_bytes=0)
    if count < 1:
        raise DataError(f"count is {count}: at least 1 example is shown")
    indices = np.unique(np.linspace(0, len(examples) - 1, count).round().astype(int))
    tensors = examples.checked(examples.get(index) for index in indices)
    shown = [{key: value.numpy() for key, value in example.items()} for example in tensors]
    return Sheet(examples.info, split, len(examples), tuple(shown))


def class_shares(content: Sheet) -> np.ndarray:
    """Returns the share of every class in the labelled pixels of the examples shown."""
    info, label = content.info, TARGETS["label"]
    counts = sum(label.counts(example["label"], info)[:-1] for example in content.examples)
    return counts / max(1, counts.sum())


def colourise(label: np.ndarray, info: DatasetInfo) -> np.ndarray:
    """Returns a label map in its class colours; ignored pixels are white."""
    table = np.full((256, 3), _IGNORED, np.uint8)
    table[: len(info.classes)] = info.colours
    return table[label]


def save_sheet(content: Sheet, path: Path) -> None:
    """Writes the sheet as a picture."""
    columns = _columns(content.info)
    labelled = "label" in content.info.targets
    rows = len(content.examples)
    height, width = content.examples[0]["image"].shape[:2]
    tall = _COLUMN * min(1.2, height / width) + 0.12
    extra = 2.6 if labelled else 0.0
    figure = Figure(
        figsize=(_COLUMN * max(3, len(columns)) + 0.2, tall * rows + extra + 0.9),
        layout="constrained",
        facecolor="white",
    )
    parts = figure.subfigures(2, 1, height_ratios=(tall * rows, extra)) if labelled else [figure]
    _draw_examples(parts[0], content, columns)
    if labelled:
        _draw_shares(parts[1].subplots(), content)
    shown = f"{rows} of {content.total} examples"
    figure.suptitle(f"{content.info.name} · {content.split} · {shown}", fontsize=13, weight="bold")
    figure.savefig(path, dpi=110)


def _columns(info: DatasetInfo) -> list[str]:
    """Returns the kinds of picture in a row."""
    derived = ("clean",) if "clean" in info.targets and not info.pairs else ()
    shown = {"image", *info.targets}.difference(derived)
    return [column for column, (key, _) in _DRAWN.items() if key in shown]


def _draw_examples(figure: Figure, content: Sheet, columns: Sequence[str]) -> None:
    """Draws a row for each example and a column for each kind of picture."""
    axes = figure.subplots(len(content.examples), len(columns), squeeze=False)
    for row, example in zip(axes, content.examples, strict=True):
        for axis, column in zip(row, columns, strict=True):
            key, draw = _DRAWN[column]
            draw(axis, example["image"], example[key], content.info)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(example["id"].decode(), fontsize=7)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column, fontsize=10)


def _draw_image(axis: Axes, image: np.ndarray, value: np.ndarray, info: DatasetInfo) -> None:
    """Draws the image alone."""
    axis.imshow(image)


def _draw_label(axis: Axes, image: np.ndarray, label: np.ndarray, info: DatasetInfo) -> None:
    """Draws the classes in their colours."""
    axis.imshow(colourise(label, info))


def _draw_overlay(axis: Axes, image: np.ndarray, label: np.ndarray, info: DatasetInfo) -> None:
    """Draws the classes over the image, which stays visible where they are ignored."""
    known = (label != info.ignore_label)[..., None]
    mixed = (1 - _OVERLAY) * image + _OVERLAY * colourise(label, info)
    axis.imshow(np.where(known, mixed, image).astype(np.uint8))


def _draw_depth(axis: Axes, image: np.ndarray, depth: np.ndarray, info: DatasetInfo) -> None:
    """Draws near in light and far in dark colours, and unknown depths in grey."""
    axis.set_facecolor(_MISSING)
    axis.imshow(np.ma.masked_equal(depth, 0), cmap="viridis_r")


def _draw_people(axis: Axes, image: np.ndarray, people: np.ndarray, info: DatasetInfo) -> None:
    """Draws joints: left blue, right orange, middle white, and hidden joints hollow."""
    axis.imshow(image, alpha=0.55)
    sides = {"left": "#1f6fd6", "right": "#f07f13"}
    for person in people:
        for (x, y, visible), name in zip(person, info.joints, strict=True):
            colour = sides.get(name.split()[0], "white")
            if visible:
                face = colour if visible == 2 else "none"
                axis.scatter(x, y, s=14, color=face, edgecolors=colour, linewidths=1)
    height, width = image.shape[:2]
    axis.set_xlim(-0.5, width - 0.5)
    axis.set_ylim(height - 0.5, -0.5)


def _draw_boxes(axis: Axes, image: np.ndarray, boxes: np.ndarray, info: DatasetInfo) -> None:
    """Draws each box with its class, in the colour of the class."""
    axis.imshow(image)
    colours = np.array(info.colours) / 255
    for x1, y1, x2, y2, label in boxes:
        colour = colours[int(label)]
        corner = (x1 - 0.5, y1 - 0.5)  # positions on the axes are those of pixel centres
        axis.add_patch(Rectangle(corner, x2 - x1, y2 - y1, fill=False, color=colour, lw=2))
        name, box = info.classes[int(label)], {"facecolor": "white", "pad": 1, "linewidth": 0}
        axis.text(*corner, name, color=colour, fontsize=6, va="bottom", bbox=box)


_DRAWN: Mapping[str, tuple[str, Callable[[Axes, np.ndarray, np.ndarray, DatasetInfo], None]]] = {
    "image": ("image", _draw_image),
    "label": ("label", _draw_label),
    "overlay": ("label", _draw_overlay),
    "depth": ("depth", _draw_depth),
    "keypoints": ("keypoints", _draw_people),
    "boxes": ("boxes", _draw_boxes),
    "clean": ("clean", lambda axis, image, clean, info: _draw_image(axis, clean, image, info)),
}
"""The columns of a sheet: the part of an example that each draws, and its drawing."""


def _draw_shares(axis: Axes, content: Sheet) -> None:
    """Draws a bar for each class, and the legend of the colours."""
    shares, classes = class_shares(content), content.info.classes
    colours = np.array(content.info.colours) / 255
    positions = np.arange(len(classes))
    axis.bar(positions, 100 * shares, color=colours, edgecolor="#404040", linewidth=0.6)
    for position, share in zip(positions, shares, strict=True):
        text = f"{100 * share:.1f}" if share else "–"
        axis.text(position, 100 * share, text, ha="center", va="bottom", fontsize=8)
    axis.set_xticks([])
    axis.set_ylabel("% of labelled pixels", fontsize=9)
    axis.set_ylim(0, max(1.0, 115 * shares.max()))
    axis.spines[["top", "right"]].set_visible(False)
    entries = [*zip(colours, classes, strict=True), ("white", "ignored")]
    swatches = [Patch(facecolor=c, edgecolor="#404040", label=name) for c, name in entries]
    axis.legend(
        handles=swatches,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.04),
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=9,
    )
