"""Makes the record of a trial from the result of its candidate."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from nas_tf.config.schema import Goals
from nas_tf.genotype import Genotype
from nas_tf.runs import Stage, TrialRecord, record
from nas_tf.search import pricing
from nas_tf.spaces import SearchSpace
from nas_tf.training.result import CandidateResult


def crashed(genotype: Genotype, error: Exception, floor: float) -> CandidateResult:
    """Returns the result of a candidate whose evaluation raised an unexpected error."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return CandidateResult(genotype=genotype, score=floor, stopped=reason, failed=True)


def record_of(
    trial: str,
    result: CandidateResult,
    goals: Goals,
    *,
    started: str,
    seconds: float,
    worker: str,
) -> TrialRecord:
    """Returns the record of a candidate that has just ended."""
    return TrialRecord(
        trial=trial,
        space=result.genotype.space,
        genotype=str(result.genotype),
        status="failed" if result.failed else "completed",
        reward=pricing.reward(goals, result),
        score=result.score,
        stages=tuple(
            Stage(
                score=stage.score,
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
    """Returns the current time as runs write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def unrecorded_failures(folder: Path, space: SearchSpace, floor: float) -> Iterator[TrialRecord]:
    """Yields a failed record for each trial that failed in the oracle and has no record.

    The oracle's trials are read from KerasTuner's ``trial_ID/trial.json``, on which nothing
    depends: a damaged one is skipped.
    """
    for path in sorted(folder.glob("trial_*/trial.json")):
        try:
            content = json.loads(path.read_bytes())
        except ValueError:
            continue
        trial = content["trial_id"]
        if content["status"] != "FAILED" or record.path_of(folder, trial).exists():
            continue
        values = content["hyperparameters"]["values"]
        reason = (content.get("message") or "the oracle gave it up").strip().rpartition("\n")[2]
        moment = now()  # of this record: the process that started the trial left no time
        yield TrialRecord(
            trial=trial,
            space=space.name,
            genotype=str(space.decode([values[token.name] for token in space.tokens])),
            status="failed",
            stopped=reason,
            reward=floor,
            score=floor,
            started=moment,
            ended=moment,
        )
