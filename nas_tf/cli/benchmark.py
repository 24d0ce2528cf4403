"""``nas-tf benchmark``: measures latency on this machine, of models or by size of the input."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import click
from rich.table import Table

from nas_tf.cli import options, tables, timing
from nas_tf.errors import ConfigError


@click.command("benchmark")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--threads", default="1,2", show_default=True, help="Numbers of threads, separated by commas."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Number of rounds."
)
@click.option(
    "--sizes",
    metavar="HxW,...",
    help="Sizes of the input; MODELS then are genotypes, built with random weights.",
)
@click.option(
    "--classes",
    type=click.IntRange(1),
    default=21,
    show_default=True,
    help="Number of classes, with --sizes.",
)
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    default="benchmark",
    show_default=True,
    help="Folder of the table and the figure, with --sizes.",
)
def command(
    models: tuple[str, ...], threads: str, rounds: int, sizes: str | None, classes: int, out: Path
) -> None:
    """Measure the latency of TFLite MODELS on this machine, in turns.

    Prints the median and the range of the rounds' medians, in TensorFlow's interpreter and, if
    nas-tf[litert] is installed, in LiteRT, which newer phones use. With --sizes, MODELS are
    published names or genotypes, and a figure shows their run time against the size of the input.

    \b
    nas-tf benchmark exports/arch0/*.tflite
    nas-tf benchmark first.tflite second.tflite --threads 4 --rounds 5
    nas-tf benchmark arch0 arch1 wacv-arch0 --sizes 256x256,512x512,1024x1024
    """
    thread_counts = _thread_counts(threads)
    if sizes is not None:
        _by_size(models, _sizes(sizes), classes, thread_counts, rounds, out)
        return
    contents = {Path(model): _read(Path(model)) for model in models}
    from nas_tf import quiet

    quiet.load("tensorflow")
    from serving import lite_metadata, lite_runner, measure

    for path, content in contents.items():
        lite_metadata.check(path, content)
    with timing.warn_if_busy():
        rows = list(measure.time_in_turns(contents, lite_runner.runtimes(), thread_counts, rounds))
    _print(
        ("model", "bytes", "runtime", "threads"),
        ((row.name, f"{row.size:,}", row.runtime, str(row.threads), row.medians) for row in rows),
    )


def _by_size(
    names: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    classes: int,
    threads: Sequence[int],
    rounds: int,
    out: Path,
) -> None:
    """Times networks at several sizes, and writes a table and a figure."""
    from nas_tf import spaces

    genotypes = {name: spaces.resolve(name) for name in names}
    from nas_tf.jobs import latencies
    from nas_tf.report import document, times_by_size

    with timing.warn_if_busy():
        times = list(
            latencies.by_size(genotypes, sizes, classes=classes, threads=threads, rounds=rounds)
        )
    rows = []
    for item in times:
        size = f"{item.size[0]}x{item.size[1]}"
        rows.append((item.network, size, item.runtime, str(item.threads), item.medians))
    _print(("network", "size", "runtime", "threads"), rows)
    out.mkdir(parents=True, exist_ok=True)
    times_by_size.write_table(times, out / "sizes.csv")
    document.save_figure(times_by_size.figure(times), out / "sizes")
    for name in ("sizes.svg", "sizes.csv"):
        tables.console().print(f"{out / name}", highlight=False, markup=False, soft_wrap=True)


def _print(columns: Sequence[str], rows: Iterable[tuple]) -> None:
    """Prints a table of rows whose last entry are the milliseconds of each round."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in (*columns, "median ms", "range"):
        is_text = name in ("model", "network", "runtime")
        table.add_column(name, justify="left" if is_text else "right")
    for *cells, medians in rows:
        low, high = min(medians), max(medians)
        table.add_row(*cells, f"{median(medians):.2f}", f"{low:.2f}–{high:.2f}")
    tables.console().print(table)


def _sizes(text: str) -> list[tuple[int, int]]:
    return [options.SizeType().convert(size, None, None) for size in text.split(",")]


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
