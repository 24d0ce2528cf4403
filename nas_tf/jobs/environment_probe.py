"""The checks of the environment that import TensorFlow, which may crash the process.

``environment`` therefore runs this module as a process. Each answer is printed as a line of JSON,
so that the answers before a crash are known.
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
    """Prints the state of TensorFlow, then that of the packages that need it."""
    if not _answer("tensorflow", _tensorflow):
        return
    for name in COMPANIONS:
        _answer(name, partial(_version, name))
    _answer("arithmetic", _arithmetic)
    _answer("weights", _weights)
    _answer("data", _data)


def _answer(topic: str, probe: Callable[[], Any]) -> bool:
    try:
        answer: dict[str, Any] = {"value": probe()}
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        answer = {"error": f"{type(error).__name__}: {reason}"}
    sys.stdout.write(json.dumps({"topic": topic, **answer}) + "\n")
    sys.stdout.flush()
    return "value" in answer


def _tensorflow() -> dict[str, Any]:
    tf = quiet.load("tensorflow")
    gpus = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, gpus)
    return {
        "version": tf.__version__,
        "gpus": [detail.get("device_name", "unknown name") for detail in details],
    }


def _arithmetic() -> str:
    tf = quiet.load("tensorflow")
    from nas_tf.training import hardware

    kind = hardware.precision("auto")
    if tf.config.list_physical_devices("GPU"):
        return f"{kind.compute.name}, by the compute capability of the GPUs"
    if kind.compute.name == "float32":
        return "float32; the processor has no bfloat16 instructions"
    return f"bfloat16, {'matrix instructions (AMX)' if kind.dense else 'without AMX'}"


def _version(name: str) -> str:
    return getattr(quiet.load(name), "__version__", "")


def _weights() -> dict[str, str | None]:
    from nas_tf.networks.encoders import ENCODERS
    from nas_tf.networks.weights import local_imagenet_file

    files = {name: local_imagenet_file(encoder) for name, encoder in ENCODERS.items()}
    return {name: str(path) if path else None for name, path in files.items()}


def _data() -> dict[str, dict[str, int] | None]:
    from nas_tf.data import DATASETS, prepared

    found = {name: prepared(name) for name in DATASETS}
    return {name: dict(ready.splits) if ready else None for name, ready in found.items()}


if __name__ == "__main__":
    main()
