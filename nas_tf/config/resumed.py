"""What a run may change when it is gone on with, and what it may not."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from msgspec import structs

from nas_tf.config import paths
from nas_tf.config.load import dump, load
from nas_tf.config.schema import Config, StageOne, StageTwo, View
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import files
from nas_tf.runs.load import dotted

FREE = (
    *("search.trials", "search.kept", "search.tensorboard", "threads"),
    *("full", "evaluation"),
)
"""Keys and sections that change nothing of what a trial is: budget, what is kept, processor, and
what comes after the search."""
FREE_IN_FULL = ("search", "stage_one", "stage_two", "gate", "limits", "teacher", "threads")
"""Keys and sections that change nothing of a full training."""


def check(folder: Path, now: Config, free: Collection[str] = FREE) -> Config:
    """Raises where the run of a folder was begun with another value of a key that counts.

    Returns the configuration that the run goes on with: what is given now, and of the keys that
    are read at the beginning only what was given then.
    """
    path = folder / files.CONFIG
    try:
        before = load(path)
    except ConfigError as error:
        raise DataError(f"{error}; put back a copy of {path}, or give another folder") from error
    if now.search.begin_with is None:
        first = {name: getattr(before.search, name) for name in ("begin_with", "begin_count")}
        now = structs.replace(now, search=structs.replace(now.search, **first))
    now = _with_what_pictures_decided(before, now)
    old, new = (dotted(dump(paths.resolved(one))) for one in (before, now))
    for key in old | new:
        is_free = any(f"{key}.".startswith(f"{one}.") for one in free)
        if not is_free and old.get(key) != new.get(key):
            if key not in old or key not in new:
                raise ConfigError(
                    f"{folder} was begun {'with' if key in old else 'without'} {key}, now it is "
                    f"the other way: give {path}, or another folder"
                )
            was, now_is = (_written(values[key]) for values in (old, new))
            raise ConfigError(
                f"{folder} was begun with {key}={was}, now it is {now_is}: give {key}={was}, or "
                f"another folder ({path} says what it was)"
            )
    return now


def _with_what_pictures_decided(before: Config, now: Config) -> Config:
    """What was left open for a user's own folder is what its pictures decided when it began."""
    if not now.data.name.startswith(paths.FOLDER):
        return now
    given = structs.asdict(now.data.view)
    decided = {
        key: value if given[key] is None else given[key]
        for key, value in structs.asdict(before.data.view).items()
    }
    data = structs.replace(now.data, view=View(**decided))
    stages = {}
    for name, usual in (("stage_one", StageOne()), ("stage_two", StageTwo())):
        was, stage = getattr(before, name), getattr(now, name)
        if was is not None and stage is not None and stage.batch == usual.batch > was.batch:
            stages[name] = structs.replace(stage, batch=was.batch)
    return structs.replace(now, data=data, **stages)


def _written(value: Any) -> str:
    """As an override has it."""
    return value if isinstance(value, str) else json.dumps(value)
