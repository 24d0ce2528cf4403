"""The result of evaluating one candidate."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas_tf.genotype import Genotype


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The result of one stage: its score, figures, losses and durations.

    ``seconds`` has ``build`` (blueprint, weights, optimisers), ``trace`` (the part of the first
    step that exceeds a mean step: tracing and optimising its graph), ``input`` (waiting for
    batches), ``steps``, ``validate``, and ``validate_trace`` (like ``trace``).
    """

    score: float
    metrics: Mapping[str, float]
    losses: tuple[float, ...]
    steps: int
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class CandidateResult:
    """A candidate's score, which is that of the last stage it reached, with details.

    The score is the task's own figure; ``search.pricing`` turns it into a reward by penalties on
    cost. ``stopped`` is the reason why the candidate did not run to its end: ``gate`` for a weak
    one, or the reason of a failure, for which the score is ``limits.failure_score`` and ranks
    nothing. ``over_limit`` marks a refused candidate: beyond a limit, or without a network.
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
        """Returns the result as plain values, for JSON; ``reward`` of a stage is its score."""
        stages = [asdict(stage) | {"reward": stage.score} for stage in self.stages]
        return {**asdict(self), "genotype": self.genotype.to_json(), "stages": stages}
