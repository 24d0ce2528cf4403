"""The pages on extending and on Python run as they stand, and print what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prepared import with_shapes

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "extend").glob("*.md"))
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = ROOT / "docs" / "how-to" / "python.md"
PROGRAMS = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]


def test_every_page_of_the_table_is_there_and_runs() -> None:
    index = (ROOT / "docs" / "extend" / "index.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\]\((\w+\.md)\) \|$", index, re.MULTILINE))
    assert named == {page.name for page in PROGRAMS}
    assert len(named) == 6


@pytest.mark.quick(7)
@pytest.mark.parametrize("page", [*PROGRAMS, PYTHON], ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    program = tmp_path / f"{page.stem}_page.py"
    program.write_text("\n".join(text for kind, text in blocks if kind == "python"), "utf-8")
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NAS_TF_CACHE": str(with_shapes(tmp_path / "cache")),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(text for kind, text in blocks if kind == "text")


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.stem)
def test_the_places_that_a_page_names_are_there(page: Path) -> None:
    """But for the file that is to be added, whose name is that of the page's example."""
    text = page.read_text(encoding="utf-8")
    example = re.search(r"\*\*(\w+)\*\*", text)
    assert example is not None
    table = re.findall(r"^\| (.+?) \| .* \|$", text, re.MULTILINE)
    for cell in table:
        for name in re.findall(r"`([\w/]+\.(?:py|md))`", cell):
            if example[1] not in name:
                assert (ROOT / name).exists(), name
        if found := re.fullmatch(r"`(\w+)` in `([\w/.]+)`", cell.split(", `")[-1]):
            assert found[1] in (ROOT / found[2]).read_text(encoding="utf-8"), cell
