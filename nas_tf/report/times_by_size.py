"""Reports the run time of networks against the size of their input: rows, a table, a figure."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from matplotlib.figure import Figure

from nas_tf.report.document import CYCLE, paper, sheet

COLUMNS = ("network", "height", "width", "runtime", "threads", "median_ms", "least_ms", "most_ms")


class TimeBySize(NamedTuple):
    """The milliseconds of a network at a size of its input: the median of each round."""

    network: str
    size: tuple[int, int]
    runtime: str
    threads: int
    medians: tuple[float, ...]

    @property
    def milliseconds(self) -> float:
        """The median of all rounds."""
        return median(self.medians)


def rows(times: Sequence[TimeBySize]) -> Iterator[dict[str, object]]:
    """Yields a row for each network, size, runtime and number of threads."""
    for item in times:
        values = (item.milliseconds, min(item.medians), max(item.medians))
        figures = (item.network, *item.size, item.runtime, item.threads, *values)
        rounded = (round(value, 3) if isinstance(value, float) else value for value in figures)
        yield dict(zip(COLUMNS, rounded, strict=True))


def write_table(times: Sequence[TimeBySize], path: Path) -> None:
    """Writes the rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows(times))


def figure(times: Sequence[TimeBySize]) -> Figure:
    """Draws milliseconds against pixels, with a panel for each runtime and number of threads."""
    panels = list(dict.fromkeys((item.runtime, item.threads) for item in times))
    names = list(dict.fromkeys(item.network for item in times))
    sizes = sorted({item.size for item in times}, key=lambda size: size[0] * size[1])
    with paper():
        drawing, every = sheet(1, len(panels), size=(1.0 + 3.6 * len(panels), 3.6), share=True)
        for axes, panel in zip(every, panels, strict=True):
            for number, name in enumerate(names):
                own = [item for item in times if (item.runtime, item.threads) == panel]
                points = sorted(
                    (item.size[0] * item.size[1], item.milliseconds)
                    for item in own
                    if item.network == name
                )
                places, values = zip(*points, strict=True) if points else ((), ())
                colour = CYCLE[number % len(CYCLE)]
                axes.plot(places, values, "o-", color=colour, label=name, ms=4)
            runtime, threads = panel
            axes.set(xscale="log", yscale="log", xlabel="size of the input")
            axes.set_title(f"{runtime}, {threads} thread{'s' * (threads > 1)}", fontsize=9)
            labels = {height * width: f"{height}x{width}" for height, width in sizes}
            axes.set_xticks(list(labels), list(labels.values()))
            axes.minorticks_off()
            axes.tick_params(axis="x", rotation=45, labelsize=8)
        every[0].set_ylabel("milliseconds")
        every[-1].legend(fontsize=8)
        return drawing
