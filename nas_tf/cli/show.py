"""``nas-tf show``: describes and draws a genotype or a trial, with its costs and shapes."""

import os
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_tf import networks, spaces
from nas_tf.cli import completion, options, tables
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.jobs import trials
from nas_tf.networks.by_position import by_position
from nas_tf.networks.encoders import Encoder
from nas_tf.report.formatting import milliseconds, score
from nas_tf.runs import Run, Stage, TrialRecord, filenames
from nas_tf.spaces import Published, SearchSpace


@click.command("show")
@click.argument("genotype", metavar="GENOTYPE|RUN", shell_complete=completion.genotypes)
@click.option("--trial", metavar="ID", help="Trial of RUN (default: the best).")
@options.SPACE
@options.WIDTH
@options.SEP_REPEATS
@options.ENCODER
@options.DECODER
@options.CLASSES
@options.INPUT
@click.option("--layers", is_flag=True, help="List every layer instead of every operation.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    default=Path(),
    help="Folder of the drawing (SVG, PNG and Graphviz files).",
)
@click.option("--no-drawing", is_flag=True, help="Print only, without a drawing.")
def command(
    genotype: str,
    trial: str | None,
    space: SearchSpace | None,
    width: int | None,
    sep_repeats: int | None,
    encoder: Encoder | None,
    decoder: str | None,
    classes: int | None,
    input_size: tuple[int, int] | None,
    layers: bool,
    out: Path,
    no_drawing: bool,
) -> None:
    """Describe and draw GENOTYPE, a published name or brackets, or a trial of RUN.

    \b
    nas-tf show arch0
    nas-tf show '[[[1,3],[4,3],[2,2]],[5,[0,0,4,1],[3,2,0,1],[5,6,5,0]]]' --input 360x480
    nas-tf show runs/camvid_auxcell-ppo --trial 17 --classes 11 --input 360x480
    """
    console = tables.console()
    given = options.given(width=width, sep_repeats=sep_repeats, encoder=encoder, decoder=decoder)
    if os.path.exists(Path(genotype) / filenames.RUN):
        run = options.open_run(Path(genotype))
        record = trials.find(run, trial)
        describe_trial(console, run, record)
        resolved, published = record.parsed, _published(record.parsed)
        blueprint = trials.blueprint_of(
            run, record, settings=given, outputs=classes, input_size=input_size
        )
        if resolved.space == spaces.DPCSpace.name:
            _print_branches(console, run, record)
    else:
        resolved = _genotype(genotype, trial, space)
        published = _published(resolved)
        reference = published or spaces.example(spaces.space_of(resolved))
        blueprint = networks.blueprint_of(
            resolved,
            reference.num_classes if classes is None else classes,
            input_size=input_size or reference.input_size,
            settings=networks.settings.published(resolved.space, **given),
        )
    name = published.name if published else f"{resolved.space}-{resolved.digest}"
    _print_description(console, name, resolved, published)
    _print_costs(console, blueprint, published)
    _print_layers(console, blueprint.live(), every=layers)
    if not no_drawing:
        from nas_tf.report import graph

        for path in graph.save(resolved, out / name, title=name):
            console.print(f"drawing: {path}", highlight=False, markup=False)


def _genotype(text: str, trial: str | None, space: SearchSpace | None) -> Genotype:
    """Returns the genotype of a published name or of brackets."""
    if trial is not None:
        raise ConfigError(f"--trial {trial} is given with {text!r}, expected the folder of a run")
    if "/" in text or os.path.exists(text):
        raise ConfigError(
            f"{text} holds no run ({filenames.RUN}), expected the folder of a run, a published "
            "name, or brackets"
        )
    return spaces.resolve(text, space)


def _published(genotype: Genotype) -> Published | None:
    return next((p for p in spaces.PUBLISHED.values() if p.genotype == genotype), None)


def _print_description(
    console: Console, name: str, genotype: Genotype, published: Published | None
) -> None:
    source = f" · {published.paper}" if published else ""
    console.print(f"[bold]{name}[/] · space {spaces.space_of(genotype)}{source}", highlight=False)
    text = spaces.space_of(genotype).spell(genotype)
    console.print(text, markup=False, highlight=False)
    console.print(spaces.describe(genotype), highlight=False)
    console.print()


