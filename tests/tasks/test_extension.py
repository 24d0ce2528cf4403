"""The task that the page on extending adds keeps the contract of all tasks."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from nas_tf.tasks import Outputs
from tests.contracts.task_contract import DenseTaskContract

PAGE = Path(__file__).parents[2] / "docs" / "extend" / "task.md"
CODE = re.search(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
SALIENCY: dict[str, type] = {}
exec(compile(CODE[1], str(PAGE), "exec"), SALIENCY)  # the page's first block, its classes


class TestSaliency(DenseTaskContract):
    task = SALIENCY["Saliency"]()

    def targets(self, seed: int, batch: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return (
            rng.choice([0, 1, 4, 255], (batch, 8, 12)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
        )

    def outputs(self, seed: int, batch: int) -> Outputs:
        return {"logits": super().outputs(seed, batch)["logits"] - 0.7}

    def perfect(self, target: np.ndarray) -> Outputs:
        return {"logits": tf.where(target[..., None] > 0, 9.0, -9.0)}

    def without_truth(self, target: np.ndarray) -> np.ndarray:
        return np.full_like(target, 255)
