"""The prediction tasks: target, head, loss, answer, score and picture of each.

``base`` defines the contract, and ``dense`` the part of it that tasks of one map share;
``segmentation``, ``depth``, ``pose``, ``detection`` and ``restoration`` are the tasks, and
``registry`` finds them by name. ``confusion`` is the matrix that all segmentation figures come
from; ``pose_metrics`` and ``detection_metrics`` score poses and boxes, by COCO's evaluation in
``coco``, and ``restoration_metrics`` compares pictures by PSNR and SSIM. ``heatmaps`` turns
joints into maps and back, and ``fcos`` boxes into what the locations of a pyramid learn.
``resolution`` aligns targets with logits, and ``painting`` paints answers on images.
"""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.tasks.base import (  # noqa: E402
    Answer,
    Metrics,
    Outputs,
    Pass,
    TargetSpec,
    Task,
)
from nas_tf.tasks.dense import DenseTask, MapMetrics, MapTask  # noqa: E402
from nas_tf.tasks.depth import Depth  # noqa: E402
from nas_tf.tasks.detection import Detection  # noqa: E402
from nas_tf.tasks.pose import Pose  # noqa: E402
from nas_tf.tasks.registry import TASKS, of_model  # noqa: E402
from nas_tf.tasks.restoration import Restoration  # noqa: E402
from nas_tf.tasks.segmentation import Segmentation  # noqa: E402

__all__ = [
    "TASKS",
    "Answer",
    "DenseTask",
    "Depth",
    "Detection",
    "MapMetrics",
    "MapTask",
    "Metrics",
    "Outputs",
    "Pass",
    "Pose",
    "Restoration",
    "Segmentation",
    "TargetSpec",
    "Task",
    "of_model",
]
