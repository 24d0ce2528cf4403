"""Options that several commands share."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from nas_tf import spaces
from nas_tf.errors import ConfigError, DataError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.runs import Run, record
from nas_tf.spaces import PUBLISHED

TARGETS = {"segmentation": "label", "depth": "depth", "pose": "keypoints"}
"""What data sets call that which a task predicts."""


class SizeType(click.ParamType):
    """A size written as HEIGHTxWIDTH."""

    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Reads ``360x480``."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)[x×](\d+)", value)
        if match is None:
            raise ConfigError(f"size {value!r} is not HEIGHTxWIDTH, expected such as 360x480")
        return int(match[1]), int(match[2])


class RunType(click.ParamType):
    """The folder of a run."""

    name = "RUN"

    def convert(self, value: Any, param: Any, ctx: Any) -> Run:
        """Opens the run."""
        return opened(Path(value))


def opened(folder: Path) -> Run:
    """A run whose genotypes can be told: one that was damaged is refused before it is drawn."""
    run = Run(folder)
    for trial in run.trials:
        path = record.path_of(folder, trial.trial)
        try:
            spaces.describe(trial.parsed)
        except NasTfError as error:
            raise DataError(f"{path} holds no genotype: {error}; put back a copy") from error
        except (TypeError, ValueError, LookupError) as error:
            raise DataError(
                f"{path} holds no genotype of space {trial.space}; put back a copy, or delete it"
            ) from error
    return run


class Writable(click.Path):
    """Where something is to be written; that it can be is known before anything is computed."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Looks at the path, or at the nearest folder that is there."""
        path = Path(super().convert(value, param, ctx))
        there = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
        if there != path and not there.is_dir():
            reason = f"{there} is no folder"
        elif not os.access(there, os.W_OK):
            reason = f"no permission to write to {there}"
        else:
            return path
        raise ConfigError(f"{path} cannot be written: {reason}, expected another --out")


OUT_FOLDER = Writable(file_okay=False)
OUT_FILE = Writable(dir_okay=False)
RUN = click.argument("run", type=RunType(), metavar="RUN")
SPACE = click.option("--space", metavar="SPACE", help="Read brackets as a genotype of this space.")
WIDTH = click.option("--width", type=int, help="Channels of the decoder.")
SEP_REPEATS = click.option("--sep-repeats", type=int, help="Repeats of separable convolutions.")
CLASSES = click.option("--classes", type=int, help="Number of classes.")
INPUT = click.option("--input", "input_size", type=SizeType(), help="Size of the input image.")

CONFIG = click.option(
    "--config",
    required=True,
    metavar="NAME|FILE|folder:DIR",
    help="A shipped configuration, a YAML file, or your own data.",
)
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")


def short_name(text: str, genotype: Genotype) -> str:
    """A published name as it is; brackets by their digest."""
    return text if text in PUBLISHED else f"{genotype.space}-{genotype.digest}"


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {key: value for key, value in values.items() if value is not None}


def drawable(path: Path) -> Path:
    """The path, if its name tells a format that pictures are written in."""
    from PIL import Image

    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"--out is {path}, expected a picture's name such as {path.stem}.png")
    return path


VERSION = click.option(
    "--version", type=click.IntRange(1), help="Version of the model (default: the newest)."
)
LABEL = click.option(
    "--label", help="Label of the version, such as stable, instead of its number."
)


def endpoint_and_model(text: str, what: str) -> tuple[str, str]:
    """The server's address and the model's name, of ``grpc://localhost:8500/NAME``."""
    address, _, name = text.rpartition("/")
    if "://" not in address or not name:
        raise ConfigError(f"{what} is {text!r}, expected such as grpc://localhost:8500/NAME")
    return address, name


def read_exported(model: Path) -> tuple[Mapping[str, Any], Callable[..., Mapping[str, Any]]]:
    """What a model says of itself, and what answers batches of images by it."""
    from serving import lite_metadata, lite_runner, saved_model

    if model.is_dir():
        return saved_model.about(model), saved_model.answers(model)
    if not model.exists():
        raise ConfigError(f"{model} does not exist, expected what nas-tf export wrote")
    return lite_metadata.read(model), lite_runner.LiteModel(model.read_bytes(), threads=2)