def _print_costs(
    console: Console, blueprint: networks.Blueprint, published: Published | None
) -> None:
    cost, shipped = networks.cost(blueprint), networks.cost(blueprint.deployed())
    table = Table(box=None, pad_edge=False)
    for title in ("", "parameters", "multiply-adds"):
        table.add_column(title, justify="right" if title else "left")
    for label, params, madds in (
        ("encoder", cost.params_encoder, cost.madds_encoder),
        ("decoder", cost.params_decoder, cost.madds_decoder),
        ("network as published", cost.params, cost.madds),
        ("deployed (without unused layers)", shipped.params, shipped.madds),
        ("auxiliary heads (training only)", cost.params_aux, cost.madds_aux),
    ):
        table.add_row(label, f"{params:,}", f"{madds:,}")
    console.print(table)
    height, width = blueprint.input_size
    sides = shipped.receptive_field
    field = "the whole image" if sides is None else f"{sides[0]}x{sides[1]}"
    lines = [
        f"input {height}x{width}, output {cost.output[0]}x{cost.output[1]}, "
        f"output stride {cost.output_stride}, receptive field {field}, "
        f"peak activations {shipped.peak_activation_bytes / 2**20:.1f} MiB (float32, batch 1)",
        f"convention: {networks.CONVENTION}",
    ]
    if published and published.figures:
        figures = ", ".join(f"{key} {value}" for key, value in published.figures.items())
        lines.insert(0, f"the paper's figures: {figures}")
    console.print("\n".join(lines), highlight=False)
    console.print()


def _print_layers(console: Console, blueprint: networks.Blueprint, *, every: bool) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("layer" if every else "position", "output", "parameters", "multiply-adds"):
        table.add_column(title, justify="left" if title in ("layer", "position") else "right")
    for row in by_position(blueprint, every=every):
        height, width = row.size
        shape = f"{height}x{width}x{row.channels}"
        table.add_row(row.position, shape, f"{row.params:,}", f"{row.madds:,}")
    console.print(table)


def describe_trial(console: Console, run: Run, trial: TrialRecord) -> None:
    """Prints the outcome of a trial and the costs of its network."""
    ranked = [trial.trial for trial in run.best(len(run.trials))]
    known = trial.trial in ranked
    rank = f", rank {ranked.index(trial.trial) + 1} of {len(ranked)}" if known else ""
    console.print(f"[bold]trial {trial.trial}[/] of {escape(str(run.folder))}{rank}")
    console.print(_outcome(trial), markup=False)
    if trial.params:
        latency = f", {milliseconds(trial.latency_ms)}" if trial.latency_ms else ""
        console.print(
            f"deployed: {trial.params:,} parameters, {trial.madds:,} multiply-adds{latency}"
        )
    console.print(
        f"seed {trial.seed}, {trial.seconds:.0f} s on {trial.worker}, started {trial.started}",
        markup=False,
    )
    if trial.stages:
        console.print(_stages(trial.stages))
    console.print()


def _print_branches(console: Console, run: Run, trial: TrialRecord) -> None:
    """Prints what each branch of a cell reads, and its weight in the projection, if saved."""
    from nas_tf.report import branches

    found = branches.read(run, trial)
    if not found:
        return
    table = Table(box=None, pad_edge=False)
    for title in ("branch", "reads"):
        table.add_column(title)
    for title in ("channels", "field in features", "in pixels", "mean absolute weight"):
        table.add_column(title, justify="right")
    for branch in found:
        table.add_row(
            *(branch.name, branch.source, str(branch.channels)),
            *(branch.features, branch.pixels, f"{branch.weight:.5f}"),
        )
    console.print(table)
    console.print()


def _outcome(trial: TrialRecord) -> str:
    if trial.status == "failed":
        return f"failed: {trial.stopped}"
    stopped = ", stopped by the gate" if trial.stopped == "gate" else ""
    before = f" (score {score(trial.score)})" if trial.score != trial.reward else ""
    return f"reward {score(trial.reward)}{before}{stopped}"


def _stages(stages: tuple[Stage, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for number in range(1, len(stages) + 1):
        table.add_column(f"stage {number}", justify="right")
    rows = {
        "score": [score(stage.score) for stage in stages],
        **{
            name: [f"{stage.metrics.get(name, float('nan')):.4f}" for stage in stages]
            for name in stages[0].metrics
            if name != "reward"
        },
        "loss, first to last": [
            f"{stage.losses[0]:.3f} → {stage.losses[-1]:.3f}" if stage.losses else ""
            for stage in stages
        ],
        "steps": [str(stage.steps) for stage in stages],
        "seconds": [f"{sum(stage.seconds.values()):.0f}" for stage in stages],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table
