"""How often something is done: all of it by ``make test-all``, a sample otherwise."""

import os

IS_WHOLE = bool(os.environ.get("NAS_TF_ALL"))


def times(whole: int, sample: int) -> int:
    """How many there are of what costs much, such as processes that are killed."""
    return whole if IS_WHOLE else sample
