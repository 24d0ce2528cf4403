"""Searches that are complete but for the candidates, whose reward follows from the genotype."""

import time
from typing import Any

from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.runs import Stage, TrialRecord
from nas_tf.search import SearchHyperModel
from tests.runs.made import quality


class QuickModel(SearchHyperModel):
    """The HyperModel without data; a candidate takes ``seconds``."""

    seconds = 0.0

    def check(self, train_data: Any = None) -> None:
        """There is nothing to look at."""

    def evaluator(self, train_data: Any = None, progress: Any = None) -> Any:
        """The evaluator of no cost."""
        return QuickEvaluator(self.config(train_data), self.seconds)


class QuickEvaluator:
    """Two stages and the gate between them."""

    def __init__(self, config: Config, seconds: float) -> None:
        self.config, self._seconds = config, seconds

    def evaluate(self, genotype: Genotype, gate: Any, **_: Any) -> TrialRecord:
        time.sleep(self._seconds)
        first = quality(genotype)
        rewards = (first, first + 0.05) if gate.admits(first) else (first,)
        stages = tuple(
            Stage(score=reward, metrics={}, losses=(1.0,), steps=1, seconds={"steps": 0.1})
            for reward in rewards
        )
        stopped = None if len(rewards) == 2 else "gate"
        return TrialRecord.of(genotype, rewards[-1], stages=stages, stopped=stopped, params=1)
