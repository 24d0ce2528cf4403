"""Names of precisions, and what a processor's flags make of them."""

import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.networks.functional import FLOAT32
from nas_tf.training import processor


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2"}, FLOAT32),
        ({"avx512_bf16"}, processor.BFLOAT16_MIXED),
        ({"avx512_bf16", "amx_bf16"}, processor.BFLOAT16_DENSE),
    ],
)
def test_auto_is_what_the_processor_gains_by(
    monkeypatch: pytest.MonkeyPatch, flags: set, expected: object
) -> None:
    monkeypatch.setattr(processor, "_flags", lambda: frozenset(flags))
    assert processor.precision("auto") == expected
    assert processor.precision("float32") == FLOAT32
    assert processor.precision("bfloat16").compute == tf.bfloat16


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        processor.precision("float16")
    assert str(error.value) == "precision is 'float16', expected auto, float32 or bfloat16"
