"""Ctrl-C as it arrives while TensorFlow computes: the step is complete, and Python raises."""

from typing import Any

from nas_tf.training.learner import Learner


def interrupt_after(number: int, learner: Learner) -> None:
    """Lets the learner's step of this number, from 1, raise after its updates."""
    step, count = learner.step, 0

    def interrupted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        found = step(*arguments, **named)
        if count == number:
            raise KeyboardInterrupt
        return found

    learner.step = interrupted
