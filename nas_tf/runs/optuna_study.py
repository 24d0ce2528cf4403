"""Exports a run to an Optuna study, for Optuna's plots and dashboard.

This needs Optuna, which is an extra. Tokens become categorical parameters, scores of stages
intermediate values at steps 1 and 2; trials that the gate stopped are pruned ones, failed trials
are failed.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from nas_tf.errors import DataError, EnvironmentFault
from nas_tf.runs.load import Run
from nas_tf.runs.record import TrialRecord

if TYPE_CHECKING:
    import optuna

_OF = "nas_tf_run"

Tokens = Callable[[TrialRecord], Mapping[str, int]]


def export(run: Run, storage: str, name: str, sizes: Mapping[str, int], tokens: Tokens) -> int:
    """Adds the run's finished trials that are missing from the study; returns their number.

    Args:
        run: The run, finished or not.
        storage: The storage of studies, such as ``sqlite:///study.db``.
        name: The name of the study, which is created if it does not exist.
        sizes: The number of values of each token.
        tokens: Returns the tokens of a trial's genotype.
    """
    optuna = _optuna()
    study = _study(optuna, storage, name, run)
    distributions = {
        token: optuna.distributions.CategoricalDistribution(tuple(range(size)))
        for token, size in sizes.items()
    }
    present = {trial.user_attrs.get("trial") for trial in study.get_trials(deepcopy=False)}
    new = [trial for trial in run.trials if trial.trial not in present]
    study.add_trials([_frozen(optuna, trial, distributions, tokens(trial)) for trial in new])
    return len(new)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise EnvironmentFault(
            f"Optuna is not installed ({error}): pip install 'nas-tf[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _study(optuna: Any, storage: str, name: str, run: Run) -> "optuna.Study":
    """Opens or creates the study of this run; raises ``DataError`` if it is another run's."""
    from sqlalchemy.exc import SQLAlchemyError

    run_id = f"{run.folder.resolve().name}, begun {run.info.created}"
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"storage {storage} can't be opened, expected such as sqlite:///study.db: {reason}"
        ) from error
    if study.user_attrs.get(_OF, None if study.get_trials(deepcopy=False) else run_id) != run_id:
        raise DataError(
            f"study {name} in {storage} is of {study.user_attrs.get(_OF, 'something else')}, "
            f"expected of {run_id}: give another --name"
        )
    study.set_user_attr(_OF, run_id)
    for key in ("space", "data", "oracle", "seed", "nas_tf"):
        study.set_user_attr(key, getattr(run.info, key))
    return study


def _frozen(
    optuna: Any, trial: TrialRecord, distributions: Mapping[str, Any], tokens: Mapping[str, int]
) -> "optuna.trial.FrozenTrial":
    states = optuna.trial.TrialState
    ended = states.PRUNED if trial.stopped == "gate" else states.COMPLETE
    frozen = optuna.trial.create_trial(
        state=states.FAIL if trial.failed else ended,
        value=None if trial.failed else trial.reward,
        params=dict(tokens),
        distributions=dict(distributions),
        user_attrs=_attributes(trial),
        intermediate_values={number: stage.score for number, stage in enumerate(trial.stages, 1)},
    )
    frozen.datetime_start = _local(trial.started)
    frozen.datetime_complete = _local(trial.ended)
    return frozen


def _attributes(trial: TrialRecord) -> dict[str, Any]:
    """Returns a trial's attributes other than its reward; metrics are of its last stage."""
    attributes = {
        name: getattr(trial, name)
        for name in ("trial", "genotype", "params", "madds", "latency_ms", "stopped")
    }
    attributes |= {name: getattr(trial, name) for name in ("seed", "seconds", "worker")}
    attributes["score"] = None if trial.failed else trial.score
    metrics = dict(trial.stages[-1].metrics) if trial.stages else {}
    return {key: value for key, value in (metrics | attributes).items() if value is not None}


def _local(moment: str) -> datetime:
    """Returns a time without a zone in the machine's, as Optuna stores times."""
    return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None)
