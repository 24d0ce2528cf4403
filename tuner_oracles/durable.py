"""The oracle under all of ours: a KerasTuner oracle that survives.

What KerasTuner 1.4.8 does itself is in ``recorded.py`` and here instead of in calls to
``super()``, where a kill between two of its writes, an exception under its lock, a retried
call or a silent worker would lose or repeat trials.
"""

import logging
import math
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras_tuner as kt
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.engine.trial import Trial, TrialStatus

from tuner_oracles import tokens
from tuner_oracles.leases import Leases
from tuner_oracles.ledger import uninterrupted
from tuner_oracles.proposals import Exhausted, Proposals
from tuner_oracles.recorded import RecordedOracle
from tuner_oracles.searcher import Proposal, Searcher

_LOG = logging.getLogger(__name__)
LONGEST_MESSAGE = 4000


class DurableOracle(RecordedOracle):
    """A KerasTuner oracle that loses nothing, whatever is killed whenever.

    ``objective``, ``max_trials``, ``hyperparameters`` and ``seed`` are KerasTuner's. Further:

    - ``first``: values to try before anything is proposed, such as the best of another search; the
      searcher learns from them as from its own.
    - ``duplicates``: "avoid" proposes no vector twice (a controller still learns from the known
      score), "run" trains it again.
    - ``canonical``: gives the values of a trial a key, equal for those that are the same network.
    - ``feasible``: says of the values whether they are worth a trial; others are drawn anew and
      counted in ``refused``.
    - ``max_retries_per_trial``: how often a crashed trial is run again.
    - ``max_deaths_per_trial``: after how many deaths of its process a trial counts as failed.
    - ``max_consecutive_failed_trials``: after how many the search stops; None never stops it.
    - ``heartbeat_timeout``: seconds of silence after which a worker has lost its trial.
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
        **kwargs: Any,
    ) -> None:
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
        self.stop_reason: str | None = None
        self.leases = Leases(heartbeat_timeout)
        self._failures = 0

    # What KerasTuner asks of an oracle.

    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial of a tuner, or word that there is none (for now)."""
        with self._lock:
            self._wake()
            self.leases.seen(tuner_id)
            self.reap()
            self.tuner_ids.add(tuner_id)
            if tuner_id in self.ongoing_trials:
                return self.ongoing_trials[tuner_id]
            if (trial_id := self._next(tuner_id)) is None:
                return self._nothing(tuner_id)
            trial = self.trials[trial_id]
            trial.hyperparameters = self._own_hyperparameters(trial.hyperparameters.values)
            self._save_trial(trial)
            self._display.on_trial_begin(trial)
            return trial

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Takes in the metrics of a running trial; those of an ended one are ignored."""
        with self._lock:
            self._wake()
            trial = self._told(trial_id)
            if trial_id in self._proposals:
                self._check_objective_found(metrics)
                plain = {name: _plain(value) for name, value in metrics.items()}
                self._commit("report", trial=trial_id, metrics=plain, step=int(step or 0))
                self._save_trial(trial)
            return trial

    def end_trial(self, trial: Trial) -> None:
        """Takes in how a trial ended; the first word counts, later ones are ignored."""
        with self._lock:
            self._wake()
            tokens.refuse(tokens.names(trial.hyperparameters), tokens.names(self.hyperparameters))
            held = trial.trial_id not in self._retry_queue
            self._take_end(trial.trial_id, trial.status, trial.message, held)

    def get_trial(self, trial_id: str) -> Trial:
        """A trial by its id."""
        with self._lock:
            self._wake()
            return self._unshared(self._told(trial_id))

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best completed trials, then the others."""
        with self._lock:
            if self._begun():
                self._wake()
            return [self._unshared(trial) for trial in super().get_best_trials(num_trials)]

    # What distribution asks of it.

    def hello(self, tuner_id: str) -> None:
        """A worker process begins; what one of its name was doing died with it."""
        with self._lock:
            self._wake()
            self.leases.beat(tuner_id)
            self._give_back(tuner_id)

    def beat(self, tuner_id: str) -> None:
        """A worker is alive; heard also while the oracle is busy."""
        self.leases.beat(tuner_id)

    def end(self, tuner_id: str, trial_id: str, status: str, message: str | None) -> None:
        """A worker says how its trial ended, which KerasTuner's call says without the reason."""
        with self._lock:
            self._wake()
            mine = self.ongoing_trials.get(tuner_id)
            held = mine is not None and mine.trial_id == trial_id
            self._take_end(trial_id, status, message, held)

    def release(self, tuner_id: str) -> None:
        """A tuner stops on request: its trial is taken up later, and no death is counted."""
        with self._lock:
            if self._ledger is not None and (trial := self.ongoing_trials.get(tuner_id)):
                self._commit("release", trial=trial.trial_id)

    def leave(self, tuner_id: str) -> None:
        """A worker has gone."""
        with self._lock:
            self._give_back(tuner_id)
            self.leases.left(tuner_id)
            self.tuner_ids.discard(tuner_id)

    def reap(self) -> None:
        """Takes the trials of silent workers back."""
        with self._lock:
            for tuner_id in self.leases.expired():
                if tuner_id in self.ongoing_trials:
                    _LOG.warning("%s fell silent and loses its trial", tuner_id)
                self.leave(tuner_id)

    def over(self) -> bool:
        """Whether every trial there will be has ended."""
        with self._lock:
            self._wake()
            return not (self._room() or self._retry_queue or self.ongoing_trials)

    def ends(self) -> list[kt.HyperParameters]:
        """The first values of all hyperparameters, and the last."""
        with self._lock:
            self._wake()
            first, last = [0] * len(self.tokens.sizes), [size - 1 for size in self.tokens.sizes]
            return [self._own_hyperparameters(self.tokens.values(one)) for one in (first, last)]

    def warm_up(self) -> None:
        """Wakes the searcher and does what makes its first call slow."""
        with self._lock:
            self._wake()
            self.searcher.warm_up()

    def _take_up(self, tuner_ids: set[str]) -> None:
        """A chief's workers may live on and report; in one process the trial died with it."""
        for tuner_id in sorted(tuner_ids):
            if not distribution.is_chief_oracle():
                self._give_back(tuner_id)
            elif tuner_id in self.ongoing_trials:
                self.leases.beat(tuner_id)
            else:
                self.leases.expect(tuner_id)

    # One trial's way.

    def _next(self, tuner_id: str) -> str | None:
        if self._retry_queue:
            trial_id = self._retry_queue[0]
            self._commit("attempt", trial=trial_id, tuner=tuner_id)
            return trial_id
        if not self._room():
            return None
        try:
            proposal = self.draws.next(self._known)
        except Exhausted as end:
            self._stop(str(end))
            return None
        width = len(next(iter(self.trials), str(self.max_trials or 0)))  # as the search began
        trial_id = f"{len(self.trials):0{width}d}"
        self._commit(
            "proposal",
            trial=trial_id,
            tuner=tuner_id,
            tokens=list(proposal.tokens),
            policy=proposal.policy,
            drawn=self.draws.count,
        )
        return trial_id

    def _known(self, proposal: Proposal, reward: float) -> None:
        """A proposal of known score: something to learn from, at no trial's cost."""
        self._commit(
            "known",
            tokens=list(proposal.tokens),
            policy=proposal.policy,
            reward=reward,
            drawn=self.draws.count,
            repeats=self.draws.repeats,
        )

    def _nothing(self, tuner_id: str) -> Trial:
        """IDLE for a steady worker while others may still lose their trials, else STOPPED."""
        if self.ongoing_trials and self.leases.beats(tuner_id):
            status = TrialStatus.IDLE
        else:
            status = TrialStatus.STOPPED
            self.save()
            self.tuner_ids.discard(tuner_id)
            self.leases.left(tuner_id)
        return Trial(hyperparameters=self._own_hyperparameters({}), trial_id="", status=status)

    def _take_end(self, trial_id: str, status: str, message: str | None, held: bool) -> None:
        """An end of a trial that the teller does not hold counts only if it brings a score.

        It is a call repeated after the chief died, or comes from a worker thought dead.
        """
        trial = self._told(trial_id)
        scored = status == TrialStatus.COMPLETED and trial.metrics.exists(self.objective.name)
        if trial_id in self._proposals and (held or scored):
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

    def _give_back(self, tuner_id: str) -> None:
        """Queues the trial of a tuner that died with it, or fails it if it has killed too many."""
        with uninterrupted():
            trial = self.ongoing_trials.pop(tuner_id, None)
            if trial is None:
                return
            deaths = self._handed[trial.trial_id] - self._run_times[trial.trial_id]
            if deaths < self.max_deaths_per_trial:
                self._retry_queue.append(trial.trial_id)
                return
            self._end(trial, TrialStatus.FAILED, f"the process that ran it died {deaths} times")

    def _count_failure(self, trial: Trial) -> None:
        """Stops the search after too many in a row; taken up again, it counts anew.

        A run that is tried again neither counts nor ends a row.
        """
        if trial.status == TrialStatus.COMPLETED:
            self._failures = 0
        if trial.status != TrialStatus.FAILED:
            return
        self._failures += 1
        if self._failures == self.failure_limit:
            last = (trial.message or "").strip().rpartition("\n")[2]
            self._stop(f"{self._failures} trials failed in a row; the last: {last}")

    def _stop(self, reason: str) -> None:
        if self.stop_reason is None:
            self.stop_reason = reason
            warnings.warn(f"the search stops: {reason}", stacklevel=2)

    def _room(self) -> bool:
        """Whether another trial may be proposed."""
        return self.stop_reason is None and not (
            self.max_trials and len(self.trials) >= self.max_trials
        )

    # Trials as others see them.

    def _told(self, trial_id: str) -> Trial:
        if trial_id not in self.trials:
            raise ValueError(f"there is no trial {trial_id!r} in {self._project_dir}")
        return self.trials[trial_id]

    def _unshared(self, trial: Trial) -> Trial:
        """A trial whose hyperparameters a HyperModel may add to."""
        if trial.hyperparameters.space is self.hyperparameters.space:
            trial.hyperparameters = self._own_hyperparameters(trial.hyperparameters.values)
        return trial


def _plain(value: Any) -> float | str:
    """A metric as JSON has it; what is not finite is spelt out."""
    number = float(value)
    return number if math.isfinite(number) else str(number)
