"""What a run may change when it is gone on with, and what it may not."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from nas_tf.config.load import dump, load
from nas_tf.config.schema import Experiment
from nas_tf.errors import ConfigError, DataError
from nas_tf.runs import layout
from nas_tf.runs.load import dotted

FREE = ("search.trials", "search.kept", "search.tensorboard", "threads")
"""Keys that change nothing of what a trial is: budget, what is kept, processor."""
_AT_FIRST = ("search.begin_with", "search.begin_count")
"""Keys that are read when a run begins only, and need not be given again."""
FREE_IN_FULL = ("search", "stage_one", "stage_two", "gate", "limits", "teacher", "threads")
"""Keys and sections that change nothing of a full training."""


def check(folder: Path, now: Experiment, free: Collection[str] = FREE) -> None:
    """Raises where the run of a folder was begun with another value of a key that counts."""
    path = folder / layout.CONFIG
    try:
        before = load(path)
    except ConfigError as error:
        raise DataError(f"{error}; put back a copy of {path}, or give another folder") from error
    old, new = (dotted(dump(one)) for one in (before, now))
    if now.search.begin_with is None:
        free = (*free, *_AT_FIRST)
    elif _is_one_folder(before.search.begin_with, now.search.begin_with):
        new["search.begin_with"] = before.search.begin_with
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


def _is_one_folder(was: str | None, now: str) -> bool:
    return was is not None and Path(was).resolve() == Path(now).resolve()


def _written(value: Any) -> str:
    """As an override has it."""
    return value if isinstance(value, str) else json.dumps(value)
