"""The configuration of a resumed run: the keys that may change, and those that may not."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import structs

from nas_tf import spaces
from nas_tf.config import paths
from nas_tf.config.load import dump, load_saved
from nas_tf.config.schema import Config, Gradient, StageOne, StageTwo, View
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import filenames
from nas_tf.runs.load import dotted

FREE = (
    *("search.trials", "search.hours", "search.saved_weights", "search.tensorboard", "threads"),
    *("full_training", "evaluation"),
)
"""Keys and sections without effect on a trial: the budget, what is saved, the processor, and the
steps after the search."""
FREE_IN_FULL = ("search", "stage_one", "stage_two", "gate", "limits", "teacher", "threads")
"""Keys and sections without effect on a full training."""


def check(folder: Path, now: Config, free: Collection[str] = FREE) -> Config:
    """Raises if the run in a folder was started with another value of a key that matters.

    Returns the configuration with which the run resumes: the one given now, except for the keys
    that are read at the start only, which keep their values.
    """
    path = folder / filenames.CONFIG
    try:
        before = load_saved(path)
    except ConfigError as error:
        raise DataError(f"{error}; put back a copy of {path}, or give another folder") from error
    first = ["follows"]
    if now.search.warm_start is None:
        first += ["warm_start", "warm_start_count"]
    kept = {name: getattr(before.search, name) for name in first}
    now = structs.replace(now, search=structs.replace(now.search, **kept))
    now = _with_derived_view(before, now)
    old, new = (values(paths.resolved(config)) for config in (before, now))
    others = [
        key
        for key in old | new
        if old.get(key) != new.get(key)
        and not (key == "data.name" and _moved(folder, old[key], new[key]))
        and not any(f"{key}.".startswith(f"{name}.") for name in free)
    ]
    for key in others[:1]:
        if key not in old or key not in new:
            raise ConfigError(
                f"{folder} was started {'with' if key in old else 'without'} {key}, now it is "
                f"the other way: give {path}, or another folder"
            )
        was, now_is = (_written(values[key]) for values in (old, new))
        named = [key] if key == "space" else [name for name in others if name in old]
        give = " ".join(f"{name}={_written(old[name])}" for name in named)
        raise ConfigError(
            f"{folder} was started with {key}={was}, now it is {now_is}: give {give}, or "
            f"another folder ({path} says what it was)"
        )
    return now


def _moved(folder: Path, old: str, new: str) -> bool:
    """Returns whether data sets are folders of one's own, whose files are compared elsewhere."""
    are_own = all(name.startswith(paths.FOLDER) for name in (old, new))
    return are_own and (folder / filenames.DATA).exists()


def values(config: Config) -> dict[str, Any]:
    """Returns all values by dotted keys, with every argument of the space, usual ones too."""
    space = spaces.get(config.space)
    arguments = {f"space.{key}": value for key, value in space.arguments.items()}
    search = config.search
    arguments |= {f"search.oracle.{key}": value for key, value in search.oracle_arguments.items()}
    search = structs.replace(search, oracle=search.oracle_name)
    own = dotted(dump(structs.replace(config, space=space.name, search=search)))
    return {"space": space.name, **arguments, **own}


def _with_derived_view(before: Config, now: Config) -> Config:
    """Fills in what the pictures of a user's own folder decided when the run started."""
    if not now.data.name.startswith(paths.FOLDER):
        return now
    given = structs.asdict(now.data.view)
    decided = {
        key: value if given[key] is None else given[key]
        for key, value in structs.asdict(before.data.view).items()
    }
    data = structs.replace(now.data, view=View(**decided))
    stages = {}
    usual_stages = {"stage_one": StageOne(), "stage_two": StageTwo(), "gradient": Gradient()}
    for name, usual in usual_stages.items():
        was, stage = getattr(before, name), getattr(now, name)
        if was is not None and stage is not None and stage.batch == usual.batch > was.batch:
            stages[name] = structs.replace(stage, batch=was.batch)
    return structs.replace(now, data=data, **stages)


def _written(value: Any) -> str:
    """Returns a value as it is written in an override."""
    return value if isinstance(value, str) else json.dumps(value)
