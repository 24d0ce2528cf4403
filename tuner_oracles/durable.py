"""The base class of all oracles here: a KerasTuner oracle that survives kills.

This module and ``recorded.py`` implement themselves much of what KerasTuner 1.4.8 does, instead
of calling ``super()``: there a kill between two writes, an exception under the lock, a retried
call or a silent worker would lose or repeat trials.
"""

import logging
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras_tuner as kt
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.engine.trial import Trial, TrialStatus

from tuner_oracles.interrupts import uninterrupted
from tuner_oracles.leases import Leases
from tuner_oracles.proposals import Exhausted, Proposals
from tuner_oracles.recorded import RecordedOracle
from tuner_oracles.searcher import Proposal, Searcher
from tuner_oracles.tokens import hyperparameter_names, refuse_late

_LOG = logging.getLogger(__name__)
LONGEST_MESSAGE = 4000


class DurableOracle(RecordedOracle):
    """A KerasTuner oracle that loses no result, whichever process is killed at any moment.

    ``objective``, ``max_trials``, ``hyperparameters`` and ``seed`` are KerasTuner's. Further:

    - ``first``: values to try before anything is proposed, such as the best of another search; the
      searcher learns from them as from its own proposals.
    - ``duplicates``: "avoid" proposes no vector twice (a controller still learns from the known
      score), "run" trains it again.
    - ``canonical``: a function from a trial's values to a key, equal for equal networks.
    - ``feasible``: a function from values to whether they are worth a trial; others are sampled
      again and counted in ``proposals.refused``.
    - ``max_retries_per_trial``: the number of further runs of a crashed trial.
    - ``max_deaths_per_trial``: the number of deaths of its process after which a trial fails.
    - ``max_consecutive_failed_trials``: the number of failures in a row that stops the search;
      None never stops it. A trial that fails with a message such as "refused: 9 layers" was
      refused for its values: it does not count, however many there are.
    - ``heartbeat_timeout``: the seconds of silence after which a worker loses its trial.
    - ``second_runs``: the number of last trials that run the best values again, each once, for a
      HyperModel whose result is in part chance.

    **Threads.** Once the tuner is built, all methods may be called from any thread; they take one
    lock. ``beat`` alone does not wait for it, so heartbeats count while the oracle is busy.
    ``canonical``, ``feasible`` and the searcher are called under it and must not call the oracle.

    **Processes.** One process at a time owns a search: it locks ``ledger.jsonl`` in the project's
    folder at the first use of the oracle. A second process is refused with ``ledger.Busy``; a
    second oracle in the same process takes over. Workers own no state: they ask a chief
    (``distributed.search``) for trials and never open the ledger.

    **Kills.** Each proposal, metric and result is on disk before its call returns. After a kill,
    a new oracle with the same settings and folder resumes: every result counts once, running
    trials are run again (or stay with a chief's living workers), and with the same seed and
    results the same proposals follow. Lost are a trial's progress within its run, and counters of
    the process such as ``stop_reason``.
    """

    def __init__(
        self,
        searcher: Searcher,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        hyperparameters: kt.HyperParameters | None = None,
        seed: int | None = None,
        first: Sequence[Mapping[str, Any]] | None = None,
        duplicates: str = "avoid",
        canonical: Callable[[dict[str, Any]], Hashable] | None = None,
        feasible: Callable[[dict[str, Any]], bool] | None = None,
        max_retries_per_trial: int = 0,
        max_deaths_per_trial: int = 3,
        max_consecutive_failed_trials: int | None = 10,
        heartbeat_timeout: float = 120.0,
        second_runs: int = 0,
        **kwargs: Any,
    ) -> None:
        if isinstance(second_runs, bool) or not isinstance(second_runs, int) or second_runs < 0:
            raise ValueError(f"second_runs is {second_runs!r}, expected an integer of 0 or more")
        super().__init__(
            searcher,
            Proposals(searcher, duplicates, canonical, feasible),
            seed,
            first,
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=None,  # KerasTuner's own limit raises under its lock
            **kwargs,
        )
        self.max_deaths_per_trial = max_deaths_per_trial
        self.failure_limit = max_consecutive_failed_trials
        self.second_runs = second_runs
        self.stop_reason: str | None = None
        self.deadline = math.inf  # by time.monotonic(): no trial is proposed after it
        self.leases = Leases(heartbeat_timeout)
        self._failures = 0

    # The methods that KerasTuner calls.

    def create_trial(self, tuner_id: str) -> Trial:
        """Returns a tuner's next trial, or one with status IDLE or STOPPED if there is none."""
        with self._lock:
            self._ensure_open()
            self.leases.renew(tuner_id)
            self.reap()
            self.tuner_ids.add(tuner_id)
            if tuner_id in self.ongoing_trials:
                return self.ongoing_trials[tuner_id]
            if (trial_id := self._next_trial_id(tuner_id)) is None:
                return self._no_trial(tuner_id)
            trial = self.trials[trial_id]
            trial.hyperparameters = self._own_hyperparameters(trial.hyperparameters.values)
            self._save_trial(trial)
            self._display.on_trial_begin(trial)
            return trial

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Records the metrics of a running trial; those of an ended one are ignored."""
        with self._lock:
            self._ensure_open()
            trial = self._existing(trial_id)
            if trial_id in self._unfinished:
                self._check_objective_found(metrics)
                values = {name: _json_number(value) for name, value in metrics.items()}
                self._commit("report", trial=trial_id, metrics=values, step=int(step or 0))
                self._save_trial(trial)
            return trial

    def end_trial(self, trial: Trial) -> None:
        """Records how a trial ended; the first call counts, later ones are ignored."""
        with self._lock:
            self._ensure_open()
            refuse_late(
                hyperparameter_names(trial.hyperparameters),
                hyperparameter_names(self.hyperparameters),
            )
            held = trial.trial_id not in self._retry_queue
            self._accept_end(trial.trial_id, trial.status, trial.message, held)

    def get_trial(self, trial_id: str) -> Trial:
        """Returns the trial of an id; raises ``ValueError`` if there is none."""
        with self._lock:
            self._ensure_open()
            return self._with_own_hyperparameters(self._existing(trial_id))

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Returns the best completed trials, best first, then the others."""
        with self._lock:
            if self._has_ledger():
                self._ensure_open()
            best = super().get_best_trials(num_trials)
            return [self._with_own_hyperparameters(trial) for trial in best]

    # The methods that a chief calls for its workers.

    def hello(self, tuner_id: str) -> None:
        """Registers a started worker process; a trial of its predecessor is queued again."""
        with self._lock:
            self._ensure_open()
            self.leases.beat(tuner_id)
            self._requeue_trial_of(tuner_id)

    def beat(self, tuner_id: str) -> None:
        """Records a worker's heartbeat; counts also while the oracle is busy."""
        self.leases.beat(tuner_id)

    def end(self, tuner_id: str, trial_id: str, status: str, message: str | None) -> None:
        """Records how a worker's trial ended, with the reason that KerasTuner's call omits."""
        with self._lock:
            self._ensure_open()
            trial = self.ongoing_trials.get(tuner_id)
            held = trial is not None and trial.trial_id == trial_id
            self._accept_end(trial_id, status, message, held)

    def release(self, tuner_id: str) -> None:
        """Queues the trial of a tuner that stops on request; no death is counted."""
        with self._lock:
            if self._ledger is not None and (trial := self.ongoing_trials.get(tuner_id)):
                self._commit("release", trial=trial.trial_id)

    def leave(self, tuner_id: str) -> None:
        """Removes a worker that has ended or fallen silent, and queues its trial again."""
        with self._lock:
            self._requeue_trial_of(tuner_id)
            self.leases.remove(tuner_id)
            self.tuner_ids.discard(tuner_id)

    def reap(self) -> None:
        """Removes silent workers, whose trials go to others."""
        with self._lock:
            for tuner_id in self.leases.expired():
                if tuner_id in self.ongoing_trials:
                    _LOG.warning("%s fell silent and loses its trial", tuner_id)
                self.leave(tuner_id)

    def over(self) -> bool:
        """Returns whether all trials have ended and no other will start."""
        with self._lock:
            self._ensure_open()
            return not (self._may_propose() or self._retry_queue or self.ongoing_trials)

    def ends(self) -> list[kt.HyperParameters]:
        """Returns the two ends of the space: all first values, and all last values."""
        with self._lock:
            self._ensure_open()
            first, last = [0] * len(self.tokens.sizes), [size - 1 for size in self.tokens.sizes]
            return [
                self._own_hyperparameters(self.tokens.values(vector)) for vector in (first, last)
            ]

    def warm_up(self) -> None:
        """Opens the ledger and does in advance whatever makes the searcher's first call slow."""
        with self._lock:
            self._ensure_open()
            self.searcher.warm_up()

    def _adopt_running(self, tuner_ids: set[str]) -> None:
        """Leaves trials to a chief's workers, which may still run; else queues them again."""
        for tuner_id in sorted(tuner_ids):
            if not distribution.is_chief_oracle():
                self._requeue_trial_of(tuner_id)
            elif tuner_id in self.ongoing_trials:
                self.leases.beat(tuner_id)
            else:
                self.leases.expect(tuner_id)

    # The life of a trial.

    def _next_trial_id(self, tuner_id: str) -> str | None:
        if self._retry_queue:
            trial_id = self._retry_queue[0]
            self._commit("attempt", trial=trial_id, tuner=tuner_id)
            return trial_id
        if not self._may_propose():
            return None
        try:
            proposal = self._second_run() or self.proposals.next(self._commit_known)
        except Exhausted as end:
            self._stop(str(end))
            return None
        width = len(next(iter(self.trials), str(self.max_trials or 0)))  # as at the start
        trial_id = f"{len(self.trials):0{width}d}"
        self._commit(
            "proposal",
            trial=trial_id,
            tuner=tuner_id,
            tokens=list(proposal.tokens),
            policy=proposal.policy,
            drawn=self.proposals.count,
        )
        return trial_id

    def _second_run(self) -> Proposal | None:
        """Returns the best values that were run once, if the last trials have come.

        The searcher's policy did not sample them, so that it learns nothing from them.
        """
        if not self.max_trials or self.max_trials - len(self.trials) > self.second_runs:
            return None
        vectors = {
            name: self.tokens.vector(trial.hyperparameters.values)
            for name, trial in self.trials.items()
        }
        runs = Counter(vectors.values())
        ended = [name for name in self.end_order if runs[vectors[name]] == 1]
        scored = [self.trials[name] for name in ended if self.trials[name].score is not None]
        if not scored:
            return None
        sign = 1 if self.objective.direction == "max" else -1
        best = max(scored, key=lambda trial: sign * trial.score)
        return Proposal(vectors[best.trial_id])

    def _commit_known(self, proposal: Proposal, reward: float) -> None:
        """Records a proposal of known reward, from which the searcher learns without a trial."""
        self._commit(
            "known",
            tokens=list(proposal.tokens),
            policy=proposal.policy,
            reward=reward,
            drawn=self.proposals.count,
            repeats=self.proposals.repeats,
        )

    def _no_trial(self, tuner_id: str) -> Trial:
        """Returns IDLE if the worker has a heartbeat and may inherit a trial, else STOPPED."""
        if self.ongoing_trials and self.leases.has_heartbeat(tuner_id):
            status = TrialStatus.IDLE
        else:
            status = TrialStatus.STOPPED
            self.save()
            self.tuner_ids.discard(tuner_id)
            self.leases.remove(tuner_id)
        return Trial(hyperparameters=self._own_hyperparameters({}), trial_id="", status=status)

    def _accept_end(self, trial_id: str, status: str, message: str | None, held: bool) -> None:
        """Ends a trial; a caller that does not hold it must bring a score, or is ignored.

        Such a call was repeated after the chief died, or comes from a worker presumed dead.
        """
        trial = self._existing(trial_id)
        scored = status == TrialStatus.COMPLETED and trial.metrics.exists(self.objective.name)
        if trial_id in self._unfinished and (held or scored):
            self._end(trial, status, message)

    def _end(self, trial: Trial, status: str, message: str | None) -> None:
        score, step = None, 0
        if status == TrialStatus.COMPLETED:
            if trial.metrics.exists(self.objective.name):
                self.score_trial(trial)
                score, step = trial.score, trial.best_step
            else:
                status = TrialStatus.INVALID
                message = trial.message or f"no {self.objective.name} was reported"
        elif status not in (TrialStatus.INVALID, TrialStatus.FAILED):
            status, message = TrialStatus.INVALID, f"the trial ended as {status}"
        if status == TrialStatus.INVALID and (
            self._run_times[trial.trial_id] >= self.max_retries_per_trial
        ):
            status = TrialStatus.FAILED
        self._commit(
            "result",
            trial=trial.trial_id,
            status=status,
            score=score,
            step=step,
            message=(message or "")[-LONGEST_MESSAGE:] or None,
        )
        self._checkpoint()
        self._save_trial(trial)
        self._count_failure(trial)
        self.save()
        if trial.trial_id in self._display.trial_start:
            self._display.on_trial_end(trial)
            self._display.trial_start.pop(trial.trial_id)
            self._display.trial_number.pop(trial.trial_id)

    def _requeue_trial_of(self, tuner_id: str) -> None:
        """Queues the trial of a dead tuner again, or fails it after too many deaths."""
        with uninterrupted():
            trial = self.ongoing_trials.pop(tuner_id, None)
            if trial is None:
                return
            deaths = self._assignments[trial.trial_id] - self._run_times[trial.trial_id]
            if deaths < self.max_deaths_per_trial:
                self._retry_queue.append(trial.trial_id)
                return
            self._end(trial, TrialStatus.FAILED, f"the process that ran it died {deaths} times")

    def _count_failure(self, trial: Trial) -> None:
        """Stops the search after too many failures in a row; a resumed one counts from zero.

        A run that is retried and a refused trial neither count as failures nor end a row.
        """
        if trial.status == TrialStatus.COMPLETED:
            self._failures = 0
        reason = (trial.message or "").strip().rpartition("\n")[2]
        if trial.status != TrialStatus.FAILED or ": refused: " in f": {reason}":
            return
        self._failures += 1
        if self._failures == self.failure_limit:
            self._stop(f"{self._failures} trials failed in a row; the last: {reason}")

    def _stop(self, reason: str) -> None:
        if self.stop_reason is None:
            self.stop_reason = reason
            warnings.warn(f"the search stops: {reason}", stacklevel=2)

    def _may_propose(self) -> bool:
        """Returns whether another trial may be proposed."""
        is_full = bool(self.max_trials) and len(self.trials) >= self.max_trials
        return self.stop_reason is None and not is_full and time.monotonic() < self.deadline

    # Trials as callers receive them.

    def _existing(self, trial_id: str) -> Trial:
        if trial_id not in self.trials:
            raise ValueError(f"there is no trial {trial_id!r} in {self._project_dir}")
        return self.trials[trial_id]

    def _with_own_hyperparameters(self, trial: Trial) -> Trial:
        """Returns the trial with hyperparameters of its own, to which a HyperModel may add."""
        if trial.hyperparameters.space is self.hyperparameters.space:
            trial.hyperparameters = self._own_hyperparameters(trial.hyperparameters.values)
        return trial


def _json_number(value: Any) -> float | str:
    """Returns a metric as JSON allows it: numbers that are not finite are spelt out."""
    return float(value) if math.isfinite(float(value)) else str(float(value))
