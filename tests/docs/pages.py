"""Reads figures from their places: a cell of a page's table, a line of its text, a CSV file."""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from scipy.stats import mannwhitneyu

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\d)")
UNITS = {" M": 1e6, " B": 1e9}
LAST = 20
"""The number of last trials whose mean a page states for a search."""


class Below(NamedTuple):
    """A bound below which all of some values must be."""

    values: Sequence[float]


def numbers(text: str) -> list[tuple[str, str]]:
    """Numbers, each with the two characters behind it."""
    return [
        (item[0].replace(",", ""), text[item.end() : item.end() + 2])
        for item in NUMBER.finditer(text)
    ]


def says(number: str, behind: str, value: float) -> bool:
    """Whether a written number is a value, rounded to the places it is written with."""
    unit = UNITS.get(behind, 1) if value >= 1e5 else 1
    least = 0.5 * 10.0 ** Decimal(number).as_tuple().exponent
    return abs(value / unit - float(number)) <= least * (1 + 1e-9)


def rows(page: str, heading: str = "") -> Iterator[dict[str, str]]:
    """Rows of a page's tables by their columns' names; of those below a heading where given."""
    text = (RESULTS / page).read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n{heading}\n")[1].split("\n## ")[0]
    for block in re.findall(r"(?:^\|.*\n)+", f"{text}\n", re.M):
        cells = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()
        ]
        for row in cells[2:]:
            yield dict(zip(cells[0], row, strict=True))


def cell(page: str, row: str, column: str, nth: int = 0, heading: str = "") -> float:
    """The nth number in the cell of the one row that begins so and has such a column."""
    (found,) = (
        item[column]
        for item in rows(page, heading)
        if next(iter(item.values())) == row and column in item
    )
    return float(numbers(found)[nth][0])


def ranked(setting: str, page: str = "camvid_dpc_parts.md") -> list[float]:
    """How a setting of a study ranks genotypes, by default the parts of ASPP."""
    place = (page, setting)
    return [cell(*place, "ρ"), 95, cell(*place, "95 %"), cell(*place, "95 %", 1)]


def deployed(network: str, column_name: str, nth: int = 1) -> float:
    """A time on the page of exports, as a ratio to DeepLab's."""
    return cell("deploy.md", network, column_name, nth)


def spread(networks: Sequence[str], *columns: str) -> list[float]:
    """The least and the largest ratio of networks in some columns."""
    ratios = [deployed(*pair) for pair in itertools.product(networks, columns)]
    return [min(ratios), max(ratios)]


def in_8_bits(*networks: str) -> list[float]:
    """Networks' times in 8 bits by their float times, on one thread and on two."""
    row = r"\n\| {} \| {} \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|"
    pairs = itertools.product(networks, (1, 2))
    return [text("int8_operations.md", row.format(*pair))[0] for pair in pairs]


def operations_in_8_bits(network: str, kinds: Iterable[str]) -> list[float]:
    """The same of a network's operations."""
    place = "int8 / fp32", 0, f"## {network}"
    return [cell("int8_operations.md", kind, *place) for kind in kinds]


def text(page: str, pattern: str) -> list[float]:
    """The numbers that a pattern's groups find at its one place in a page."""
    (found,) = re.finditer(pattern, (RESULTS / page).read_text(encoding="utf-8"))
    return [float(group.replace(",", "")) for group in found.groups()]


def table(name: str) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with (RESULTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def column(name: str, key: str, **where: str) -> list[float]:
    """A column of a CSV file, of the rows that hold such values."""
    return [
        float(row[key])
        for row in table(name)
        if all(row[item] == value for item, value in where.items())
    ]


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    values = list(values)
    return sum(values) / len(values)


def rewards(oracle: str) -> list[float]:
    """Returns the rewards of the trials of a CamVid search, in order."""
    return column(f"camvid_search/camvid_{oracle}/trials.csv", "reward")


def p_of(oracle: str, last: int = 0) -> float:
    """Mann–Whitney's p of the last trials of a search against all of uniform random's."""
    return float(mannwhitneyu(rewards(oracle)[-last:], rewards("random")).pvalue)


def wrong(written: Sequence[tuple[str, str]], values: Sequence[float | Below]) -> list[str]:
    """Returns the numbers that are not those of their places."""
    assert len(written) == len(values), f"{[item for item, _ in written]} for {values}"
    return [
        number
        for (number, behind), value in zip(written, values, strict=True)
        if not (
            max(value.values) < float(number)
            if isinstance(value, Below)
            else says(number, behind, value)
        )
    ]
