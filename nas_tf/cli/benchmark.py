"""``nas-tf benchmark``: measures the latency of TFLite models on this machine."""

from pathlib import Path
from statistics import median

import click
from rich.table import Table

from nas_tf.cli import tables, timing
from nas_tf.errors import ConfigError


@click.command("benchmark")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--threads", default="1,2", show_default=True, help="Numbers of threads, separated by commas."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Number of rounds."
)
def command(models: tuple[Path, ...], threads: str, rounds: int) -> None:
    """Measure the latency of TFLite MODELS on this machine, in turns.

    Prints the median and the range of the rounds' medians, in TensorFlow's interpreter and, if
    nas-tf[litert] is installed, in LiteRT, which newer phones use.

    \b
    nas-tf benchmark exports/arch0/*.tflite
    nas-tf benchmark first.tflite second.tflite --threads 4 --rounds 5
    """
    thread_counts = _thread_counts(threads)
    contents = {path: _read(path) for path in models}
    from nas_tf import quiet

    quiet.load("tensorflow")
    from serving import lite_metadata, lite_runner, measure

    for path, content in contents.items():
        lite_metadata.check(path, content)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("model", "bytes", "runtime", "threads", "median ms", "range"):
        table.add_column(name, justify="left" if name in ("model", "runtime") else "right")
    with timing.warn_if_busy():
        rows = list(measure.time_in_turns(contents, lite_runner.runtimes(), thread_counts, rounds))
    for row in rows:
        times = sorted(row.medians)
        table.add_row(
            row.name,
            f"{row.size:,}",
            row.runtime,
            str(row.threads),
            f"{median(times):.2f}",
            f"{times[0]:.2f}–{times[-1]:.2f}",
        )
    tables.console().print(table)


def _thread_counts(text: str) -> list[int]:
    try:
        counts = [int(number) for number in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ConfigError(f"--threads is {text!r}, expected numbers such as 1 or 1,2")
    return counts


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise ConfigError(f"{path} is not a file, expected a TFLite model")
    return path.read_bytes()
