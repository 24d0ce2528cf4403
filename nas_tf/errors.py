"""The errors that a user meets. Each message states the value, its place and what is expected.

The command line prints the message on one line and exits with ``exit_code``.
"""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NasTfError(Exception):
    """Base of every error that the user can fix."""

    exit_code = 1


class GenotypeError(NasTfError):
    """A genotype, or one of its tokens, that the search space does not contain."""

    exit_code = 2


class ConfigError(NasTfError):
    """An option or configuration key with a value that is not accepted."""

    exit_code = 2


class WeightsError(NasTfError):
    """A weights file that is missing or belongs to another network."""

    exit_code = 2


class DataError(NasTfError):
    """A data set, image or label that is missing, damaged or does not match."""

    exit_code = 3


class EnvironmentFault(NasTfError):
    """Something that this machine is missing: a package, a device, disk space or the network."""

    exit_code = 4


class ServingError(NasTfError):
    """An endpoint that cannot be reached, or that refuses a request."""

    exit_code = 6


class TrainingError(NasTfError):
    """A training without a usable result."""

    exit_code = 5


def did_you_mean(word: str, accepted: Iterable[str]) -> str:
    """Returns a question that suggests the nearest accepted word; empty if none is near."""
    matches = difflib.get_close_matches(word[:60], list(accepted), n=1)
    return f", did you mean {matches[0]}?" if matches else ""


def full_disk(error: BaseException, place: object) -> EnvironmentFault | None:
    """Returns the error to report if the cause is a full disk or quota, else None.

    Libraries written in C++ raise errors of their own, which contain the system's message only.
    """
    reason = next((text for cause in _chain(error) if (text := _full(cause))), None)
    if reason is None:
        return None
    return EnvironmentFault(
        f"{place} can't be written: {reason}; free some space, then run the same again"
    )


def _full(error: BaseException) -> str | None:
    """Returns the system's message of a full disk if the error has it, else None."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return error.strerror
    return next((text for text in map(os.strerror, _FULL) if text in str(error)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
