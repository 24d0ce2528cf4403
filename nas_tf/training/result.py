"""What the evaluation of one candidate gave."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas_tf.genotype import Genotype


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """One stage: its reward and figures, the losses it went through, where its time went.

    ``seconds`` has ``build`` (drawing, weights, optimisers), ``trace`` (the first step beyond
    what a step takes: tracing and optimising its graph), ``input`` (waiting for batches),
    ``steps``, ``validate``, and ``validate_trace`` (as ``trace``).
    """

    score: float
    metrics: Mapping[str, float]
    losses: tuple[float, ...]
    steps: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """A candidate's reward, that of the last stage it reached, and how it came about.

    The reward is the task's own; ``search.prices`` says what costs do to it. ``stopped`` says why
    it did not run to its end: ``gate`` for a weak candidate, or the reason of a failure, for which
    the reward is the floor. ``over_limit`` marks the failure of a network that costs more than it
    may.
    """

    genotype: Genotype
    score: float
    stages: tuple[StageResult, ...] = ()
    params: int = 0
    madds: int = 0
    latency_ms: float | None = None
    stopped: str | None = None
    failed: bool = False
    over_limit: bool = False
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "genotype": self.genotype.to_json()}
