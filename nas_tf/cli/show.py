"""``nas-tf show``: one genotype, or a trial, in words, numbers, shapes and a drawing."""

import os
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from nas_tf import networks, spaces
from nas_tf.cli import options, show_trial, tables
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks.places import by_place
from nas_tf.runs import layout
from nas_tf.spaces import Published


@click.command("show")
@click.argument("genotype", metavar="GENOTYPE|RUN")
@click.option("--trial", metavar="ID", help="Which trial of RUN; the best if not given.")
@options.SPACE
@options.WIDTH
@options.SEP_REPEATS
@options.CLASSES
@options.INPUT
@click.option("--layers", is_flag=True, help="List every layer instead of every operation.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    default=Path(),
    help="Folder for the drawing (SVG, PNG and Graphviz text).",
)
@click.option("--no-drawing", is_flag=True, help="Print only.")
def command(
    genotype: str,
    trial: str | None,
    space: str | None,
    width: int | None,
    sep_repeats: int | None,
    classes: int | None,
    input_size: tuple[int, int] | None,
    layers: bool,
    out: Path,
    no_drawing: bool,
) -> None:
    """Describe, cost and draw GENOTYPE (a published name, or brackets), or a trial of RUN.

    \b
    nas-tf show arch0
    nas-tf show '[[[1,3],[4,3],[2,2]],[5,[0,0,4,1],[3,2,0,1],[5,6,5,0]]]' --input 360x480
    nas-tf show runs/camvid_auxcell-ppo --trial 17 --classes 11 --input 360x480
    """
    console = tables.console()
    given = options.given(width=width, sep_repeats=sep_repeats)
    if os.path.exists(Path(genotype) / layout.RUN):
        run = options.opened(Path(genotype))
        record = show_trial.find(run, trial)
        show_trial.describe(console, run, record)
        found, published = record.parsed, _published(record.parsed)
        blueprint = show_trial.draw(run, record, given, classes, input_size)
    else:
        found = _genotype(genotype, trial, space)
        published = _published(found)
        like = published or show_trial.first_published(found.space)
        blueprint = networks.draw(
            found,
            like.num_classes if classes is None else classes,
            input_size=input_size or like.input_size,
            settings=networks.settings.published(found.space, **given),
        )
    name = published.name if published else f"{found.space}-{found.digest}"
    _print_words(console, name, found, published)
    _print_costs(console, blueprint, published)
    _print_layers(console, blueprint.live(), every=layers)
    if not no_drawing:
        from nas_tf.report import graph

        for path in graph.save(found, out / name, title=name):
            console.print(f"drawing: {path}", highlight=False, markup=False)


def _genotype(text: str, trial: str | None, space: str | None) -> Genotype:
    """The one that is written."""
    if trial is not None:
        raise ConfigError(f"--trial {trial} needs the folder of a run, not {text!r}")
    if "/" in text or os.path.exists(text):
        raise ConfigError(
            f"{text} holds no run ({layout.RUN}), expected the folder of one, a published "
            "name, or brackets"
        )
    return spaces.resolve(text, space)


def _published(genotype: Genotype) -> Published | None:
    return next((p for p in spaces.PUBLISHED.values() if p.genotype == genotype), None)


def _print_words(
    console: Console, name: str, genotype: Genotype, published: Published | None
) -> None:
    source = f" · {published.paper}" if published else ""
    console.print(f"[bold]{name}[/] · space {genotype.space}{source}", highlight=False)
    text = spaces.get(genotype.space).spell(genotype)
    console.print(text, markup=False, highlight=False)
    console.print(spaces.describe(genotype), highlight=False)
    console.print()


def _print_costs(
    console: Console, blueprint: networks.Blueprint, published: Published | None
) -> None:
    whole, shipped = networks.cost(blueprint), networks.cost(blueprint.deployed())
    table = Table(box=None, pad_edge=False)
    for title in ("", "parameters", "multiply-adds"):
        table.add_column(title, justify="right" if title else "left")
    for label, params, madds in (
        ("encoder", whole.params_encoder, whole.madds_encoder),
        ("decoder", whole.params_decoder, whole.madds_decoder),
        ("network as published", whole.params, whole.madds),
        ("deployed (nothing dead)", shipped.params, shipped.madds),
        ("auxiliaries (training only)", whole.params_aux, whole.madds_aux),
    ):
        table.add_row(label, f"{params:,}", f"{madds:,}")
    console.print(table)
    height, width = blueprint.input_size
    seen = shipped.receptive_field
    field = "the whole image" if seen is None else f"{seen[0]}x{seen[1]}"
    lines = [
        f"input {height}x{width}, output {whole.output[0]}x{whole.output[1]}, "
        f"output stride {whole.output_stride}, receptive field {field}, "
        f"peak activations {shipped.peak_activation_bytes / 2**20:.1f} MiB (float32, batch 1)",
        f"convention: {networks.CONVENTION}",
    ]
    if published:
        figures = ", ".join(f"{key} {value}" for key, value in published.figures.items())
        lines.insert(0, f"the paper's figures: {figures}")
    console.print("\n".join(lines), highlight=False)
    console.print()


def _print_layers(console: Console, blueprint: networks.Blueprint, *, every: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("layer" if every else "place", "output", "parameters", "multiply-adds"):
        table.add_column(title, justify="left" if title in ("layer", "place") else "right")
    for row in by_place(blueprint, every=every):
        height, width = row.size
        shape = f"{height}x{width}x{row.channels}"
        table.add_row(row.place, shape, f"{row.params:,}", f"{row.madds:,}")
    console.print(table)
