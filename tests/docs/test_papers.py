"""The page of the papers: its commands are accepted, and its rows are complete."""

import re
import shlex
from pathlib import Path

import click
import pytest

from nas_tf.data.registry import DATASETS
from nas_tf.errors import NasTfError
from tests.docs.paper_commands import PAGE, Checker, Command, Section, sections

TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = sections(TEXT)
STATES = ("run", "in part", "not run", "not offered")
STATE = re.compile(r"\*\*([\w ]+)\*\*")
LINK = re.compile(r"\]\((?:results|how-to)/[\w-]+\.md|\]\(concepts\.md")
of_papers = pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)


def state(row: dict[str, str]) -> str:
    found = STATE.match(row["state"])
    return found[1] if found else ""


@pytest.fixture
def checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checker:
    """Checks commands in a folder that has the file which the page mentions."""
    monkeypatch.chdir(tmp_path)
    Path("cells.txt").touch()
    return Checker()


def test_the_five_papers_have_their_sections() -> None:
    assert len(SECTIONS) == 5
    assert sum(len(section.rows) for section in SECTIONS) > 40
    explained = re.findall(r"^\| \*\*([\w ]+)\*\* \|", TEXT, re.MULTILINE)
    assert tuple(explained) == STATES


@of_papers
def test_every_row_has_a_state_and_its_evidence(section: Section) -> None:
    for row in section.rows:
        assert state(row) in STATES, row
        if state(row) in ("run", "in part"):
            assert LINK.search(row["state"]), row
        elif state(row) == "not run":
            assert row["state"].startswith("**not run**: "), row


@of_papers
def test_every_row_has_its_commands(section: Section) -> None:
    names = [row["paper"] for row in section.rows]
    with_commands = {row["paper"] for row in section.rows if state(row) != "not offered"}
    assert len({*names}) == len(names)
    assert {command.row for command in section.commands} == with_commands


@of_papers
def test_data_sets_are_known(section: Section) -> None:
    for row in section.rows:
        assert row["data"] == "none" or row["data"] in DATASETS, row


@of_papers
def test_every_command_is_accepted(section: Section, checker: Checker) -> None:
    assert len(section.commands) == block(section).count("nas-tf ")
    for command in section.commands:
        try:
            checker.check(command)
        except Exception as error:
            raise AssertionError(f"{command.row}: {' '.join(command.words)}") from error


def block(section: Section) -> str:
    """The commands of a section as the page has them."""
    (found,) = re.findall(
        rf"## {re.escape(section.title)}\n.*?```console\n(.*?)```", TEXT, re.DOTALL
    )
    return found


@pytest.mark.parametrize(
    "words",
    [
        "serch voc_auxcell",
        "score runs/pyramids",
        "search voc_auxcel",
        "search voc_auxcell --oracl random",
        "search voc_auxcell gate.polcy=open",
        "search voc_auxcell stage_one.epochs=0",
        "search voc_auxcell --oracle policy",
        "train arch9 --config voc_auxcell",
        "train wacv-arch0 --config voc_auxcell",
        "train arch0 --config voc_auxcell 'data.view.crop=[8,8]'",
        "study voc_auxcell --try stage_one.epoch=1",
        "benchmark arch0 arch7 --sizes 64x64",
        "benchmark arch0 --sizes 64",
        "show arch7",
        "evaluate runs/nowhere",
        "finetune runs/nowhere --task depth --config nyu_depth",
        "compare runs/nowhere runs/elsewhere",
        "data prepar camvid",
    ],
)
def test_a_command_that_is_not_accepted_is_found(words: str, checker: Checker) -> None:
    with pytest.raises((NasTfError, click.UsageError, AssertionError)):
        checker.check(Command("", ("nas-tf", *shlex.split(words))))
