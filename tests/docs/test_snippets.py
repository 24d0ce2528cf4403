"""The Python of the pages: it parses, and every name in it is defined."""

import builtins
import re
import symtable
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
YOURS = {
    *("build_model", "x", "y", "x_val", "y_val"),
    *("images", "labels", "logits", "stream", "frames"),
}
"""What a reader has: a HyperModel and data."""
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if BLOCK.search(page.read_text(encoding="utf-8"))
]


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for inner in table.get_children():
        yield from scopes(inner)


def unknown(code: str) -> set[str]:
    """Names that are used and nowhere made."""
    module = symtable.symtable(code, "page", "exec")
    made = {symbol.get_name() for symbol in module.get_symbols() if symbol.is_assigned()}
    made |= {symbol.get_name() for symbol in module.get_symbols() if symbol.is_imported()}
    used = {
        symbol.get_name()
        for scope in scopes(module)
        for symbol in scope.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or scope is module)
    }
    return used - made - set(dir(builtins)) - YOURS - {"__file__", "__name__"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_name_is_unknown(page: Path) -> None:
    assert unknown("".join(BLOCK.findall(page.read_text(encoding="utf-8")))) == set()


def test_a_name_that_nothing_made_is_found() -> None:
    assert unknown(
        "def f(a):\n    return a + task\n\nprint([item for item in f(3)], model)\n"
    ) == {
        "task",
        "model",
    }
