"""The files and folders that a configuration names, and the name of its runs.

Paths are stored absolute, so that a run can be resumed, scored and exported from any directory.
"""

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from nas_tf.config.schema import Config

FOLDER = "folder:"
"""The prefix of a data set's name that is a user's own folder."""
_SHIPPED_WEIGHTS = ("imagenet", "drawn")
_TIMED_HERE = "tflite"


def absolute(config: Config) -> Config:
    """Returns the configuration with absolute paths; relative ones start at the current folder."""
    return _changed(config, _absolute)


def resolved(config: Config) -> Config:
    """Returns the configuration with every link in its paths followed, for comparisons."""
    return _changed(config, os.path.realpath)


def run_name(source: str) -> str:
    """Returns the name of a configuration's runs: that of its file, or of the data folder."""
    if source.startswith(FOLDER):
        return Path(_absolute(source.removeprefix(FOLDER))).name or "folder"
    return Path(source).stem


def _changed(config: Config, change: Callable[[str], str]) -> Config:
    def path(text: str | None) -> str | None:
        return change(text) if text and "\0" not in text else text

    def data(name: str | None) -> str | None:
        if name is None or not name.startswith(FOLDER):
            return name
        return f"{FOLDER}{path(name.removeprefix(FOLDER))}"

    own, network, search = config.data, config.network, config.search
    follows = search.follows
    if follows is not None:
        follows = structs.replace(follows, run=path(follows.run))
    weights = network.weights if network.weights in _SHIPPED_WEIGHTS else path(network.weights)
    latency = search.latency if search.latency == _TIMED_HERE else path(search.latency)
    stages = tuple(
        structs.replace(
            stage,
            data=data(stage.data),
            joined=tuple(structs.replace(more, data=data(more.data)) for more in stage.joined),
        )
        for stage in config.full_training.stages
    )
    return structs.replace(
        config,
        data=structs.replace(own, name=data(own.name)),
        network=structs.replace(network, weights=weights),
        teacher=path(config.teacher),
        search=structs.replace(
            search,
            latency=latency,
            warm_start=path(search.warm_start),
            supernet=path(search.supernet),
            follows=follows,
        ),
        full_training=structs.replace(config.full_training, stages=stages),
    )


def _absolute(text: str) -> str:
    """Returns an absolute path; one with ``..`` is resolved, as a link may precede it."""
    path = Path(os.path.expanduser(text)).absolute()
    return os.path.realpath(path) if ".." in path.parts else str(path)
