"""What ``nas-tf search`` is where KerasTuner's variables make it one of many processes."""

import os
from pathlib import Path

from nas_tf.cli import live
from nas_tf.errors import ConfigError

_NAME, _IP, _PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


def is_one_of_many() -> bool:
    """Whether this is a chief or a worker."""
    return _NAME in os.environ


def is_chief_by_hand() -> bool:
    """Whether this is a chief that a person started; ``--workers`` shows its own."""
    return live.PIPED not in os.environ and "chief" in os.environ.get(_NAME, "")


def check(workers: int) -> None:
    """Raises where variables are lacking or wrong: it would quietly search alone."""
    given = [name for name in (_NAME, _IP, _PORT) if name in os.environ]
    lacking = " and ".join(name for name in (_NAME, _IP, _PORT) if name not in given)
    if not given:
        return
    if lacking:
        raise ConfigError(
            f"{given[0]} is set without {lacking}: a process of a cluster needs all three, one "
            "that searches alone none"
        )
    if not os.environ[_PORT].isdecimal():
        raise ConfigError(f"{_PORT} is {os.environ[_PORT]!r}, expected a number")
    if workers > 1:
        raise ConfigError(
            f"--workers {workers} starts a chief and workers of its own, and {_NAME} says that "
            f"this is {os.environ[_NAME]}: expected one or the other"
        )


def part(folder: Path) -> str:
    """What a process that was started by hand does, for the line that says so."""
    if live.PIPED in os.environ:
        return ""
    place = f"{os.environ[_IP]}:{os.environ[_PORT]}"
    if is_chief_by_hand():
        return f"chief at {place} of the search in {folder}, until all trials have ended"
    return f"{os.environ[_NAME]} of the search in {folder}, asks the chief at {place}"
