"""Displays of a notebook: drawings and tables as HTML, without scripts of their own."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from nas_tf import networks, notebook, spaces
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.runs import Run
from tests.runs.made import made


class Formatter(dict):
    """Has the two methods of IPython's formatter that the extension calls."""

    def for_type(self, kind: type, display: Callable[[Any], str]) -> None:
        self[kind] = display


def read(html: str) -> ElementTree.Element:
    """Parses HTML, whose pictures have no end in it."""
    closed = html.replace('100%">', '100%"/>')
    return ElementTree.fromstring(f"<div>{closed}</div>")


def cells(html: str) -> list[list[str]]:
    return [[cell.text or "" for cell in row] for row in read(html).iter("tr")]


def test_the_extension_displays_three_types_and_can_be_removed() -> None:
    formatter = Formatter()
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"text/html": formatter}))
    notebook.load_ipython_extension(shell)
    assert set(formatter) == {Genotype, Blueprint, Run}
    assert "<svg" not in formatter[Genotype](spaces.resolve("arch0")), "a picture, no markup"
    notebook.unload_ipython_extension(shell)
    assert not formatter


@pytest.mark.parametrize("name", spaces.PUBLISHED)
def test_every_published_genotype_is_drawn_and_described(name: str) -> None:
    tree = read(notebook.genotype_html(spaces.resolve(name)))
    (picture,) = tree.iter("img")
    assert picture.attrib["src"].startswith("data:image/svg+xml;base64,")
    (code,) = tree.iter("code")
    assert code.text == str(spaces.resolve(name))
    assert list(tree.iter("li"))


def test_the_costs_of_a_blueprint_are_those_that_are_counted() -> None:
    blueprint = networks.blueprint_of("arch0", 21, input_size=(512, 512))
    html, total = notebook.blueprint_html(blueprint), networks.cost(blueprint.deployed())
    assert f"{total.params:,} parameters" in html
    head, *rows = cells(html)
    assert head == ["part", "parameters", "multiply-adds"]
    params = {part: int(count.replace(",", "")) for part, count, _ in rows}
    assert params["encoder"] + params["decoder"] == total.params
    assert params["aux"] > 0


def test_a_run_has_its_best_trials(tmp_path: Path) -> None:
    made(tmp_path / "search", trials=8)
    run = Run(tmp_path / "search")
    html = notebook.run_html(run)
    rows = cells(html)
    assert [row[-2] for row in rows[1:]] == [trial.trial for trial in run.best(5)]
    assert len(list(read(html).iter("img"))) == 2
    made(tmp_path / "empty", trials=0)
    assert not list(read(notebook.run_html(Run(tmp_path / "empty"))).iter("img"))


def test_texts_are_escaped(tmp_path: Path) -> None:
    made(tmp_path / "search", trials=3)
    path = tmp_path / "search" / "run.json"
    path.write_text(path.read_text().replace('"shapes"', '"folder:<b>&"'))
    assert "folder:&lt;b&gt;&amp;" in notebook.run_html(Run(tmp_path / "search"))
