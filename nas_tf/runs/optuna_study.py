"""A run as a study of Optuna, for its plots and dashboard.

Needs Optuna, which is an extra. Tokens become categorical parameters, rewards of stages
intermediate values at steps 1 and 2; what the gate stopped is pruned, what failed is failed.
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
    """Adds the run's finished trials that the study lacks; returns how many.

    Args:
        run: The run, finished or not.
        storage: Where studies are kept, such as ``sqlite:///study.db``.
        name: Of the study, which is made if it is not there.
        sizes: How many values each token has.
        tokens: Spells a trial's genotype.
    """
    optuna = _optuna()
    study = _study(optuna, storage, name, run)
    spread = {
        token: optuna.distributions.CategoricalDistribution(tuple(range(size)))
        for token, size in sizes.items()
    }
    there = {trial.user_attrs.get("trial") for trial in study.get_trials(deepcopy=False)}
    new = [trial for trial in run.trials if trial.trial not in there]
    study.add_trials([_frozen(optuna, trial, spread, tokens(trial)) for trial in new])
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
    """The study of this run; one of the same name that is another's is not added to."""
    from sqlalchemy.exc import SQLAlchemyError

    mine = f"{run.folder.resolve().name}, begun {run.about['created']}"
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"storage {storage} can't be opened, expected such as sqlite:///study.db: {reason}"
        ) from error
    if study.user_attrs.get(_OF, None if study.get_trials(deepcopy=False) else mine) != mine:
        raise DataError(
            f"study {name} in {storage} is of {study.user_attrs.get(_OF, 'something else')}, "
            f"expected of {mine}: give another --name"
        )
    study.set_user_attr(_OF, mine)
    for key in ("space", "data", "oracle", "seed", "nas_tf"):
        study.set_user_attr(key, run.about.get(key))
    return study


def _frozen(
    optuna: Any, trial: TrialRecord, spread: Mapping[str, Any], tokens: Mapping[str, int]
) -> "optuna.trial.FrozenTrial":
    failed = trial.status == "failed"
    states = optuna.trial.TrialState
    ended = states.PRUNED if trial.stopped == "gate" else states.COMPLETE
    frozen = optuna.trial.create_trial(
        state=states.FAIL if failed else ended,
        value=None if failed else trial.reward,
        params=dict(tokens),
        distributions=dict(spread),
        user_attrs=_attributes(trial),
        intermediate_values={number: stage.score for number, stage in enumerate(trial.stages, 1)},
    )
    frozen.datetime_start = _local(trial.started)
    frozen.datetime_complete = _local(trial.ended)
    return frozen


def _attributes(trial: TrialRecord) -> dict[str, Any]:
    """What is known of a trial beside its reward; figures are of the last stage it reached."""
    told = {
        name: getattr(trial, name)
        for name in ("trial", "genotype", "params", "madds", "latency_ms", "score", "stopped")
    }
    told |= {name: getattr(trial, name) for name in ("seed", "seconds", "worker")}
    figures = dict(trial.stages[-1].metrics) if trial.stages else {}
    return {key: value for key, value in (figures | told).items() if value is not None}


def _local(moment: str) -> datetime:
    """Optuna keeps times without a zone, in that of the machine."""
    return datetime.fromisoformat(moment).astimezone().replace(tzinfo=None)
