"""Trials whose process died too often to write their own record."""

import json
from collections.abc import Iterator
from pathlib import Path

from nas_tf.runs import TrialRecord, record
from nas_tf.search.outcome import now
from nas_tf.spaces import SearchSpace


def failures(folder: Path, space: SearchSpace, floor: float) -> Iterator[TrialRecord]:
    """A failed record for each trial that the oracle counts as failed and the run knows not of.

    The oracle's word is KerasTuner's ``trial_ID/trial.json``, which nothing depends on: one that
    is damaged tells nothing.
    """
    for path in sorted(folder.glob("trial_*/trial.json")):
        try:
            told = json.loads(path.read_bytes())
        except ValueError:
            continue
        trial = told["trial_id"]
        if told["status"] != "FAILED" or record.path_of(folder, trial).exists():
            continue
        values = told["hyperparameters"]["values"]
        reason = (told.get("message") or "the oracle gave it up").strip().rpartition("\n")[2]
        moment = now()  # when it is told: the process that began it said nothing
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
