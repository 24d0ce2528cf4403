"""What is known of a dataset before any of its files are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from nas_tf.data.palettes import Colour, colours


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One dataset: what it holds, how it is drawn and how a person gets it.

    ``splits`` gives the published number of examples, or None where there is none.
    ``targets`` are keys of the example dictionary: label, depth, keypoints. ``extras`` are keys
    that only metrics read: head_size, area; in ``unscored_splits`` they are not given.
    ``swaps`` pairs the left and right joints that change places in a mirror; ``unscored_joints``
    are annotated and learned but left out of the data set's own score. ``sigmas`` are the
    falloffs of OKS, a joint each, where they are not COCO's.
    """

    name: str
    title: str
    targets: tuple[str, ...]
    splits: Mapping[str, int | None]
    how_to_get: str
    classes: tuple[str, ...] = ()
    ignore_label: int = 255
    palette: str | tuple[Colour, ...] = "voc"
    joints: tuple[str, ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()
    unscored_joints: tuple[str, ...] = ()
    sigmas: tuple[float, ...] = ()
    extras: tuple[str, ...] = ()
    unscored_splits: tuple[str, ...] = ()

    @property
    def colours(self) -> tuple[Colour, ...]:
        """The colour of every class, in class order."""
        return colours(self.palette, len(self.classes))

    @property
    def mirrored_joints(self) -> tuple[int, ...]:
        """For every joint, the joint it becomes in a mirror."""
        order = list(range(len(self.joints)))
        for left, right in self.swaps:
            order[left], order[right] = right, left
        return tuple(order)
