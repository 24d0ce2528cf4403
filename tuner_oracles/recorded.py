"""The recorded state of a search: KerasTuner's trials as the sum of the ledger's records.

Every change of state is a record, appended and fsynced before it takes effect; the same
``_apply_…`` runs when a record is written and when it is read again. ``oracle.json`` and
``trial.json`` are written for KerasTuner's tools and for people. No state is read from them; they
only reveal a ledger that has lost its end: a trial ended there that has no result in the ledger.
"""

import copy
import json
import math
import os
import random
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras_tuner as kt
from keras_tuner.src.engine.metrics_tracking import MetricsTracker
from keras_tuner.src.engine.trial import Trial, TrialStatus

from tuner_oracles.interrupts import uninterrupted
from tuner_oracles.ledger import (
    NAME,
    Ledger,
    LedgerError,
    Lost,
    Record,
    write_atomically,
)
from tuner_oracles.proposals import Proposals, vectors
from tuner_oracles.searcher import Proposal, Searcher
from tuner_oracles.tokens import SpaceError, Tokens, vocabulary

FORMAT = 1


class RecordedOracle(kt.Oracle):
    """The recorded state of a search; ``DurableOracle`` decides on its next steps.

    One process at a time owns the ledger, from the first use of the oracle on. Public methods take
    the oracle's lock, except ``update_space``, which only the tuner's construction calls; private
    ones expect it to be held. Everything that a record holds survives a kill.
    """

    tokens: Tokens

    def __init__(
        self,
        searcher: Searcher,
        proposals: Proposals,
        seed: int | None,
        first: Sequence[Mapping[str, Any]] | None,
        **kwargs: Any,
    ) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ValueError(f"seed is {seed!r}, expected an integer of 0 or more")
        super().__init__(**kwargs)
        self.seed = seed
        self.searcher = searcher
        self.proposals = proposals
        self._given_first = first
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._saved_count = 0
        self._unfinished: dict[str, Proposal] = {}
        self._assignments: dict[str, int] = defaultdict(int)

    def save(self) -> None:
        """Writes ``oracle.json``, for KerasTuner's tools and for people.

        The file contains every trial, so until the search is over it lags behind by up to one
        record in a hundred: otherwise each trial would cost more than the last.

        A tuner saves its oracle before its own file, whose presence means that there is a search
        to resume: so the ledger exists by then, however long the first trial takes.
        """
        with self._lock:
            self._ensure_open()
            assert self._ledger is not None
            behind = self._ledger.count - self._saved_count
            if 100 * behind > self._saved_count or (behind and self.over()):
                path = Path(self._get_oracle_fname())
                write_atomically(path, json.dumps(self.get_state()).encode())
                self._saved_count = self._ledger.count

    def over(self) -> bool:
        """Returns whether all trials have ended and no other will start."""
        raise NotImplementedError

    def reload(self) -> None:
        """Resumes the search in the project's folder; raises ``Lost`` if it has no ledger."""
        with self._lock:
            if not self._has_ledger():
                raise Lost(
                    f"{self._project_dir} has no {NAME}: it was deleted, or the search was "
                    "started by an oracle that writes none"
                )
            self._ensure_open()

    def update_space(self, hyperparameters: kt.HyperParameters) -> None:
        """Adds hyperparameters until the search starts; refuses those that can't be tokens."""
        for hp in hyperparameters.space:
            vocabulary(hp)
        super().update_space(hyperparameters)

    # Starting and resuming.

    def _set_project_dir(self, directory: str, project_name: str) -> None:
        """Sets the folder and replaces the tuner's file there if a kill has truncated it."""
        super()._set_project_dir(directory, project_name)
        tuner_id = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        path = Path(directory) / project_name / f"{tuner_id}.json"
        if path.exists() and not isinstance(_json(path), dict):
            write_atomically(path, b"{}")

    def _has_ledger(self) -> bool:
        return self._ledger is not None or (Path(self._project_dir) / NAME).exists()

    def _ensure_open(self) -> None:
        """Opens and replays the ledger at the first use of the oracle.

        Construction is too early: the tuner sets the folder and the space only later.
        """
        if self._ledger is not None:
            return
        if "://" in str(self._directory):
            raise LedgerError(
                f"directory is {str(self._directory)!r}, expected a local or mounted folder"
            )
        with uninterrupted():
            ledger = Ledger(Path(self._project_dir) / NAME)
            try:
                self._check_end(ledger)
                header = self._header(ledger.records[0] if ledger.records else None)
            except Exception:
                ledger.close()
                raise
            self._ledger = ledger
            if ledger.records:
                self._replay(ledger.records)
                ledger.records = []
            else:
                self._commit("begin", **header)
            self.save()

    def _check_end(self, ledger: Ledger) -> None:
        """Refuses a ledger that was cut: a trial's folder is created only after its record."""
        proposed = {record["trial"] for record in ledger.records if record["kind"] == "proposal"}
        ended = {record["trial"] for record in ledger.records if record["kind"] == "result"}
        missing = []
        for folder in sorted(Path(self._project_dir).glob("trial_*")):
            trial_id = folder.name.removeprefix("trial_")
            if trial_id not in proposed or (trial_id not in ended and _has_ended(folder)):
                missing.append(folder.name)
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise LedgerError(
                f"{ledger.path} was cut short: the outcome of {missing[0]}{more} is missing; put "
                "back a copy of the file, or delete these folders, and the trials are run again"
            )

    def _header(self, recorded: Record | None) -> dict[str, Any]:
        """Returns the fields of the first record; raises if this search differs from them."""
        if recorded is None:
            Tokens(self.hyperparameters)
            self.seed = random.randint(1, 10**6) if self.seed is None else self.seed
        settings = {
            "format": FORMAT,
            "oracle": type(self).__name__,
            "objective": f"{self.objective.name} ({self.objective.direction})",
            "seed": self.seed,
            **self.searcher.settings(),
            "duplicates": self.proposals.duplicates,
        }
        if recorded is None:
            header = {"settings": settings, "space": self.hyperparameters.get_config()["space"]}
            first = vectors(Tokens(self.hyperparameters), self._given_first or ())
            return header | ({"first": first} if first else {})
        for name, was in recorded["settings"].items():
            now = settings.get(name)
            if now != was and not (name == "seed" and now is None):
                raise LedgerError(
                    f"the search in {self._project_dir} was started with {name} {was!r}, now it "
                    f"is {now!r}: use {was!r}, another project_name, or overwrite=True"
                )
        self._check_space(recorded["space"])
        self._check_first(recorded)
        return recorded

    def _check_first(self, recorded: Record) -> None:
        """Refuses other values to try first: they are fixed when a search starts."""
        if not self._given_first:
            return
        first = vectors(Tokens(_hyperparameters(recorded["space"])), self._given_first)
        if first != recorded.get("first", []):
            raise LedgerError(
                f"the search in {self._project_dir} was started with other values to try first: "
                "give those, none, another project_name, or overwrite=True"
            )

    def _check_space(self, space: list[dict[str, Any]]) -> None:
        """Refuses to resume over another space; an empty one is taken from the ledger."""
        was = _vocabularies(_hyperparameters(space))
        now = _vocabularies(self.hyperparameters)
        for name in [*was, *now] if now else ():
            if was.get(name) != now.get(name):
                raise SpaceError(
                    f"the search in {self._project_dir} was started over another space: "
                    f"hyperparameter {name!r} was {was.get(name, 'absent')}, now it is "
                    f"{now.get(name, 'absent')}; use another project_name or overwrite=True"
                )

    def _replay(self, records: list[Record]) -> None:
        """Restores the state from the records, and the last trials' files, which a kill may lose.

        The searcher loads its checkpoint before the first record is applied.
        """
        checkpoints = [record for record in records if record["kind"] == "checkpoint"]
        self.searcher.recover(Path(self._project_dir), checkpoints)
        for record in records:
            self._apply(record)
        self._adopt_running({record["tuner"] for record in records if "tuner" in record})
        touched = {record["trial"] for record in records[-3:] if "trial" in record}
        for trial_id in sorted(touched | set(self._unfinished)):
            self._save_trial(self.trials[trial_id])

    def _adopt_running(self, tuner_ids: set[str]) -> None:
        """Decides on the trials that were running when the previous process ended."""
        raise NotImplementedError

    # Records: applied when they are written, and when they are read again.

    def _commit(self, kind: str, **fields: Any) -> None:
        """Writes a record, then applies it; Ctrl-C takes effect before both or after both."""
        assert self._ledger is not None
        with uninterrupted():
            self._apply(self._ledger.append(kind, **fields))

    def _apply(self, record: Record) -> None:
        getattr(self, f"_apply_{record['kind']}")(record)

    def _apply_begin(self, record: Record) -> None:
        self.seed = record["settings"]["seed"]
        self.hyperparameters = _hyperparameters(record["space"])
        self.tokens = Tokens(self.hyperparameters)
        self.proposals.start(self.tokens, self.seed, record.get("first", ()))

    def _apply_proposal(self, record: Record) -> None:
        trial_id, tokens = record["trial"], tuple(record["tokens"])
        proposal = Proposal(tokens, record["policy"])
        self.proposals.proposed(proposal, record["drawn"])
        self._unfinished[trial_id] = proposal
        self.trials[trial_id] = Trial(
            self._shared_hyperparameters(self.tokens.values(tokens)), trial_id=trial_id
        )
        self.start_order.append(trial_id)
        self._assign(record)

    def _apply_known(self, record: Record) -> None:
        repeats = record.get("repeats", 0)  # older ledgers have none
        self.proposals.repeated(record["drawn"], repeats)
        proposal = Proposal(tuple(record["tokens"]), record["policy"])
        self.searcher.learn(proposal, record["reward"], known=True)

    def _apply_attempt(self, record: Record) -> None:
        trial = self.trials[record["trial"]]
        trial.status, trial.message, trial.metrics = TrialStatus.RUNNING, None, MetricsTracker()
        self._assign(record)

    def _apply_release(self, record: Record) -> None:
        self._assignments[record["trial"]] -= 1
        self._unassign(record["trial"])
        self._retry_queue.append(record["trial"])

    def _apply_report(self, record: Record) -> None:
        trial = self.trials[record["trial"]]
        for name, value in record["metrics"].items():
            if math.isfinite(float(value)):
                if not trial.metrics.exists(name):
                    trial.metrics.register(name, direction=self._direction(name))
                trial.metrics.update(name, value, step=record["step"])
            else:
                trial.message = f"{name} is {value}"

    def _apply_result(self, record: Record) -> None:
        trial_id, status = record["trial"], record["status"]
        trial = self.trials[trial_id]
        trial.status, trial.message = status, record["message"]
        trial.score, trial.best_step = record["score"], record["step"]
        self._run_times[trial_id] += 1
        self._unassign(trial_id)
        if status == TrialStatus.INVALID:
            self._retry_queue.append(trial_id)
            return
        self.end_order.append(trial_id)
        trial.hyperparameters = self._shared_hyperparameters(trial.hyperparameters.values)
        proposal = self._unfinished.pop(trial_id)
        if status == TrialStatus.COMPLETED:
            reward = trial.score if self.objective.direction == "max" else -trial.score
            self.proposals.scored(proposal, reward)
            self.searcher.learn(proposal, reward)
        else:
            self.searcher.learn_failure(proposal)

    def _apply_checkpoint(self, record: Record) -> None:
        """Does nothing: the searcher has loaded its checkpoint before all records."""

    def _checkpoint(self) -> None:
        checkpoint = self.searcher.checkpoint(Path(self._project_dir))
        if checkpoint is not None:
            self._commit("checkpoint", **checkpoint)

    def _assign(self, record: Record) -> None:
        trial_id = record["trial"]
        self._unassign(trial_id)
        self._assignments[trial_id] += 1
        lost = self.ongoing_trials.get(record["tuner"])  # only when read again, of a dead worker
        if lost is not None:
            self._retry_queue.append(lost.trial_id)
        self.ongoing_trials[record["tuner"]] = self.trials[trial_id]

    def _unassign(self, trial_id: str) -> None:
        """Removes a trial from the queue and from the tuner that runs it."""
        if trial_id in self._retry_queue:
            self._retry_queue.remove(trial_id)
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == trial_id:
                del self.ongoing_trials[tuner_id]

    # Hyperparameters and files of trials.

    def _own_hyperparameters(self, values: dict[str, Any]) -> kt.HyperParameters:
        """Returns a running trial's own hyperparameters, to which a HyperModel may add."""
        own = self.hyperparameters.copy()
        own.values = dict(values)
        return own

    def _shared_hyperparameters(self, values: dict[str, Any]) -> kt.HyperParameters:
        """Returns an ended trial's hyperparameters, which share the space to save memory."""
        shared = kt.HyperParameters()
        shared._hps, shared._space = self.hyperparameters._hps, self.hyperparameters._space
        shared.values = values
        return shared

    def _direction(self, metric: str) -> str | None:
        """Returns the direction of an objective; None leaves other metrics to KerasTuner."""
        objectives = getattr(self.objective, "objectives", [self.objective])
        return next(
            (objective.direction for objective in objectives if objective.name == metric), None
        )

    def _save_trial(self, trial: Trial) -> None:
        path = Path(self._project_dir) / f"trial_{trial.trial_id}" / "trial.json"
        write_atomically(path, json.dumps(trial.get_state()).encode())


def _json(path: Path) -> Any:
    """Returns the content of a JSON file, or None if it is not valid."""
    with suppress(ValueError):
        return json.loads(path.read_bytes())


def _has_ended(folder: Path) -> bool:
    state = _json(path) if (path := folder / "trial.json").exists() else None
    return isinstance(state, dict) and state.get("status") in (
        TrialStatus.COMPLETED,
        TrialStatus.FAILED,
    )


def _hyperparameters(space: list[dict[str, Any]]) -> kt.HyperParameters:
    return kt.HyperParameters.from_config({"space": copy.deepcopy(space), "values": {}})


def _vocabularies(hyperparameters: kt.HyperParameters) -> dict[str, list[Any]]:
    return {hp.name: list(vocabulary(hp)) for hp in hyperparameters.space}
