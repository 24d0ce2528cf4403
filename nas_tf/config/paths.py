"""The files and folders that a configuration names, and the name of the runs that it makes.

They are kept absolute, so that a run can be resumed, scored and exported from any directory.
"""

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from nas_tf.config.schema import Config

FOLDER = "folder:"
"""What the name of a data set begins with that is a user's own folder."""
_SHIPPED_WEIGHTS = ("imagenet", "drawn")
_TIMED_HERE = "tflite"


def absolute(experiment: Config) -> Config:
    """The same configuration with absolute paths; relative ones are of the current directory."""
    return _changed(experiment, _absolute)


def resolved(experiment: Config) -> Config:
    """The same configuration with every link in its paths followed, to compare what they name."""
    return _changed(experiment, os.path.realpath)


def run_name(source: str) -> str:
    """What the runs of a configuration are called: the file's name, or the data folder's."""
    if source.startswith(FOLDER):
        return Path(_absolute(source.removeprefix(FOLDER))).name or "folder"
    return Path(source).stem


def _changed(experiment: Config, change: Callable[[str], str]) -> Config:
    def path(text: str | None) -> str | None:
        return change(text) if text and "\0" not in text else text

    def data(name: str | None) -> str | None:
        if name is None or not name.startswith(FOLDER):
            return name
        return f"{FOLDER}{path(name.removeprefix(FOLDER))}"

    own, network, search = experiment.data, experiment.network, experiment.search
    weights = network.weights if network.weights in _SHIPPED_WEIGHTS else path(network.weights)
    latency = search.latency if search.latency == _TIMED_HERE else path(search.latency)
    stages = tuple(
        structs.replace(stage, data=data(stage.data)) for stage in experiment.full.stages
    )
    return structs.replace(
        experiment,
        data=structs.replace(own, name=data(own.name)),
        network=structs.replace(network, weights=weights),
        teacher=path(experiment.teacher),
        search=structs.replace(search, latency=latency, begin_with=path(search.begin_with)),
        full=structs.replace(experiment.full, stages=stages),
    )


def _absolute(text: str) -> str:
    """A path from the root; one with ``..`` is followed, as a link may stand before it."""
    path = Path(os.path.expanduser(text)).absolute()
    return os.path.realpath(path) if ".." in path.parts else str(path)
