"""``nas-tf finetune``: trains a trained network further, on another task or data set."""

from pathlib import Path

import click

from nas_tf.cli import options


@click.command("finetune")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--task", required=True, help="segmentation, depth, pose or detection.")
@options.CONFIG
@options.OVERRIDES
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the new run (default: RUN-TASK).",
)
def command(
    run: Path, task: str, config_name: str, overrides: tuple[str, ...], out: Path | None
) -> None:
    """Train the network of RUN, a folder that `nas-tf train` wrote, on another task.

    All weights are reused except those of the heads, whose number of outputs changes. The width
    and the encoder are those of the trained network, not those of the configuration.

    \b
    nas-tf finetune runs/camvid_auxcell-arch0 --task depth --config shapes_depth
    """
    from nas_tf.cli.train import run as train
    from nas_tf.jobs import finetuning

    config, genotype, start = finetuning.prepare(run, task, config_name, overrides)
    folder = out or run.with_name(f"{run.name}-{task}")
    train(config, genotype, folder, title=f"training {task}", start=start)
