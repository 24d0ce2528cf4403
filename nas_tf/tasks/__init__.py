"""The prediction tasks: target, head, loss, answer, score and picture of each.

``base`` defines the contract, and ``dense`` the part of it that tasks of one map share;
``segmentation``, ``depth`` and ``pose`` are the tasks, and ``registry`` finds them by name.
``confusion`` is the matrix that all segmentation figures come from, ``pose_metrics`` scores poses,
and ``heatmaps`` turns joints into maps and back. ``resolution`` aligns targets with logits, and
``painting`` paints answers on images.
"""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.tasks.base import (  # noqa: E402
    Answer,
    Metrics,
    Outputs,
    TargetSpec,
    Task,
)
from nas_tf.tasks.dense import DenseTask, MapMetrics, MapTask  # noqa: E402
from nas_tf.tasks.depth import Depth  # noqa: E402
from nas_tf.tasks.pose import Pose  # noqa: E402
from nas_tf.tasks.registry import TASKS, of_model  # noqa: E402
from nas_tf.tasks.segmentation import Segmentation  # noqa: E402

__all__ = [
    "TASKS",
    "Answer",
    "DenseTask",
    "Depth",
    "MapMetrics",
    "MapTask",
    "Metrics",
    "Outputs",
    "Pose",
    "Segmentation",
    "TargetSpec",
    "Task",
    "of_model",
]
