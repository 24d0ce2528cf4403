"""Options that several commands share."""

import re
from typing import Any

import click

from nas_tf.errors import ConfigError


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


SPACE = click.option("--space", metavar="SPACE", help="Read brackets as a genotype of this space.")
WIDTH = click.option("--width", type=int, help="Channels of the decoder.")
SEP_REPEATS = click.option("--sep-repeats", type=int, help="Repeats of separable convolutions.")
CLASSES = click.option("--classes", type=int, help="Number of classes.")
INPUT = click.option("--input", "input_size", type=SizeType(), help="Size of the input image.")


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {key: value for key, value in values.items() if value is not None}
