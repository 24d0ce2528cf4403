"""``nas-tf sample``: prints random genotypes, one per line."""

import random

import click

from nas_tf.cli import options
from nas_tf.spaces import SearchSpace


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
def command(space: SearchSpace, count: int, seed: int | None) -> None:
    """Print random genotypes of a search space.

    \b
    nas-tf sample auxcell --count 3 --seed 1
    nas-tf sample '{name: auxcell, blocks: 4}'
    """
    rng = random.Random(seed)
    for _ in range(count):
        click.echo(space.spell(space.sample(rng)))
