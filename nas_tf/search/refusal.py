"""Fails refused candidates for KerasTuner: those beyond a limit, and those without a network.

KerasTuner has no status for them. It retries a trial that is INVALID, fails it in the end, and
stops a search after some FAILED trials in a row. Refused trials are FAILED with a message that
starts with ``refused: ``: oracles of ``tuner_oracles`` leave them out of that row, and so do
KerasTuner's own once they are ``exempt``.
"""

from collections.abc import Iterable
from typing import Any

import keras_tuner as kt
from keras_tuner.src.engine.trial import Trial

from nas_tf.runs import TrialRecord


def raise_if_failed(result: TrialRecord) -> None:
    """Raises the error by which KerasTuner fails the trial of a failed candidate."""
    if result.failed:
        mark = "refused: " if result.refused else ""
        raise kt.errors.FailedTrialError(f"{mark}{result.stopped}")


def exempt_oracle_of(callbacks: Iterable[Any]) -> None:
    """Exempts refused trials in the oracle of the tuner whose callbacks ``fit`` receives."""
    for callback in callbacks:
        oracle = getattr(getattr(callback, "tuner", None), "oracle", None)
        if isinstance(oracle, kt.Oracle):
            exempt(oracle)


def exempt(oracle: kt.Oracle) -> None:
    """Makes an oracle of KerasTuner leave refused trials out of the failures in a row."""
    if "_check_consecutive_failures" in vars(oracle):
        return
    check = oracle._check_consecutive_failures

    def check_others() -> None:
        ended = oracle.end_order
        oracle.end_order = [name for name in ended if not _is_refused(oracle.trials[name])]
        try:
            check()
        finally:
            oracle.end_order = ended

    oracle._check_consecutive_failures = check_others


def _is_refused(trial: Trial) -> bool:
    """Returns whether the message, or the last line of its traceback, is a refusal."""
    last = (trial.message or "").strip().rpartition("\n")[2]
    return ": refused: " in f": {last}"
