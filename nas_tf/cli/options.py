"""Options and arguments that several commands share, and the checks of their values."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml
from click.shell_completion import CompletionItem

from nas_tf import files, spaces
from nas_tf.cli import completion
from nas_tf.errors import ConfigError, DataError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.networks import encoders
from nas_tf.networks.encoders import Encoder
from nas_tf.runs import Run, record
from nas_tf.spaces import PUBLISHED, SearchSpace


class SizeType(click.ParamType):
    """A size, written as HEIGHTxWIDTH."""

    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Returns height and width of a text such as ``360x480``."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)[x×](\d+)", value)
        if match is None:
            raise ConfigError(f"size is {value!r}, expected HEIGHTxWIDTH such as 360x480")
        return int(match[1]), int(match[2])


class SpaceType(click.ParamType):
    """A space, written as in a configuration: a name, or ``{name: auxcell, blocks: 4}``."""

    name = "SPACE"

    def convert(self, value: Any, param: Any, ctx: Any) -> SearchSpace:
        """Returns the space of a text."""
        if isinstance(value, SearchSpace):
            return value
        try:
            section = yaml.safe_load(value) if value.startswith("{") else value
        except yaml.YAMLError:
            section = value
        return spaces.get(section)


class HoursType(click.ParamType):
    """A time, written as ``8h``, ``90m``, ``30s`` or ``1h30m``."""

    name = "TIME"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Returns the hours of a text."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", value)
        hours, minutes, seconds = (
            (int(part or 0) for part in match.groups()) if match else (0,) * 3
        )
        if not (hours or minutes or seconds):
            raise ConfigError(f"time is {value!r}, expected a duration such as 8h, 90m or 1h30m")
        return hours + minutes / 60 + seconds / 3600


class EncoderType(click.ParamType):
    """An encoder, given by its name."""

    name = "NAME"

    def convert(self, value: Any, param: Any, ctx: Any) -> Encoder:
        """Returns the encoder of its usual width."""
        return value if isinstance(value, Encoder) else encoders.get(value)


class RunType(click.ParamType):
    """A run, given by its folder."""

    name = "RUN"

    def convert(self, value: Any, param: Any, ctx: Any) -> Run:
        """Returns the run, after its genotypes were checked."""
        return open_run(Path(value))

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Completes a folder."""
        return [CompletionItem(incomplete, type="dir")]


def open_run(folder: Path) -> Run:
    """Opens a run; raises DataError if a trial's genotype is damaged, before anything is drawn."""
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
    """A path to write to; it is checked for permission before anything is computed."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Returns the path; checks it, or the nearest folder above it that exists."""
        path = files.with_own_name(Path(super().convert(value, param, ctx)))
        candidates = (path, *path.absolute().parents)
        existing = next(candidate for candidate in candidates if os.path.lexists(candidate))
        if existing != path and not existing.is_dir():
            reason = f"{existing} is not a folder"
        elif not os.access(existing, os.W_OK):
            reason = f"no permission to write to {existing}"
        else:
            return path
        raise ConfigError(f"{path} cannot be written: {reason}, expected another --out")


OUT_FOLDER = Writable(file_okay=False)
OUT_FILE = Writable(dir_okay=False)
RUN = click.argument("run", type=RunType(), metavar="RUN")
SPACE = click.option(
    "--space", type=SpaceType(), help="Search space of a genotype that is written in brackets."
)
WIDTH = click.option("--width", type=int, help="Number of channels of the decoder.")
SEP_REPEATS = click.option(
    "--sep-repeats", type=int, help="Number of repeats of separable convolutions."
)
ENCODER = click.option(
    "--encoder", type=EncoderType(), help="Encoder (default: that of the published settings)."
)
DECODER = click.option(
    "--decoder",
    type=click.Choice(["deeplabv3plus"]),
    help="Decoder behind a dense prediction cell (default: none).",
)
CLASSES = click.option("--classes", type=int, help="Number of classes.")
INPUT = click.option("--input", "input_size", type=SizeType(), help="Size of the input image.")
TRIAL = click.option("--trial", help="Trial of a search (default: the best).")
WEIGHTS = click.option(
    "--weights",
    type=click.Choice(["last", "best"]),
    default="last",
    show_default=True,
    help="Weights of a training: those of its last step or of its best validation score.",
)

CONFIG = click.option(
    "--config",
    "config_name",
    required=True,
    metavar="NAME|FILE|folder:DIR",
    shell_complete=completion.configurations,
    help="A shipped configuration, a YAML file, or a folder with your own data.",
)
ROWS = click.option(
    "--file",
    "rows",
    type=click.File(encoding="utf-8", errors="replace"),
    default="-",
    show_default=True,
    help="File of the rows; - is standard input.",
)
OVERRIDES = click.argument(
    "overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=completion.keys
)


@contextmanager
def resumable() -> Iterator[None]:
    """Ends the program at Ctrl-C with the command that resumes it, which is the same again."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"stopped; resume with: nas-tf {shlex.join(sys.argv[1:])}", err=True)
        raise click.exceptions.Exit(130) from None


def short_name(text: str, genotype: Genotype) -> str:
    """Returns a published name unchanged, and the digest of a genotype in brackets."""
    return text if text in PUBLISHED else f"{genotype.space}-{genotype.digest}"


def given(**values: Any) -> dict[str, Any]:
    """Returns the options that were given a value."""
    return {key: value for key, value in values.items() if value is not None}


def drawable(path: Path, option: str = "--out") -> Path:
    """Returns the path if its suffix names a picture format; else raises ConfigError."""
    from PIL import Image

    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ConfigError(f"{option} is {path}, expected a picture such as {path.stem}.png")
    return path


VERSION = click.option(
    "--version", type=click.IntRange(1), help="Version of the model (default: the newest)."
)
LABEL = click.option(
    "--label", help="Label of the version, such as stable, instead of its number."
)


def endpoint_and_model(text: str, option: str) -> tuple[str, str]:
    """Splits ``grpc://localhost:8500/NAME`` into the server's address and the model's name."""
    address, _, name = text.rpartition("/")
    if "://" not in address or not name:
        raise ConfigError(
            f"{option} is {text!r}, expected a URL such as grpc://localhost:8500/NAME"
        )
    return address, name
