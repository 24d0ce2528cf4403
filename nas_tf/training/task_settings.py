"""Turns a target and the ``task`` section of a configuration into a task, and back."""

from collections.abc import Callable, Sequence
from typing import Any

from nas_tf.config import schema
from nas_tf.config.schema import TASK_KEYS
from nas_tf.data.info import DatasetInfo
from nas_tf.errors import ConfigError, did_you_mean
from nas_tf.tasks import Depth, Detection, Pose, Restoration, Segmentation, Task

_NEEDS = {"pckh": "head_size", "oks": "area"}
_NO_SETTINGS = schema.Task()


def task_of(
    info: DatasetInfo, target: str | None = None, settings: schema.Task = _NO_SETTINGS
) -> Task:
    """Returns the task of a data set's target, by default of its first."""
    target = target or info.targets[0]
    if target not in info.targets:
        accepted = ", ".join(info.targets)
        raise ConfigError(f"target {target!r} is not in {info.name}, expected {accepted}")
    if target not in TASK_OF_TARGET:
        raise ConfigError(
            f"target {target} of {info.name} has no task, expected {', '.join(TASK_OF_TARGET)}"
        )
    return TASK_OF_TARGET[target](info, _given(settings, info, target))


def _given(settings: schema.Task, info: DatasetInfo, target: str) -> dict[str, Any]:
    """Returns the keys of the section that have a value; raises if the target has none such."""
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
    return given


def _segmentation(info: DatasetInfo, given: dict[str, Any]) -> Segmentation:
    if "background" in given:
        given["background"] = _index("task.background", given["background"], info, info.classes)
    if "class_weights" in given:
        _check_count("task.class_weights", given["class_weights"], "class", info, info.classes)
    return Segmentation(
        len(info.classes),
        ignore_label=info.ignore_label,
        names=info.classes,
        colours=info.colours,
        **given,
    )


def _pose(info: DatasetInfo, given: dict[str, Any]) -> Pose:
    _check_score(given, info)
    given.setdefault("unscored", [info.joints.index(joint) for joint in info.unscored_joints])
    if given["score"] == "oks" and info.sigmas:
        given.setdefault("sigmas", info.sigmas)
    return Pose(len(info.joints), names=info.joints, swaps=info.swaps, **given)


def _detection(info: DatasetInfo, given: dict[str, Any]) -> Detection:
    if given.get("score") in _NEEDS:
        raise ConfigError(f"task.score is {given['score']}, expected loss or ap")
    return Detection(len(info.classes), names=info.classes, colours=info.colours, **given)


TASK_OF_TARGET: dict[str, Callable[[DatasetInfo, dict[str, Any]], Task]] = {
    "label": _segmentation,
    "depth": lambda info, given: Depth(**given),
    "keypoints": _pose,
    "boxes": _detection,
    "clean": lambda info, given: Restoration(given.pop("channels", info.channels), **given),
}
"""Makes the task of each target from the data set and the settings; a program may change it."""


def described(task: Task, own: Task) -> schema.Task:
    """Returns the section that yields ``task`` from the data set's own; raises if none does."""
    if task.head != own.head:
        raise ConfigError(
            f"the task is {task.name} with {task.head.channels} outputs and the data's is "
            f"{own.name} with {own.head.channels}"
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
    if _NEEDS.get(score) not in info.extras:
        possible = [name for name, extra in _NEEDS.items() if extra in info.extras]
        needed = f" and {info.name} has no {_NEEDS[score]} to score by," if score in _NEEDS else ""
        raise ConfigError(f"task.score is {score},{needed} expected {' or '.join(possible)}")
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
