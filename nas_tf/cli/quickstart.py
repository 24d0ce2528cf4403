"""``nas-tf quickstart``: a complete search on synthetic scenes, in minutes."""

from pathlib import Path

import click
from msgspec import structs

from nas_tf import spaces
from nas_tf.cli import options
from nas_tf.cli.search import conduct
from nas_tf.cli.train import run as train
from nas_tf.config import load
from nas_tf.runs import filenames

CONFIG, TEACHER = "quickstart", "arch0"


@click.command("quickstart")
@options.OVERRIDES
@click.option("--workers", type=click.IntRange(1), default=1, help="Number of worker processes.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    default=Path("runs/quickstart"),
    show_default=True,
    help="Folder of the run; the teacher is saved next to it, as NAME-teacher.",
)
def command(overrides: tuple[str, ...], workers: int, out: Path) -> None:
    """Train a small teacher, search with it, and write a report, in minutes on two cores.

    Needs no files and no network: scenes are rendered, and the encoder is part of the package. The
    oracle is near-best, which learns from the first result on. After an interruption, the same
    command resumes.

    \b
    nas-tf quickstart
    nas-tf quickstart search.trials=40 --out runs/longer
    """
    teacher = out.with_name(f"{out.name}-teacher")
    settings = list(overrides)
    if not (teacher / "result.json").exists():
        genotype = spaces.resolve(TEACHER)  # of the usual size, whatever size is searched
        space = spaces.space_of(genotype).section()
        config = structs.replace(load(CONFIG, settings), space=space)
        train(config, genotype, teacher, title="training the teacher")
    settings.append(f"teacher={teacher / 'last.keras'}")
    conduct(CONFIG, settings, out, workers=workers, resume=(out / filenames.RUN).exists())
