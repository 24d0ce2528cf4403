"""Completes the record of a trial when it has ended."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs

from nas_tf.config.schema import Goals
from nas_tf.genotype import Genotype
from nas_tf.runs import TrialRecord, record
from nas_tf.search import pricing
from nas_tf.spaces import SearchSpace


def crashed(genotype: Genotype, error: Exception, floor: float) -> TrialRecord:
    """Returns the result of a candidate whose evaluation raised an unexpected error."""
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return TrialRecord.of(genotype, floor, failed=True, stopped=reason)


def ended(
    found: TrialRecord, trial: str, goals: Goals, *, since: float, worker: str
) -> TrialRecord:
    """Returns the record of a trial that has just ended, from what its evaluation found.

    ``since`` is the time of its start by ``time.perf_counter``.
    """
    seconds, moment = time.perf_counter() - since, datetime.now(UTC)
    return structs.replace(
        found,
        trial=trial,
        reward=pricing.reward(goals, found),
        seconds=seconds,
        worker=worker,
        started=_written(moment - timedelta(seconds=seconds)),
        ended=_written(moment),
    )


def now() -> str:
    """Returns the current time as runs write it."""
    return _written(datetime.now(UTC))


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


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
        genotype = space.decode([values[token.name] for token in space.tokens])
        lost = TrialRecord.of(genotype, floor, failed=True, stopped=reason)
        yield structs.replace(lost, trial=trial, started=moment, ended=moment)
