"""``nas-tf train``: full training of one genotype."""

from pathlib import Path

import click

from nas_tf import spaces
from nas_tf.cli import options


@click.command("train")
@click.argument("genotype", metavar="GENOTYPE")
@options.CONFIG
@options.OVERRIDES
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the run (default: runs/CONFIG-GENOTYPE); it is resumed if it exists.",
)
def command(genotype: str, config: str, overrides: tuple[str, ...], out: Path | None) -> None:
    """Train GENOTYPE in full; after an interruption the same command resumes exactly.

    \b
    nas-tf train arch0 --config camvid_auxcell
    nas-tf train arch0 --config shapes_auxcell full.stages.0.epochs=3 --out runs/short
    """
    from nas_tf.cli.full_training import run
    from nas_tf.config.load import load
    from nas_tf.config.paths import run_name

    experiment = load(config, overrides)
    found = spaces.resolve(genotype, experiment.space)
    folder = out or Path("runs") / f"{run_name(config)}-{options.short_name(genotype, found)}"
    run(experiment, found, folder, title=f"training {genotype}")
