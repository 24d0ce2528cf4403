"""The dense prediction tasks: loss, figures, score and picture of each.

``base`` defines the contract; ``segmentation``, ``depth`` and ``pose`` are the tasks.
``confusion`` is the matrix that all segmentation figures come from, ``pose_metrics`` scores poses,
and ``heatmaps`` turns joints into maps and back. ``resolution`` aligns targets with logits, and
``painting`` puts pictures side by side.
"""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.tasks.base import (  # noqa: E402
    DenseMetrics,
    Metrics,
    TargetKind,
    TargetSpec,
    Task,
)
from nas_tf.tasks.depth import Depth  # noqa: E402
from nas_tf.tasks.pose import Pose  # noqa: E402
from nas_tf.tasks.segmentation import Segmentation  # noqa: E402

__all__ = [
    "DenseMetrics",
    "Depth",
    "Metrics",
    "Pose",
    "Segmentation",
    "TargetKind",
    "TargetSpec",
    "Task",
]
