"""Copies the figures of a search or a training to MLflow or Weights & Biases.

It reads the folder from a process of its own, so that no fault of a service can touch a run. What
was sent is written to ``tracking.json`` there, by which a later call continues.
"""

import csv
import importlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from nas_tf import files
from nas_tf.errors import ConfigError, DataError, EnvironmentFault, NasTfError
from nas_tf.runs import Run, filenames, folders
from nas_tf.runs.trainings import Training

Values: TypeAlias = Mapping[str, float]
STATE = "tracking.json"
SECONDS = 10.0
"""The time between two looks at a folder that is followed."""
_SENT = (
    *(filenames.CONFIG, filenames.GENOTYPE, filenames.RESULT, filenames.TABLE, filenames.REPORT),
    *(filenames.SAMPLES, "predictions.png", "curve.svg"),
)
_CHARACTERS = 500
"""The longest value of a parameter that all stores of MLflow take."""
_BATCH = 100
"""The most parameters that MLflow takes at once."""


class Service(Protocol):
    """A service that keeps the figures of experiments.

    ``identity`` is the name under which it continues what it has.
    """

    identity: str

    def send(self, step: int, values: Values) -> None:
        """Adds the figures of a step."""

    def add_file(self, path: Path) -> None:
        """Adds a file, in place of one of that name."""

    def close(self, *, finished: bool) -> None:
        """Ends the connection."""


Connect: TypeAlias = Callable[[str, str, str | None, Mapping[str, Any]], Service]


def track(
    folder: Path,
    to: str,
    *,
    project: str = "nas_tf",
    follow: bool = False,
    progress: Callable[[int], None] = lambda sent: None,
) -> int:
    """Sends the steps that a service does not have yet, and returns their number.

    Args:
        folder: Folder of a search, whose steps are trials, or of a training, with epochs.
        to: ``mlflow`` or ``wandb``.
        project: Name of MLflow's experiment, or of the project.
        follow: Goes on until the search or the training is finished.
        progress: Called with the number of steps sent so far.
    """
    if to not in SERVICES:
        raise ConfigError(f"--to is {to!r}, expected {' or '.join(SERVICES)}")
    kind = folders.kind_of(folder)
    if kind not in ("search", "training"):
        raise DataError(f"{folder} is not a folder of a search or a training")
    settings = (Run(folder) if kind == "search" else Training(folder)).settings
    path, count = folder / STATE, 0
    state = _state(path)
    before = state.get(to, {"sent": 0})
    name = folder.resolve().name
    with _reported(to):
        service = SERVICES[to](project, name, before.get("identity"), settings)
    sent, finished = before["sent"], False
    try:
        while True:
            rows, finished = _rows(folder, kind)
            for step, values in rows[sent:]:
                with _reported(to):
                    service.send(step, values)
                sent, count = sent + 1, count + 1
                state[to] = {"identity": service.identity, "sent": sent}
                files.write(path, json.dumps(state, indent=1) + "\n")
                progress(sent)
            if finished or not follow:
                break
            time.sleep(SECONDS)
        for file in _SENT:
            if (folder / file).exists():
                with _reported(to):
                    service.add_file(folder / file)
    finally:
        with _reported(to):
            service.close(finished=finished)
    return count


@contextmanager
def _reported(name: str) -> Iterator[None]:
    """Raises ``EnvironmentFault`` for any error of a service, which may be of any class."""
    try:
        yield
    except NasTfError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise EnvironmentFault(
            f"{name} fails: {reason}; the same command sends later what is missing"
        ) from error


def _state(path: Path) -> dict[str, Any]:
    """Returns what was sent before, by service."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise DataError(
            f"{path} is damaged: {error}; delete it, and all steps are sent again to a new run"
        ) from error


def _rows(folder: Path, kind: str) -> tuple[list[tuple[int, Values]], bool]:
    """Returns steps and figures so far, and true if none will follow."""
    if kind == "training":
        finished = (folder / filenames.RESULT).exists()
        return list(_epochs(folder / filenames.HISTORY)), finished
    run = Run(folder)
    rows = list(enumerate(_trials(run), start=1))
    total = run.info.max_trials
    return rows, total is not None and len(rows) >= total


def _epochs(path: Path) -> Iterator[tuple[int, Values]]:
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            step = int(row.pop("step"))
            yield step, {key: float(value) for key, value in row.items() if value}


def _trials(run: Run) -> Iterator[Values]:
    best: float | None = None
    for trial in run.trials:
        found = {"seconds": trial.seconds, "failed": float(trial.failed)}
        if not trial.failed:
            best = trial.reward if best is None else max(best, trial.reward)
            found |= {"reward": trial.reward, "score": trial.score, "best": best}
            found |= {f"stage_{n}": stage.score for n, stage in enumerate(trial.stages, start=1)}
            costs = ("params", "madds", "latency_ms")
            found |= {name: value for name in costs if (value := getattr(trial, name)) is not None}
        yield found


class _MLflow:
    """A run of MLflow, at the address of ``MLFLOW_TRACKING_URI`` or in the folder ``mlruns``."""

    def __init__(
        self, project: str, name: str, identity: str | None, settings: Mapping[str, Any]
    ) -> None:
        mlflow = _package("mlflow")
        self._entities, self._client = mlflow.entities, mlflow.MlflowClient()
        if identity is None:
            experiment = mlflow.set_experiment(project).experiment_id
            self.identity = self._client.create_run(experiment, run_name=name).info.run_id
            param = mlflow.entities.Param
            params = [param(key, str(value)[:_CHARACTERS]) for key, value in settings.items()]
            for first in range(0, len(params), _BATCH):
                self._client.log_batch(self.identity, params=params[first : first + _BATCH])
        else:
            self.identity = identity

    def send(self, step: int, values: Values) -> None:
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(key, each, now, step) for key, each in values.items()]
        self._client.log_batch(self.identity, metrics=metrics)

    def add_file(self, path: Path) -> None:
        self._client.log_artifact(self.identity, str(path))

    def close(self, *, finished: bool) -> None:
        if finished:
            self._client.set_terminated(self.identity)


class _Wandb:
    """A run of Weights & Biases; with ``WANDB_MODE=offline`` in the folder ``wandb``."""

    def __init__(
        self, project: str, name: str, identity: str | None, settings: Mapping[str, Any]
    ) -> None:
        self._wandb = _package("wandb")
        self._run = self._wandb.init(
            project=project, name=name, id=identity, resume="allow", config=dict(settings)
        )
        self.identity = self._run.id

    def send(self, step: int, values: Values) -> None:
        self._run.log(dict(values), step=step)

    def add_file(self, path: Path) -> None:
        artifact = self._wandb.Artifact(path.stem, type="result")
        artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def close(self, *, finished: bool) -> None:
        self._run.finish()


SERVICES: dict[str, Connect] = {"mlflow": _MLflow, "wandb": _Wandb}


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EnvironmentFault(f"{name} is not installed: pip install 'nas-tf[{name}]'") from error
