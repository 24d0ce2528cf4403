"""The GPUs of this machine, and their division among the workers of a search."""

import os
import subprocess
from collections.abc import Mapping, Sequence

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"
_SECONDS = 20


def gpus(env: Mapping[str, str] = os.environ) -> list[str]:
    """Returns the GPUs that processes with this environment may use, by number or UUID.

    Those of ``CUDA_VISIBLE_DEVICES``, where as in CUDA an invalid number ends the list. Without
    that variable ``nvidia-smi`` names them; without either there are none.
    """
    if _VISIBLE not in env:
        return _installed(env)
    names = [name.strip() for name in env[_VISIBLE].split(",")]
    invalid = [index for index, name in enumerate(names) if not name or name.startswith("-")]
    return names[: invalid[0]] if invalid else names


def with_gpu(env: Mapping[str, str], worker: int | None, names: Sequence[str]) -> dict[str, str]:
    """Returns an environment in which a worker sees its GPU alone; the chief, None, sees none.

    If there are more workers than GPUs, they share them in turns: the memory that TensorFlow takes
    grows with what it needs, unless the environment says otherwise. Without GPUs it is unchanged.
    """
    if not names:
        return dict(env)
    gpu = "-1" if worker is None else names[worker % len(names)]
    return {_GROWTH: "true", **env, _VISIBLE: gpu}


def _installed(env: Mapping[str, str]) -> list[str]:
    """Returns the UUIDs, since CUDA and ``nvidia-smi`` may number the GPUs differently."""
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(
            command, env=env, capture_output=True, text=True, check=True, timeout=_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.startswith("GPU-")]
