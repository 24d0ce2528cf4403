"""``nas-tf spaces``: lists the search spaces and published genotypes."""

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from nas_tf import spaces
from nas_tf.cli import options, tables


@click.command("spaces")
@click.option(
    "--distinct",
    type=options.SpaceType(),
    help="Estimate the number of distinct networks in this space.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    default=2000,
    show_default=True,
    help="With --distinct: number of sampled genotypes.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="With --distinct: seed of the samples."
)
def command(distinct: spaces.SearchSpace | None, samples: int, seed: int) -> None:
    """List the search spaces and published genotypes.

    \b
    nas-tf spaces
    nas-tf spaces --distinct auxcell
    """
    if distinct is not None:
        _print_estimate(distinct, samples, seed)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("space", "tokens", "genotypes", "published genotypes"):
        table.add_column(title, justify="right" if title in ("tokens", "genotypes") else "left")
    for name in spaces.SPACES:
        space = spaces.get(name)
        published = [p.name for p in spaces.PUBLISHED.values() if p.genotype.space == name]
        table.add_row(name, str(len(space.tokens)), f"{space.size:.3g}", ", ".join(published))
    tables.console().print(table)


def _print_estimate(space: spaces.SearchSpace, samples: int, seed: int) -> None:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("sampling", total=samples)
        count, error = spaces.distinct_networks(
            space,
            samples=samples,
            seed=seed,
            progress=lambda done: progress.update(task, completed=done),
        )
    click.echo(
        f"{space}: {space.size:.3g} genotypes, about {count:.2g} ± {error:.1g} distinct "
        f"networks, estimated from {samples} samples with seed {seed}"
    )
