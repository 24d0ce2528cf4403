"""Genotypes as text: brackets in, nested lists out."""

import json
from typing import Any

from nas_tf.errors import GenotypeError

_LONGEST = 20_000


def brackets(text: str) -> Any:
    """Reads a bracketed list, also with the round brackets and single quotes of Python."""
    if len(text) > _LONGEST:
        raise GenotypeError(
            f"genotype text has {len(text)} characters, expected at most {_LONGEST}"
        )
    plain = text.translate(str.maketrans("()'", '[]"'))
    try:
        value = json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise GenotypeError(
            f"genotype {_shortened(text)} is not a bracketed list such as [[[3,3],…],[8,…]]"
        ) from error
    if not isinstance(value, list):
        raise GenotypeError(f"genotype {_shortened(text)} is not a list, expected [ … ]")
    return value


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "…")
