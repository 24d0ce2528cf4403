"""``nas-tf sample``: random genotypes, one a line."""

import random

import click

from nas_tf import spaces


@click.command("sample")
@click.argument("space", metavar="SPACE")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=int, default=None, help="Same seed, same genotypes.")
def command(space: str, count: int, seed: int | None) -> None:
    """Print random genotypes of a search space.

    \b
    nas-tf sample auxcell --count 3 --seed 1
    """
    searched = spaces.get(space)
    rng = random.Random(seed)
    for _ in range(count):
        click.echo(searched.spell(searched.sample(rng)))
