"""``nas-tf config``: list the shipped configurations, and show one as it is resolved."""

import itertools
import re

import click
from rich.table import Table

from nas_tf import config
from nas_tf.cli import options, tables
from nas_tf.config.load import source_text
from nas_tf.errors import ConfigError


@click.group("config")
def command() -> None:
    """List the shipped configurations, and show one with every key.

    \b
    nas-tf config list
    nas-tf config show camvid_auxcell stage_one.epochs=3
    """


@command.command("list")
def list_configurations() -> None:
    """Show every shipped configuration: its space, data set and what it is."""
    table = Table("name", "space", "data", "what", box=None, pad_edge=False)
    for name in config.names():
        shipped = config.load(name)
        table.add_row(name, shipped.space, shipped.data.name, _what(source_text(name)))
    tables.console().print(table)


def _what(text: str) -> str:
    """The first clause of the comment that a file begins with."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), text.splitlines())
    comment = " ".join(line.removeprefix("# ") for line in lines)
    return re.split(r"[.:;] |\.$", comment)[0]


@command.command("show")
@click.argument("name", metavar="NAME|FILE|folder:DIR")
@options.OVERRIDES
@click.option("--source", is_flag=True, help="Print the file itself, with its comments.")
def show(name: str, overrides: tuple[str, ...], source: bool) -> None:
    """Print a configuration as YAML: every key, with overrides applied and defaults filled in.

    \b
    nas-tf config show quickstart
    nas-tf config show mine.yaml stage_two=null > whole.yaml
    nas-tf config show voc_auxcell --source
    """
    if source and overrides:
        raise ConfigError(f"--source prints the file itself, expected no {overrides[0]}")
    whole = config.load(name, overrides)
    click.echo(source_text(name) if source else config.dump(whole), nl=False)
