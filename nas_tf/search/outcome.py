"""From what became of a candidate to what is kept of it."""

from datetime import UTC, datetime

from nas_tf.config.schema import Targets
from nas_tf.genotype import Genotype
from nas_tf.runs import Stage, TrialRecord
from nas_tf.search import prices
from nas_tf.training.result import CandidateResult


def crashed(genotype: Genotype, error: Exception, floor: float) -> CandidateResult:
    """The result of a candidate whose evaluation raised what nobody foresaw."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return CandidateResult(genotype=genotype, reward=floor, stopped=reason, failed=True)


def record_of(
    trial: str,
    result: CandidateResult,
    targets: Targets,
    *,
    started: str,
    seconds: float,
    worker: str,
) -> TrialRecord:
    """What is kept of a candidate that has just ended."""
    return TrialRecord(
        trial=trial,
        space=result.genotype.space,
        genotype=str(result.genotype),
        status="failed" if result.failed else "completed",
        reward=prices.reward(targets, result),
        score=result.reward,
        stages=tuple(
            Stage(
                reward=stage.reward,
                metrics={name: float(value) for name, value in stage.metrics.items()},
                losses=stage.losses,
                steps=stage.steps,
                seconds=dict(stage.seconds),
            )
            for stage in result.stages
        ),
        stopped=result.stopped,
        params=result.params,
        madds=result.madds,
        latency_ms=result.latency_ms,
        seed=result.seed,
        seconds=seconds,
        worker=worker,
        started=started,
        ended=now(),
    )


def now() -> str:
    """The time as runs write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
