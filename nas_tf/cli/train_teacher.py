"""``nas-tf train-teacher``: trains a wide network that candidates learn to imitate."""

import json
from pathlib import Path

import click

from nas_tf import spaces
from nas_tf.cli import options
from nas_tf.errors import ConfigError


@click.command("train-teacher")
@options.CONFIG
@options.OVERRIDES
@click.option("--genotype", default="arch0", show_default=True, help="Genotype of the decoder.")
@click.option(
    "--width",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Number of channels of the decoder.",
)
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the run (default: runs/CONFIG-teacher).",
)
def command(
    config_name: str, overrides: tuple[str, ...], genotype: str, width: int, out: Path | None
) -> None:
    """Train a teacher on the data of a configuration: a published decoder at a large width.

    To use the teacher, give teacher=FOLDER/last.keras to a search or a trial.

    \b
    nas-tf train-teacher --config camvid_auxcell --width 128
    """
    from nas_tf.cli.train import run
    from nas_tf.config import load
    from nas_tf.config.paths import run_name

    resolved = spaces.resolve(genotype)
    space = spaces.space_of(resolved)
    settings = (f"space={json.dumps(space.section())}", f"network.width={width}", "teacher=null")
    config = load(config_name, (*overrides, *settings))
    if space.fixed_size:
        raise ConfigError(
            f"--genotype is of space {space}, expected one that accepts any image size"
        )
    folder = out or Path("runs") / f"{run_name(config_name)}-teacher"
    run(config, resolved, folder, title="training the teacher")
    click.echo(f"use it with teacher={folder / 'last.keras'}")
