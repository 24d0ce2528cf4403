"""The errors a person meets. Each message says what, where, and what is accepted.

The command line prints the message on one line and leaves with ``exit_code``.
"""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NasTfError(Exception):
    """Base of every error that is the user's to mend."""

    exit_code = 1


class GenotypeError(NasTfError):
    """A genotype, or a token of it, that its search space does not contain."""

    exit_code = 2


class ConfigError(NasTfError):
    """An option or configuration key with a value that is not accepted."""

    exit_code = 2


class WeightsError(NasTfError):
    """A weights file that is absent or belongs to another network."""

    exit_code = 2


class DataError(NasTfError):
    """A data set, image or label that is absent, broken or does not match."""

    exit_code = 3


class EnvironmentFault(NasTfError):
    """Something of this machine that is missing: a package, a device, disk space, the network."""

    exit_code = 4


class ServingError(NasTfError):
    """An endpoint that cannot be reached, or that refuses a request."""

    exit_code = 6


class TrainingError(NasTfError):
    """A training that came to no usable end."""

    exit_code = 5


def meant(word: str, accepted: Iterable[str]) -> str:
    """A question that names the nearest of what is accepted; nothing where none is near."""
    near = difflib.get_close_matches(word[:60], list(accepted), n=1)
    return f", did you mean {near[0]}?" if near else ""


def full_disk(error: BaseException, place: object) -> EnvironmentFault | None:
    """A full disk, or quota, as the error a person meets; None where it is something else.

    Libraries written in C++ raise errors of their own, which hold the system's words only.
    """
    reason = next((found for one in _chain(error) if (found := _full(one))), None)
    if reason is None:
        return None
    return EnvironmentFault(
        f"{place} can't be written: {reason}; free some space, then run the same again"
    )


def _full(error: BaseException) -> str | None:
    """The system's words for a full disk, if the error is one."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return error.strerror
    return next((words for words in map(os.strerror, _FULL) if words in str(error)), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
