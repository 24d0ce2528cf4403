"""What a ledger says of a search: KerasTuner's trials as the sum of the records.

Every change of state is a record, appended and fsynced before it takes effect; the same
``_apply_…`` runs when a record is written and when it is read again. ``oracle.json`` and
``trial.json`` are written for KerasTuner's tools and for people; nothing is taken from them, but
that a ledger has lost its end shows by trials that have ended without its knowledge.
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

from tuner_oracles.ledger import (
    NAME,
    Ledger,
    LedgerError,
    Lost,
    Record,
    uninterrupted,
    write_atomically,
)
from tuner_oracles.proposals import Proposals, vectors
from tuner_oracles.searcher import Proposal, Searcher
from tuner_oracles.tokens import SpaceError, Tokens, vocabulary

FORMAT = 1


class RecordedOracle(kt.Oracle):
    """The recorded state of a search; what it does next is ``DurableOracle``'s."""

    tokens: Tokens

    def __init__(
        self,
        searcher: Searcher,
        draws: Proposals,
        seed: int | None,
        first: Sequence[Mapping[str, Any]] | None,
        **kwargs: Any,
    ) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ValueError(f"seed is {seed!r}, expected an integer of 0 or more")
        super().__init__(**kwargs)
        self.seed = seed
        self.searcher = searcher
        self.draws = draws
        self._given_first = first
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._saved = 0
        self._proposals: dict[str, Proposal] = {}
        self._handed: dict[str, int] = defaultdict(int)

    def save(self) -> None:
        """Writes ``oracle.json``, for KerasTuner's tools and for people.

        It tells of every trial, so it lags behind by up to one record in a hundred until the
        search is over: a trial does not cost more the more there are.

        A tuner saves its oracle before its own file, which says that there is a search to go on
        with: so the ledger has begun by then, however long it takes to the first trial.
        """
        with self._lock:
            self._wake()
            assert self._ledger is not None
            behind = self._ledger.count - self._saved
            if 100 * behind > self._saved or (behind and self.over()):
                path = Path(self._get_oracle_fname())
                write_atomically(path, json.dumps(self.get_state()).encode())
                self._saved = self._ledger.count

    def over(self) -> bool:
        """Whether every trial there will be has ended."""
        raise NotImplementedError

    def reload(self) -> None:
        """Takes up the search in the project's folder."""
        with self._lock:
            if not self._begun():
                raise Lost(
                    f"{self._project_dir} has no {NAME}: it was deleted, or the search was begun "
                    "by an oracle that keeps none"
                )
            self._wake()

    def update_space(self, hyperparameters: kt.HyperParameters) -> None:
        """Adds hyperparameters until the search begins; those that can't be tokens are refused."""
        for hp in hyperparameters.space:
            vocabulary(hp)
        super().update_space(hyperparameters)

    # Beginning, and going on.

    def _set_project_dir(self, directory: str, project_name: str) -> None:
        """KerasTuner's; then comes its tuner's file, which a kill may have left cut short."""
        super()._set_project_dir(directory, project_name)
        tuner_id = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
        path = Path(directory) / project_name / f"{tuner_id}.json"
        if path.exists() and not isinstance(_json(path), dict):
            write_atomically(path, b"{}")

    def _begun(self) -> bool:
        return self._ledger is not None or (Path(self._project_dir) / NAME).exists()

    def _wake(self) -> None:
        """Opens the ledger, and reads what it says, at the first use of the oracle.

        Not at construction: the tuner tells the folder and the space only later.
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
                begin = self._begin(ledger.records[0] if ledger.records else None)
            except Exception:
                ledger.close()
                raise
            self._ledger = ledger
            if ledger.records:
                self._go_on(ledger.records)
                ledger.records = []
            else:
                self._commit("begin", **begin)
            self.save()

    def _check_end(self, ledger: Ledger) -> None:
        """Refuses a ledger that was cut: a trial's folder is made only after its record."""
        proposed = {record["trial"] for record in ledger.records if record["kind"] == "proposal"}
        ended = {record["trial"] for record in ledger.records if record["kind"] == "result"}
        lost = []
        for folder in sorted(Path(self._project_dir).glob("trial_*")):
            trial_id = folder.name.removeprefix("trial_")
            if trial_id not in proposed or (trial_id not in ended and _says_ended(folder)):
                lost.append(folder.name)
        if lost:
            more = f" and {len(lost) - 1} more" if lost[1:] else ""
            raise LedgerError(
                f"{ledger.path} was cut short: it lacks what became of {lost[0]}{more}; put back "
                "a copy of the file, or delete these folders, and the trials are run again"
            )

    def _begin(self, recorded: Record | None) -> dict[str, Any]:
        """What the ledger's first record says of this search; raises if it says otherwise."""
        if recorded is None:
            Tokens(self.hyperparameters)
            self.seed = random.randint(1, 10**6) if self.seed is None else self.seed
        begin = {
            "format": FORMAT,
            "oracle": type(self).__name__,
            "objective": f"{self.objective.name} ({self.objective.direction})",
            "seed": self.seed,
            **self.searcher.settings(),
            "duplicates": self.draws.duplicates,
        }
        if recorded is None:
            record = {"settings": begin, "space": self.hyperparameters.get_config()["space"]}
            first = vectors(Tokens(self.hyperparameters), self._given_first or ())
            return record | ({"first": first} if first else {})
        for name, was in recorded["settings"].items():
            now = begin.get(name)
            if now != was and not (name == "seed" and now is None):
                raise LedgerError(
                    f"the search in {self._project_dir} was begun with {name} {was!r}, now it is "
                    f"{now!r}: use {was!r}, another project_name, or overwrite=True"
                )
        self._check_space(recorded["space"])
        self._check_first(recorded)
        return recorded

    def _check_first(self, recorded: Record) -> None:
        """What is tried first is fixed when a search begins; going on, it need not be given."""
        if not self._given_first:
            return
        given = vectors(Tokens(_hyperparameters(recorded["space"])), self._given_first)
        if given != recorded.get("first", []):
            raise LedgerError(
                f"the search in {self._project_dir} was begun with other values to try first: "
                "give those, none, another project_name, or overwrite=True"
            )

    def _check_space(self, space: list[dict[str, Any]]) -> None:
        """Refuses to go on over another space; one not told yet is taken from the ledger."""
        was = _vocabularies(_hyperparameters(space))
        now = _vocabularies(self.hyperparameters)
        for name in [*was, *now] if now else ():
            if was.get(name) != now.get(name):
                raise SpaceError(
                    f"the search in {self._project_dir} was begun over another space: "
                    f"hyperparameter {name!r} was {was.get(name, 'absent')}, now it is "
                    f"{now.get(name, 'absent')}; use another project_name or overwrite=True"
                )

    def _go_on(self, records: list[Record]) -> None:
        checkpoints = [record for record in records if record["kind"] == "checkpoint"]
        self.searcher.recover(Path(self._project_dir), checkpoints)
        for record in records:
            self._apply(record)
        self._take_up({record["tuner"] for record in records if "tuner" in record})
        touched = {record["trial"] for record in records[-3:] if "trial" in record}
        for trial_id in sorted(touched | set(self._proposals)):
            self._save_trial(self.trials[trial_id])

    def _take_up(self, tuner_ids: set[str]) -> None:
        """What becomes of the trials that were running when the last process ended."""
        raise NotImplementedError

    # Records: written, then taking effect; or read again.

    def _commit(self, kind: str, **fields: Any) -> None:
        """Writes a record, then lets it take effect; Ctrl-C comes before both or after."""
        assert self._ledger is not None
        with uninterrupted():
            self._apply(self._ledger.append(kind, **fields))

    def _apply(self, record: Record) -> None:
        getattr(self, f"_apply_{record['kind']}")(record)

    def _apply_begin(self, record: Record) -> None:
        self.seed = record["settings"]["seed"]
        self.hyperparameters = _hyperparameters(record["space"])
        self.tokens = Tokens(self.hyperparameters)
        self.draws.begin(self.tokens, self.seed, record.get("first", ()))

    def _apply_proposal(self, record: Record) -> None:
        trial_id, tokens = record["trial"], tuple(record["tokens"])
        proposal = Proposal(tokens, record["policy"])
        self.draws.proposed(proposal, record["drawn"])
        self._proposals[trial_id] = proposal
        self.trials[trial_id] = Trial(
            self._shared_hyperparameters(self.tokens.values(tokens)), trial_id=trial_id
        )
        self.start_order.append(trial_id)
        self._hand(record)

    def _apply_known(self, record: Record) -> None:
        self.draws.repeated(record["drawn"], record.get("repeats", 0))  # older ledgers have none
        proposal = Proposal(tuple(record["tokens"]), record["policy"])
        self.searcher.learn(proposal, record["reward"], known=True)

    def _apply_attempt(self, record: Record) -> None:
        trial = self.trials[record["trial"]]
        trial.status, trial.message, trial.metrics = TrialStatus.RUNNING, None, MetricsTracker()
        self._hand(record)

    def _apply_release(self, record: Record) -> None:
        self._handed[record["trial"]] -= 1
        self._forget_tuner_of(record["trial"])
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
        self._forget_tuner_of(trial_id)
        if status == TrialStatus.INVALID:
            self._retry_queue.append(trial_id)
            return
        self.end_order.append(trial_id)
        trial.hyperparameters = self._shared_hyperparameters(trial.hyperparameters.values)
        proposal = self._proposals.pop(trial_id)
        if status == TrialStatus.COMPLETED:
            reward = trial.score if self.objective.direction == "max" else -trial.score
            self.draws.scored(proposal, reward)
            self.searcher.learn(proposal, reward)
        else:
            self.searcher.learn_failure(proposal)

    def _apply_checkpoint(self, record: Record) -> None:
        """Read before all others, by the searcher."""

    def _checkpoint(self) -> None:
        fields = self.searcher.checkpoint(Path(self._project_dir))
        if fields is not None:
            self._commit("checkpoint", **fields)

    def _hand(self, record: Record) -> None:
        trial_id = record["trial"]
        self._forget_tuner_of(trial_id)
        self._handed[trial_id] += 1
        self.ongoing_trials[record["tuner"]] = self.trials[trial_id]

    def _forget_tuner_of(self, trial_id: str) -> None:
        """Takes a trial out of the queue and out of every tuner's hands."""
        if trial_id in self._retry_queue:
            self._retry_queue.remove(trial_id)
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == trial_id:
                del self.ongoing_trials[tuner_id]

    # Hyperparameters and files of trials.

    def _own_hyperparameters(self, values: dict[str, Any]) -> kt.HyperParameters:
        """Those of a running trial: a HyperModel may add to them."""
        mine = self.hyperparameters.copy()
        mine.values = dict(values)
        return mine

    def _shared_hyperparameters(self, values: dict[str, Any]) -> kt.HyperParameters:
        """Those of a trial at rest: thousands of trials share the oracle's own space."""
        shared = kt.HyperParameters()
        shared._hps, shared._space = self.hyperparameters._hps, self.hyperparameters._space
        shared.values = values
        return shared

    def _direction(self, metric: str) -> str | None:
        """The direction of the objective, or of one of several; others are KerasTuner's guess."""
        objectives = getattr(self.objective, "objectives", [self.objective])
        return next(
            (objective.direction for objective in objectives if objective.name == metric), None
        )

    def _save_trial(self, trial: Trial) -> None:
        path = Path(self._project_dir) / f"trial_{trial.trial_id}" / "trial.json"
        write_atomically(path, json.dumps(trial.get_state()).encode())


def _json(path: Path) -> Any:
    """What a file says, or None if that is no JSON."""
    with suppress(ValueError):
        return json.loads(path.read_bytes())


def _says_ended(folder: Path) -> bool:
    told = _json(path) if (path := folder / "trial.json").exists() else None
    return isinstance(told, dict) and told.get("status") in (
        TrialStatus.COMPLETED,
        TrialStatus.FAILED,
    )


def _hyperparameters(space: list[dict[str, Any]]) -> kt.HyperParameters:
    return kt.HyperParameters.from_config({"space": copy.deepcopy(space), "values": {}})


def _vocabularies(hyperparameters: kt.HyperParameters) -> dict[str, list[Any]]:
    return {hp.name: list(vocabulary(hp)) for hp in hyperparameters.space}
