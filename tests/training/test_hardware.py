"""Names of precisions, their meaning by a processor's flags, and threads."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.networks.functional import FLOAT32
from nas_tf.training import hardware


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2"}, FLOAT32),
        ({"avx512_bf16"}, hardware.BFLOAT16_MIXED),
        ({"avx512_bf16", "amx_bf16"}, hardware.BFLOAT16_DENSE),
    ],
)
def test_auto_is_the_fastest_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, flags: set, expected: object
) -> None:
    monkeypatch.setattr(hardware, "_flags", lambda: frozenset(flags))
    assert hardware.precision("auto") == expected
    assert hardware.precision("float32") == FLOAT32
    assert hardware.precision("bfloat16").compute == tf.bfloat16


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(6, 1)], tf.float32),
        ([(7, 5)], tf.float16),
        ([(8, 0)], tf.bfloat16),
        ([(9, 0), (8, 6)], tf.bfloat16),
        ([(9, 0), (7, 0)], tf.float16),
        ([None], tf.float32),
    ],
)
def test_auto_on_gpus_depends_on_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: list[tuple[int, int] | None],
    expected: tf.DType,
) -> None:
    """The processor's instructions do not matter then."""
    monkeypatch.setattr(hardware, "_flags", lambda: frozenset({"amx_bf16"}))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: capabilities)
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {} if gpu is None else {"compute_capability": gpu},
    )
    assert hardware.precision("auto").compute == expected
    assert hardware.precision("bfloat16").compute == tf.bfloat16
    assert hardware.precision("float16").compute == tf.float16


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        hardware.precision("float64")
    assert (
        str(error.value) == "precision is 'float64', expected auto, float32, bfloat16 or float16"
    )


@pytest.mark.slow
def test_threads_are_set_before_a_teacher_is_read(tmp_path: Path) -> None:
    """Otherwise a resumed search would compute with other threads than a new one."""
    teacher = tmp_path / "teacher.keras"
    image = tf.keras.Input((64, 64, 3))
    tf.keras.Model(image, tf.keras.layers.Conv2D(9, 8, 8)(image)).save(teacher)
    program = f"""
import tensorflow as tf
from nas_tf.config import load
from nas_tf.search import preflight
own = ["network.weights=null", "stage_one.crop=[64,64]", "teacher={teacher}"]
config = load("quickstart", ["threads=1", *own])
preflight.check(config)
float(tf.constant(1.0))
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "1 1\n", done.stderr


def test_threads_that_come_too_late_are_reported() -> None:
    float(tf.constant(1.0))
    with pytest.warns(RuntimeWarning, match="^threads is 77 without effect: TensorFlow has comp"):
        current = hardware.use_threads(77)
    assert hardware.use_threads(current) == hardware.use_threads(None) == current != 77
