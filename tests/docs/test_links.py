"""Every link between the pages leads somewhere, and the site has every page."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.test_house import EVERYWHERE, MAY_IMPORT

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)")


def prose(page: Path) -> str:
    """The text of a page without code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What headings are called in links."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\]\(.*?\)", "", heading).lower())
        found.add(plain.strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_pages_link_to_what_the_site_has() -> None:
    """A page within docs that links out of it would be a dead end on the site."""
    for page in DOCS.rglob("*.md"):
        for link in LINK.findall(prose(page)):
            if not re.match(r"[a-z]+:|#", link):
                assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(DOCS), link


def leaves(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    inner = nav.values() if isinstance(nav, dict) else nav
    return [leaf for item in inner for leaf in leaves(item)]  # type: ignore[attr-defined]


def test_the_site_has_every_page() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert sorted(leaves(settings["nav"])) == sorted(pages)


def test_the_reference_is_of_modules_that_are_there() -> None:
    named = [
        name
        for page in (DOCS / "api").glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(named) > 40
    for name in named:
        path = ROOT / name.replace(".", "/")
        parent = path.parent.with_suffix(".py")
        assert path.is_dir() or path.with_suffix(".py").exists() or parent.exists(), name


def test_the_import_map_is_that_of_the_house() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:\*\*)?`(\w+)`(?:\*\*)? \| .+ \| (.+) \|$", page, re.MULTILINE)
    listed = {room: set(re.findall(r"`(\w+)`", imports)) for room, imports in rows}
    assert listed == {room: set(of) for room, of in MAY_IMPORT.items() if room not in EVERYWHERE}
