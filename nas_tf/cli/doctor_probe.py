"""What TensorFlow sees, asked in a process of its own: one that does not fit may end it.

Run as ``python -m nas_tf.cli.doctor_probe``; each answer is a line of JSON on standard
output, so that what came before a crash is known.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from nas_tf import quiet

COMPANIONS = (
    "keras",
    "tensorflow_probability",
    "tensorflow_addons",
    "tf_agents.agents",
    "keras_tuner",
    "tensorflow_model_optimization",
    "tensorflow_datasets",
)


def main() -> None:
    """Tells of TensorFlow, then of what needs it."""
    if not _tell("tensorflow", _tensorflow):
        return
    for name in COMPANIONS:
        _tell(name, partial(_version, name))
    _tell("arithmetic", _arithmetic)
    _tell("weights", _weights)
    _tell("data", _data)


def _tell(topic: str, ask: Callable[[], Any]) -> bool:
    try:
        answer: dict[str, Any] = {"said": ask()}
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        answer = {"error": f"{type(error).__name__}: {reason}"}
    sys.stdout.write(json.dumps({"topic": topic, **answer}) + "\n")
    sys.stdout.flush()
    return "said" in answer


def _tensorflow() -> dict[str, Any]:
    tf = quiet.load("tensorflow")
    gpus = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, gpus)
    return {
        "version": tf.__version__,
        "gpus": [detail.get("device_name", "of unknown name") for detail in details],
    }


def _arithmetic() -> str:
    from nas_tf.training import hardware

    kind = hardware.precision("auto")
    if kind.compute.name == "float32":
        return "float32; no instructions for bfloat16"
    return f"bfloat16, {'matrix instructions (AMX)' if kind.dense else 'without AMX'}"


def _version(name: str) -> str:
    return getattr(quiet.load(name), "__version__", "")


def _weights() -> str | None:
    from nas_tf.networks.weights import imagenet_at_hand

    found = imagenet_at_hand(1.0)
    return str(found) if found else None


def _data() -> dict[str, dict[str, int] | None]:
    from nas_tf.data import DATASETS, prepared

    found = {name: prepared(name) for name in DATASETS}
    return {name: dict(one.splits) if one else None for name, one in found.items()}


if __name__ == "__main__":
    main()
