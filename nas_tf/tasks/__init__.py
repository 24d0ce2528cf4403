"""What is predicted: targets, losses, metrics, rewards and pictures, one file per task."""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.tasks.base import Metrics, TargetKind, TargetSpec, Task  # noqa: E402

__all__ = ["Metrics", "TargetKind", "TargetSpec", "Task"]
