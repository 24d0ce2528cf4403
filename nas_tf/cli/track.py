"""``nas-tf track``: copies a search's or a training's figures to a service, also while it runs."""

from pathlib import Path

import click


@click.command("track")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to",
    "to",
    required=True,
    type=click.Choice(["mlflow", "wandb"]),
    help="MLflow, or Weights & Biases.",
)
@click.option(
    "--project",
    default="nas_tf",
    show_default=True,
    help="Name of MLflow's experiment, or of the project.",
)
@click.option("--follow", is_flag=True, help="Go on until the search or the training is finished.")
def command(folder: Path, to: str, project: str, follow: bool) -> None:
    """Copy the figures of the search or the training in FOLDER to MLflow or Weights & Biases.

    Only what the service does not have yet is sent; the same command sends the rest. The address
    and the account are those of the service's own environment variables.

    \b
    nas-tf track runs/camvid_auxcell-ppo --to mlflow --follow
    WANDB_MODE=offline nas-tf track runs/arch0 --to wandb --project camvid
    """
    from nas_tf.jobs import tracking

    def show(sent: int) -> None:
        if follow:
            click.echo(f"step {sent}", err=True)

    count = tracking.track(folder, to, project=project, follow=follow, progress=show)
    click.echo(f"sent {count} steps of {folder} to {to}, project {project}")
