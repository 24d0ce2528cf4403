"""``nas-tf report``: a run as one HTML page with pictures."""

import click

from nas_tf.cli import options
from nas_tf.runs import Run


@click.command("report")
@options.RUN
def command(run: Run) -> None:
    """Draw the report of RUN: one HTML page, and its pictures as SVG and PNG.

    \b
    nas-tf report runs/camvid_auxcell-ppo
    """
    from nas_tf.report import page

    click.echo(page.write(run))
