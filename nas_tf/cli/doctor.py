"""``nas-tf doctor``: finds faults of this environment and suggests remedies."""

import json
from collections.abc import Sequence

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf.cli import tables
from nas_tf.errors import EnvironmentFault
from nas_tf.jobs import environment

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Check versions, processor, memory, disk, GPUs, data and tools, and suggest fixes.

    A note reports an optional part that is missing. A problem makes commands fail; the exit code
    is then 4. The checks also run if TensorFlow cannot be imported.

    \b
    nas-tf doctor
    nas-tf doctor --json
    """
    with Console(stderr=True).status("Checking; importing TensorFlow takes some seconds ..."):
        findings = list(environment.findings())
    if as_json:
        click.echo(json.dumps([finding.to_dict() for finding in findings], indent=1))
    else:
        tables.console().print(_table(findings))
    problems = [finding.subject for finding in findings if finding.state == "problem"]
    if problems:
        raise EnvironmentFault(
            f"{len(problems)} of {len(findings)} checks found a problem: {', '.join(problems)}"
        )


def _table(findings: Sequence[environment.Finding]) -> Table:
    """Returns a table with a row per finding, its remedy below its message."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        state, message = finding.state, finding.message
        text = f"{message}\n→ {finding.remedy}" if finding.remedy else message
        table.add_row(f"[{_COLOURS[state]}]{state}[/]", escape(finding.subject), escape(text))
    return table
