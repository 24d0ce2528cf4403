"""The trials of a search that train a network again, with another seed (``search.second_seeds``).

The oracle proposes the values of an earlier trial once more; here such a trial is recognised.
"""

from msgspec import structs

from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.runs import TrialRecord
from nas_tf.runs.trial_store import TrialStore


def first_trial(
    config: Config, store: TrialStore, trial: str, genotype: Genotype
) -> TrialRecord | None:
    """Returns the completed trial of a genotype that another trial repeats, None if it is new."""
    if config.search.second_seeds == 0:
        return None
    same = (each for each in store.all() if each.genotype == str(genotype) and not each.failed)
    return next((each for each in same if each.trial != trial and not each.repeats), None)


def named(found: TrialRecord, first: TrialRecord | None) -> TrialRecord:
    """Returns what a trial found, with the name of the trial that it repeats, if it does."""
    return found if first is None else structs.replace(found, repeats=first.trial)


class SameGate:
    """The gate of a repeated trial: it decides as for the first, so that both compare."""

    def __init__(self, first: TrialRecord) -> None:
        self._admits = first.stopped != "gate"

    def admits(self, score: float) -> bool:
        """Returns whether the first trial has passed the gate."""
        return self._admits
