"""The errors a person meets. Each message says what, where, and what is accepted.

The command line prints the message on one line and leaves with ``exit_code``.
"""

import difflib
import errno
from collections.abc import Iterable


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


def full_disk(error: OSError, place: object) -> EnvironmentFault | None:
    """What a full disk, or quota, is to a person; None where it is something else."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None
    return EnvironmentFault(
        f"{place} can't be written: {error.strerror}; free some space, then run the same again"
    )
