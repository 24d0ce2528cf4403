"""The role of a ``nas-tf search`` in a cluster, as KerasTuner's variables assign it."""

import os
from pathlib import Path

from nas_tf.cli import live
from nas_tf.errors import ConfigError

_NAME, _IP, _PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


def is_one_of_many() -> bool:
    """Returns whether this process is a chief or a worker."""
    return _NAME in os.environ


def is_chief_by_hand() -> bool:
    """Returns whether this is a chief that ``--workers`` did not start."""
    return live.PIPED not in os.environ and "chief" in os.environ.get(_NAME, "")


def check(workers: int) -> None:
    """Raises ConfigError if variables are missing or wrong: it would search alone unnoticed."""
    given = [name for name in (_NAME, _IP, _PORT) if name in os.environ]
    missing = " and ".join(name for name in (_NAME, _IP, _PORT) if name not in given)
    if not given:
        return
    if missing:
        raise ConfigError(
            f"{given[0]} is set without {missing}, expected all three for a process of a "
            "cluster, and none for a search in one process"
        )
    if not os.environ[_PORT].isdecimal():
        raise ConfigError(f"{_PORT} is {os.environ[_PORT]!r}, expected a number")
    if workers > 1:
        raise ConfigError(
            f"--workers is {workers} and {_NAME} is {os.environ[_NAME]}, expected only one of "
            "them: --workers starts its own chief and workers"
        )


def describe(folder: Path) -> str:
    """Returns a line that says what this process does, or nothing if ``--workers`` started it."""
    if live.PIPED in os.environ:
        return ""
    place = f"{os.environ[_IP]}:{os.environ[_PORT]}"
    if is_chief_by_hand():
        return f"serving as chief of the search in {folder} at {place} until all trials have ended"
    return f"working as {os.environ[_NAME]} on the search in {folder} for the chief at {place}"
