"""``nas-tf export-study``: writes the trials of a run to an Optuna study."""

from pathlib import Path

import click

from nas_tf.runs import Run


@click.command("export-study")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--storage", required=True, help="Optuna's storage URL of the study.")
@click.option("--name", help="Name of the study (default: the run's folder).")
def command(run: Path, storage: str, name: str | None) -> None:
    """Write a run's trials to an Optuna study, for Optuna's plots and dashboard.

    Trials that the gate stopped are marked as pruned. Later calls add the trials that have
    finished since. Needs pip install 'nas-tf[optuna]'.

    \b
    nas-tf export-study runs/camvid_auxcell-ppo --storage sqlite:///study.db
    optuna-dashboard sqlite:///study.db
    """
    from nas_tf import spaces
    from nas_tf.runs import optuna_study

    source = Run(run)
    space = spaces.get(source.info.space)
    names = [token.name for token in space.tokens]
    study = name or source.folder.resolve().name
    added = optuna_study.export(
        source,
        storage,
        study,
        {token.name: token.size for token in space.tokens},
        lambda trial: dict(zip(names, space.encode(trial.parsed), strict=True)),
    )
    click.echo(f"{added} of {len(source.trials)} trials added to study {study} in {storage}")
