"""Turns the ``task`` section of a configuration into arguments of a task, and back."""

from collections.abc import Sequence
from typing import Any

from nas_tf.config import schema
from nas_tf.config.schema import TASK_KEYS
from nas_tf.data.info import DatasetInfo
from nas_tf.errors import ConfigError, did_you_mean
from nas_tf.tasks import Task

_NEEDS = {"pckh": "head_size", "oks": "area"}


def arguments(settings: schema.Task, info: DatasetInfo, target: str) -> dict[str, Any]:
    """Returns the keys with a value as arguments of the target's task; raises if one is wrong."""
    given = {
        key: value
        for key in settings.__struct_fields__
        if (value := getattr(settings, key)) is not None
    }
    accepted = TASK_KEYS.get(target, ())
    for key, value in given.items():
        if key not in accepted:
            raise ConfigError(
                f"task.{key} is {_written(value)}, and target {target} of {info.name} has no such "
                f"setting, expected null (it has {', '.join(accepted) or 'none'})"
            )
    if "background" in given:
        given["background"] = _index("task.background", given["background"], info, info.classes)
    if "class_weights" in given:
        _check_count("task.class_weights", given["class_weights"], "class", info, info.classes)
    if target == "keypoints":
        _check_score(given, info)
    return given


def described(task: Task, own: Task) -> schema.Task:
    """Returns the section that yields ``task`` from the data set's own; raises if none does."""
    if (task.name, task.channels) != (own.name, own.channels):
        raise ConfigError(
            f"the task is {task.name} with {task.channels} outputs and the data's is "
            f"{own.name} with {own.channels}"
        )
    if type(task) is not type(own):
        raise ConfigError(
            f"the task is a {type(task).__name__}, which a run's configuration cannot describe, "
            f"expected a {type(own).__name__}"
        )
    if task.target != own.target:
        raise ConfigError(
            f"the task ignores label {task.target.fill} and the data's is {own.target.fill}, "
            "expected the same"
        )
    default = own.settings()
    return schema.Task(
        **{key: value for key, value in task.settings().items() if value != default[key]}
    )


def _check_score(given: dict[str, Any], info: DatasetInfo) -> None:
    """Raises if the data set has no field for the score, or settings belong to another score."""
    score = given.setdefault("score", own_score(info))
    if _NEEDS[score] not in info.extras:
        possible = [name for name, extra in _NEEDS.items() if extra in info.extras]
        raise ConfigError(
            f"task.score is {score}, and {info.name} has no {_NEEDS[score]} to score by, "
            f"expected {' or '.join(possible)}"
        )
    if "sigmas" in given:
        if score != "oks":
            raise ConfigError("task.sigmas are given, expected null or task.score=oks with them")
        _check_count("task.sigmas", given["sigmas"], "joint", info, info.joints)
    if "unscored" in given:
        if score != "pckh":
            raise ConfigError("task.unscored is given, expected null or task.score=pckh with it")
        given["unscored"] = [
            _index("task.unscored", joint, info, info.joints) for joint in given["unscored"]
        ]


def own_score(info: DatasetInfo) -> str:
    """Returns the default score of a data set's keypoints."""
    return "pckh" if "head_size" in info.extras else "oks"


def _index(key: str, value: int | str, info: DatasetInfo, names: Sequence[str]) -> int:
    """Returns the index of a class or joint, given by its name or its index."""
    if isinstance(value, int) and value < len(names):
        return value
    if value in names:
        return names.index(value)
    near = did_you_mean(value, names) if isinstance(value, str) else ""
    raise ConfigError(
        f"{key} is {_written(value)}, expected null, 0 to {len(names) - 1} or a name of "
        f"{info.name}: {', '.join(names)}{near}"
    )


def _check_count(
    key: str, values: Sequence[float], noun: str, info: DatasetInfo, names: Sequence[str]
) -> None:
    if len(values) != len(names):
        raise ConfigError(
            f"{key} has {len(values)} entries, expected {len(names)}, one per {noun} of "
            f"{info.name}: {', '.join(names)}"
        )


def _written(value: Any) -> str:
    return str(list(value) if isinstance(value, tuple) else value)
