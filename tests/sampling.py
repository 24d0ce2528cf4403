"""Numbers of repetitions: all in ``make test-all``, a sample otherwise."""

import os

IS_WHOLE = bool(os.environ.get("NAS_TF_ALL"))


def times(complete: int, sample: int) -> int:
    """Returns the number for the complete suite, or that for the sample."""
    return complete if IS_WHOLE else sample
