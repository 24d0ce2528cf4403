"""Options that several commands share."""

import re
from pathlib import Path
from typing import Any

import click

from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.runs import Run
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
        return Run(Path(value))


RUN = click.argument("run", type=RunType(), metavar="RUN")
SPACE = click.option("--space", metavar="SPACE", help="Read brackets as a genotype of this space.")
WIDTH = click.option("--width", type=int, help="Channels of the decoder.")
SEP_REPEATS = click.option("--sep-repeats", type=int, help="Repeats of separable convolutions.")
CLASSES = click.option("--classes", type=int, help="Number of classes.")
INPUT = click.option("--input", "input_size", type=SizeType(), help="Size of the input image.")

CONFIG = click.option(
    "--config", required=True, metavar="NAME|FILE", help="A shipped configuration, or a YAML file."
)
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")


def short_name(text: str, genotype: Genotype) -> str:
    """A published name as it is; brackets by their digest."""
    return text if text in PUBLISHED else f"{genotype.space}-{genotype.digest}"


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {key: value for key, value in values.items() if value is not None}
