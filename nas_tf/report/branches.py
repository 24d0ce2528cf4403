"""Weights of the branches of a dense prediction cell, as in Figure 5b of NeurIPS 2018."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from nas_tf import spaces
from nas_tf.errors import DataError
from nas_tf.report.document import BLUE, paper, sheet
from nas_tf.runs import Run, TrialRecord, saved_arrays
from nas_tf.sizes import Size
from nas_tf.spaces.dpc import DPCSpace, branches_of
from nas_tf.spaces.dpc_fields import PUBLISHED_STRIDE, receptive_fields

KERNEL = ("projection.conv", "kernel")
TITLE = "Branches of the best cell"
CAPTION = (
    "Mean absolute weight of the projection over the channels of each branch, of trial {trial}, "
    "the best with saved weights. In brackets: the features, rows by columns, that the branch "
    "depends on."
)


class BranchWeight(NamedTuple):
    """A branch of a trained cell: its place, its width, what it reads and how much it weighs."""

    name: str
    source: str
    channels: int
    field: Size | None
    weight: float

    @property
    def features(self) -> str:
        """The receptive field in features."""
        return _size(self.field, 1)

    @property
    def pixels(self) -> str:
        """The receptive field in pixels, without what each feature reads of the image."""
        return _size(self.field, PUBLISHED_STRIDE)


def read(run: Run, trial: TrialRecord) -> list[BranchWeight]:
    """Reads the weights of a trial's branches; empty in other spaces and without saved arrays."""
    path = saved_arrays.arrays_path(run.folder, trial.trial)
    if trial.space != DPCSpace.name or not path.exists():
        return []
    genotype = trial.parsed
    branches = branches_of(genotype)
    kernel = saved_arrays.read_arrays(run.folder, trial.trial).get(KERNEL)
    if kernel is None or kernel.ndim != 4 or kernel.shape[2] % len(branches):
        raise DataError(f"{path} has no projection of {len(branches)} branches; put back a copy")
    weights = np.abs(kernel).mean((0, 1, 3)).reshape(len(branches), -1)
    size = run.info.input or spaces.example(spaces.space_of(genotype)).input_size
    fields = receptive_fields(genotype, size)
    return [
        BranchWeight(
            f"branch{number}.{branch.operator}",
            f"branch{branch.source}" if branch.source else "feature map",
            own.size,
            field,
            float(own.mean()),
        )
        for number, (branch, own, field) in enumerate(
            zip(branches, weights, fields, strict=True), 1
        )
    ]


def best(run: Run) -> tuple[TrialRecord, list[BranchWeight]] | None:
    """Reads the best trial whose arrays are saved and intact; None if there is no such cell."""
    for trial in run.best(len(run.completed)):
        with suppress(DataError):  # a damaged file costs its figure, not the report
            if found := read(run, trial):
                return trial, found
    return None


def weights(branches: Sequence[BranchWeight]) -> Figure:
    """Draws a bar for the weight of each branch, the first at the top."""
    with paper():
        figure, (axes,) = sheet(size=(8.0, 1.0 + 0.35 * len(branches)))
        labels = [f"{branch.name} [{branch.features}]" for branch in branches]
        axes.barh(labels, [branch.weight for branch in branches], color=BLUE, height=0.6)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("mean absolute weight")
        figure.get_layout_engine().set(w_pad=0.1)
        return figure


def _size(field: Size | None, stride: int) -> str:
    """Returns the text of a field, whose sides are multiplied by a stride."""
    return "all" if field is None else f"{field[0] * stride}x{field[1] * stride}"
