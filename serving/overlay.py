"""Draws answers over their images, and converts answers to pictures of their values."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from nas_tf import tasks
from nas_tf.errors import ConfigError
from nas_tf.tasks import Answer, Task

_OPACITY = 0.55


def draw(image: np.ndarray, answer: Answer, about: Mapping[str, Any]) -> np.ndarray:
    """Draws an answer over an image as its task does, as RGB bytes of the image's size.

    Args:
        image: RGB bytes.
        answer: The answer to this image, without a batch dimension.
        about: The model's metadata: its task, the input size, in whose pixels positions are, and
            its palette.
    """
    task, size = _task(answer, about), about["input"]["size"]
    return task.paint(image, task.from_file(answer), size=size, opacity=_OPACITY)


def values(answer: Answer, about: Mapping[str, Any]) -> Image.Image:
    """Returns the answer's values as a picture for PNG: class indices, or depths in 1/256 metres.

    Class indices have the palette attached, so that viewers show them in colour.
    """
    task = _task(answer, about)
    return task.value_picture(task.from_file(answer))


def _task(answer: Answer, about: Mapping[str, Any]) -> Task:
    """Returns the task that draws an answer; raises if it is unknown."""
    task = tasks.of_model(about, answer)
    if task is None:
        of_task = f" of task {about['task']}" if "task" in about else ""
        raise ConfigError(
            f"the model returns {', '.join(answer)}{of_task}, which cannot be drawn, expected a "
            f"model of {', '.join(tasks.TASKS)} from nas-tf export"
        )
    return task
