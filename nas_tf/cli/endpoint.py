"""How commands name a model that a server has."""

import click

from nas_tf.errors import ConfigError

VERSION = click.option(
    "--version", type=click.IntRange(1), help="Version of the model (default: the newest)."
)
LABEL = click.option(
    "--label", help="Label of the version, such as stable, instead of its number."
)


def parts(text: str, what: str) -> tuple[str, str]:
    """The server's address and the model's name, of ``grpc://localhost:8500/NAME``."""
    address, _, name = text.rpartition("/")
    if "://" not in address or not name:
        raise ConfigError(f"{what} is {text!r}, expected such as grpc://localhost:8500/NAME")
    return address, name
