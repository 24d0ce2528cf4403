"""Numbers of repetitions: all of them in ``make test-all``, a sample otherwise."""

import os

IS_WHOLE = bool(os.environ.get("NAS_TF_ALL"))


def times(whole: int, sample: int) -> int:
    """Returns the number for the whole suite, or the one for the sample."""
    return whole if IS_WHOLE else sample
