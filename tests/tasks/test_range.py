"""The contract holds a task that has no map, is scored by its loss and encodes its target."""

import numpy as np
import tensorflow as tf

from nas_tf.tasks import Outputs
from tests.contracts.task_contract import TaskContract
from tests.tasks.range_task import FARTHEST, Range


class TestRange(TaskContract):
    task = Range()
    updates_in_graph = False

    def targets(self, seed: int, batch: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        depths = rng.uniform(0.5, FARTHEST, (batch, *self.size))
        return (depths * (rng.random(depths.shape) > 0.3)).astype(np.float32)

    def outputs(self, seed: int, batch: int) -> Outputs:
        names = ("near", "far")
        return {
            name: tf.abs(tf.random.stateless_normal((batch, 1), (seed, n)))
            for n, name in enumerate(names)
        }

    def perfect(self, target: np.ndarray) -> Outputs:
        near, far = tf.split(self.task.encode(target, self.size), 2, -1)
        return {"near": near, "far": far}
