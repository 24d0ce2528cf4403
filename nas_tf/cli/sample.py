"""``nas-tf sample``: prints random genotypes, or the parts of a cell, one per line."""

import random

import click

from nas_tf import spaces
from nas_tf.cli import completion, options
from nas_tf.errors import ConfigError
from nas_tf.spaces import DPCSpace, SearchSpace


@click.command("sample")
@click.argument("space", type=options.SpaceType())
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of genotypes.",
)
@click.option(
    "--seed", type=int, default=None, help="Seed; the same seed gives the same genotypes."
)
@click.option(
    "--parts-of",
    "cell",
    metavar="GENOTYPE",
    shell_complete=completion.genotypes,
    help="Print every non-empty subset of this cell's branches, not random genotypes (dpc only).",
)
def command(space: SearchSpace, count: int, seed: int | None, cell: str | None) -> None:
    """Print random genotypes of a search space.

    \b
    nas-tf sample auxcell --count 3 --seed 1
    nas-tf sample '{name: auxcell, blocks: 4}'
    nas-tf sample dpc --parts-of aspp > cells.txt      # for nas-tf study --genotypes
    """
    if cell is not None:
        if not isinstance(space, DPCSpace):
            raise ConfigError(f"--parts-of is given with space {space}, expected dpc")
        if (count, seed) != (1, None):
            raise ConfigError("--count or --seed is given, expected neither with --parts-of")
        for part in space.parts(spaces.resolve(cell, DPCSpace.name)):
            click.echo(space.spell(part))
        return
    rng = random.Random(seed)
    for _ in range(count):
        click.echo(space.spell(space.sample(rng)))
