"""``nas-tf sample``: prints random genotypes, one per line."""

import random

import click

from nas_tf import spaces


@click.command("sample")
@click.argument("space", metavar="SPACE")
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
def command(space: str, count: int, seed: int | None) -> None:
    """Print random genotypes of a search space.

    \b
    nas-tf sample auxcell --count 3 --seed 1
    """
    search_space = spaces.get(space)
    rng = random.Random(seed)
    for _ in range(count):
        click.echo(search_space.spell(search_space.sample(rng)))
