"""WHAT is predicted: loss, figures, reward and picture of each dense task.

``base`` holds the contract; ``segmentation``, ``depth`` and ``pose`` the tasks; ``confusion`` the
one matrix all segmentation figures come from; ``heatmaps`` joints as maps and back.
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
