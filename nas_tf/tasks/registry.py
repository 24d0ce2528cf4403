"""The tasks by their names, for models whose metadata alone are known."""

from collections.abc import Collection, Mapping
from typing import Any

from nas_tf.tasks.base import FILE_SUFFIX, Task
from nas_tf.tasks.depth import Depth
from nas_tf.tasks.detection import Detection
from nas_tf.tasks.pose import Pose
from nas_tf.tasks.restoration import Restoration
from nas_tf.tasks.segmentation import Segmentation

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Segmentation, Depth, Pose, Detection, Restoration)
}
"""The tasks whose models can be decoded and drawn; a program may add its own."""


def of_model(about: Mapping[str, Any], answer: Collection[str] = ()) -> Task | None:
    """Returns the task of an exported model, to decode and draw its answers; None if unknown.

    Args:
        about: The model's metadata.
        answer: The names in its answers, by which the task is found if there are no metadata.
    """
    names = {name.removesuffix(FILE_SUFFIX) for name in answer}
    if "task" in about:
        found = TASKS.get(str(about["task"]))
    else:
        found = next((task for task in TASKS.values() if names.issuperset(task.primary)), None)
    return None if found is None else found.of_model(about)
