"""``nas-tf quickstart``: a complete search on synthetic scenes, in minutes."""

from pathlib import Path

import click
from msgspec import structs

from nas_tf import spaces
from nas_tf.cli import options
from nas_tf.cli.search import conduct
from nas_tf.cli.train import run as train
from nas_tf.config import Config, load
from nas_tf.config.quickstarts import QUICKSTARTS
from nas_tf.runs import filenames

TEACHER = "arch0"


@click.command("quickstart")
@options.OVERRIDES
@click.option(
    "--task",
    type=click.Choice(list(QUICKSTARTS)),
    default=next(iter(QUICKSTARTS)),
    show_default=True,
    help="Task of the networks; detection finds boxes, restoration removes noise.",
)
@click.option("--workers", type=click.IntRange(1), default=1, help="Number of worker processes.")
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the run (default: runs/quickstart, or runs/quickstart-TASK); a teacher of "
    "segmentation is saved next to it, as NAME-teacher.",
)
def command(overrides: tuple[str, ...], task: str, workers: int, out: Path | None) -> None:
    """Train a small teacher, search with it, and write a report, in minutes on two cores.

    Needs no files and no network: scenes are rendered, and the encoder is part of the package. The
    oracle is near-best, which learns from the first result on; restoration is searched by
    gradient, with a super-net instead of an encoder. After an interruption, the same command
    resumes.

    \b
    nas-tf quickstart
    nas-tf quickstart --task detection
    nas-tf quickstart --task restoration
    nas-tf quickstart search.trials=40 --out runs/longer
    """
    name, settings = QUICKSTARTS[task], list(overrides)
    is_usual = task == next(iter(QUICKSTARTS))
    folder = out or Path("runs") / ("quickstart" if is_usual else f"quickstart-{task}")
    config = load(name, settings)
    if config.stage_one.distillation:
        settings.append(f"teacher={_teacher(config, folder)}")
    conduct(name, settings, folder, workers=workers, resume=(folder / filenames.RUN).exists())


def _teacher(config: Config, folder: Path) -> Path:
    """Returns the file of the run's teacher, which is trained if there is none yet."""
    teacher = folder.with_name(f"{folder.name}-teacher")
    if not (teacher / filenames.RESULT).exists():
        genotype = spaces.resolve(TEACHER)  # of the usual size, whatever size is searched
        config = structs.replace(config, space=spaces.space_of(genotype).section())
        train(config, genotype, teacher, title="training the teacher")
    return teacher / "last.keras"
