"""``nas-tf quickstart``: a whole search in minutes, on scenes drawn here."""

from pathlib import Path

import click

from nas_tf import spaces
from nas_tf.cli import options
from nas_tf.cli.search import conduct
from nas_tf.config import Config, load
from nas_tf.runs import files

CONFIG, TEACHER = "quickstart", "arch0"


@click.command("quickstart")
@options.OVERRIDES
@click.option("--workers", type=click.IntRange(1), default=1, help="Number of worker processes.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    default=Path("runs/quickstart"),
    show_default=True,
    help="Folder of the run; the teacher is saved next to it as NAME-teacher.",
)
def command(overrides: tuple[str, ...], workers: int, out: Path) -> None:
    """Train a small teacher, search with it, and write a report: minutes on two cores.

    Needs no files and no network: scenes are drawn, and the encoder comes with the package. The
    oracle is near-best, which learns from the first result on. After an interruption the same
    command resumes.

    \b
    nas-tf quickstart
    nas-tf quickstart search.trials=40 --out runs/longer
    """
    teacher = out.with_name(f"{out.name}-teacher")
    every = list(overrides)
    if not (teacher / "result.json").exists():
        _teach(load(CONFIG, every), teacher)
    every.append(f"teacher={teacher / 'last.keras'}")
    conduct(CONFIG, every, out, workers=workers, resume=(out / files.RUN).exists())


def _teach(experiment: Config, folder: Path) -> None:
    from nas_tf import quiet

    quiet.load("tensorflow")
    from nas_tf.cli.train import run

    run(experiment, spaces.resolve(TEACHER), folder, title="training the teacher")
