"""What README and the index of results claim is what the pages they name say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\d)")
LINK = re.compile(r"\]\(([\w/]+\.md)\)")
NAMES = re.compile(
    r"`[^`]*`|\b[\w-]*arch\d\b|\bint8\b|\bDeepLabV3\S*|\bTensorFlow 2\.15|\bTables 2 and 3"
)
UNITS = {" M": (1, 1e6), " B": (1, 1e9)}


def rows(path: Path) -> list[tuple[str, list[Path]]]:
    """Rows of tables that name a page of results, each with the pages."""
    found = []
    for line in path.read_text().splitlines():
        pages = [path.parent / one for one in LINK.findall(line)]
        pages = [one for one in pages if one.parent.name == "results"]
        if line.startswith("| ") and pages:
            found.append((line, pages))
    return found


def numbers(text: str) -> list[tuple[str, str]]:
    """Numbers, each with the two characters behind it."""
    return [
        (one[0].replace(",", ""), text[one.end() : one.end() + 2]) for one in NUMBER.finditer(text)
    ]


def said(number: str, behind: str, told: list[float]) -> bool:
    """Whether a page has the number: as it is, with more digits, or not in millions as here."""
    places = len(number.partition(".")[2])
    least = 0.5 * 10**-places + 1e-9
    units = UNITS.get(behind, (1,))
    return any(abs(one / unit - float(number)) <= least for one in told for unit in units)


ROWS = [
    pytest.param(line, pages, id=f"{path.name}:{line[2:50]}")
    for path in (ROOT / "README.md", ROOT / "docs/results/index.md")
    for line, pages in rows(path)
]


@pytest.mark.parametrize(("line", "pages"), ROWS)
def test_a_row_says_what_its_page_says(line: str, pages: list[Path]) -> None:
    told = [float(one) for page in pages for one, _ in numbers(page.read_text())]
    claimed = numbers(NAMES.sub("", LINK.sub("]", line)))
    assert [one for one in claimed if not said(*one, told)] == []


def test_rows_are_found_and_a_figure_of_no_page_is_told() -> None:
    assert len(ROWS) > 12
    assert said("0.701", " (", [0.7006])
    assert said("2.6", " M", [2620875.0])
    assert not said("0.702", " (", [0.7006])
    assert not said("2.7", " M", [2620875.0])
    assert not said("2.6", " B", [2620875.0])
