"""``nas-tf config``: lists the shipped configurations, and prints a resolved one."""

import itertools
import re
from typing import Any

import click
import yaml
from rich.table import Table

from nas_tf import config
from nas_tf.cli import completion, options, tables
from nas_tf.config.load import source_text
from nas_tf.errors import ConfigError


@click.group("config")
def command() -> None:
    """List the shipped configurations, and print one with every key.

    \b
    nas-tf config list
    nas-tf config show camvid_auxcell stage_one.epochs=3
    """


@command.command("list")
def list_configurations() -> None:
    """List the shipped configurations with space, data set and description."""
    table = Table("name", "space", "data", "description", box=None, pad_edge=False)
    for name in config.names():
        text = source_text(name)
        written = yaml.safe_load(text)  # one that needs another run can't be resolved here
        table.add_row(name, _space(written["space"]), written["data"]["name"], _description(text))
    tables.console().print(table)


def _space(section: str | dict[str, Any]) -> str:
    """Returns a space with its arguments as they are written."""
    if isinstance(section, str):
        return section
    arguments = ", ".join(f"{key}={value}" for key, value in section.items() if key != "name")
    return f"{section['name']} ({arguments})"


def _description(text: str) -> str:
    """Returns the first clause of the comment at the head of a file."""
    lines = itertools.takewhile(lambda line: line.startswith("# "), text.splitlines())
    comment = " ".join(line.removeprefix("# ") for line in lines)
    return re.split(r"[.:;] |\.$", comment)[0]


@command.command("show")
@click.argument("name", metavar="NAME|FILE|folder:DIR", shell_complete=completion.configurations)
@options.OVERRIDES
@click.option("--source", is_flag=True, help="Print the file itself, with its comments.")
def show(name: str, overrides: tuple[str, ...], source: bool) -> None:
    """Print a configuration as YAML, with every key and all overrides.

    \b
    nas-tf config show quickstart
    nas-tf config show mine.yaml stage_two=null > complete.yaml
    nas-tf config show voc_auxcell --source
    """
    if source and overrides:
        raise ConfigError(f"--source prints the file itself, expected no {overrides[0]}")
    resolved = config.load(name, overrides)
    click.echo(source_text(name) if source else config.dump(resolved), nl=False)
