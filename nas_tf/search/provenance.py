"""Collects the provenance of a run: the content of its ``run.json``."""

import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path

from nas_tf import spaces
from nas_tf.config.schema import Config
from nas_tf.runs import RunInfo, record
from nas_tf.search.outcome import now
from nas_tf.training import from_config

_PACKAGES = ("tensorflow", "keras", "keras-tuner", "tf-agents", "numpy")


def run_info(config: Config, *, oracle: str, max_trials: int) -> RunInfo:
    """Returns the command, the versions and machine of this process, and the search's subject."""
    task = from_config.task_for(config)
    return RunInfo(
        schema=record.SCHEMA,
        nas_tf=metadata.version("nas-tf"),
        space=spaces.get(config.space).section(),
        data=config.data.name,
        task=task.name,
        outputs=task.head.channels,
        input=from_config.reward_view(config).crop,
        oracle=oracle,
        max_trials=max_trials,
        seed=config.seed,
        created=now(),
        command=_command(),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        versions={name: metadata.version(name) for name in _PACKAGES},
    )


def _command() -> str:
    """Returns the command as typed, without the folder of the program."""
    program = Path(sys.argv[0]).name
    return shlex.join(["nas-tf" if program == "__main__.py" else program, *sys.argv[1:]])
