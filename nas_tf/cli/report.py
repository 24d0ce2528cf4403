"""``nas-tf report``: writes the report of a run, an HTML page with figures."""

import click

from nas_tf.cli import options
from nas_tf.runs import Run


@click.command("report")
@options.RUN
def command(run: Run) -> None:
    """Write the report of RUN: an HTML page, and its figures as SVG and PNG.

    \b
    nas-tf report runs/camvid_auxcell-ppo
    """
    from nas_tf.report import page

    click.echo(page.write(run))
