"""The key ``space``: a name, or a section with the arguments of the space."""

from pathlib import Path

import pytest

from nas_tf import config, spaces
from nas_tf.config import resumed
from nas_tf.errors import ConfigError
from tests.runs.made import made

NAMED = "space: auxcell\ndata: {name: camvid}\n"
SIZED = "space: {name: auxcell, blocks: 4}\ndata: {name: camvid}\n"
FOUR = {"name": "auxcell", "blocks": 4, "branches": 3}
REGISTERED = "expected one of auxcell, template, dpc, fcos, restoration, baseline"
NAMES = "expected one of auxcell, baseline, dpc, fcos, restoration, template"


@pytest.mark.parametrize(
    ("text", "overrides", "space"),
    [
        (NAMED, [], "auxcell"),
        (SIZED, [], FOUR),
        ("space: {name: auxcell}\ndata: {name: camvid}\n", [], "auxcell"),
        ("space: {name: auxcell, blocks: 3}\ndata: {name: camvid}\n", [], "auxcell"),
        (NAMED, ["space={name: auxcell, blocks: 4}"], FOUR),
        (NAMED, ["space.blocks=4"], FOUR),
        (NAMED, ["space.name=template"], "template"),
        (NAMED, ["space.name=dpc", "space.branches=2"], {"name": "dpc", "branches": 2}),
        (SIZED, ["space=template"], "template"),
        (SIZED, ["space=auxcell"], "auxcell"),
        (SIZED, ["space.name=auxcell"], FOUR),
        (SIZED, ["space.branches=2"], {"name": "auxcell", "blocks": 4, "branches": 2}),
        (SIZED, ["space.blocks=3"], "auxcell"),
        ("data: {name: camvid}\n", ["space.name=dpc"], "dpc"),
        ("data: {name: camvid}\n", ["space={name: auxcell, blocks: 4}"], FOUR),
    ],
)
def test_a_space_is_a_name_or_a_section(
    write, text: str, overrides: list[str], space: object
) -> None:
    loaded = config.load(write(text), overrides)
    assert loaded.space == space
    assert spaces.get(loaded.space).section() == space
    assert config.load(write(config.dump(loaded))) == loaded


@pytest.mark.parametrize(
    ("text", "overrides", "line"),
    [
        (
            "space: {name: auxcell, blocks: 11}\n",
            [],
            "space.blocks is 11 in small.yaml line 1, expected an integer of 1 to 10",
        ),
        (
            "space:\n  name: auxcell\n  bloks: 4\n",
            [],
            "key space.bloks is unknown in small.yaml line 3, did you mean blocks?",
        ),
        (
            "space: {name: auxcell, templates: 4}\n",
            [],
            "key space.templates is unknown in small.yaml line 1, expected one of name, blocks, "
            "branches",
        ),
        (
            "space: {blocks: 4}\n",
            [],
            f"key space.name is missing in small.yaml line 1, {NAMES}",
        ),
        (
            "space: {name: aux, blocks: 4}\n",
            [],
            f"space.name is aux in small.yaml line 1, {NAMES}",
        ),
        ("space: 3\n", [], f"space is 3 in small.yaml line 1, {NAMES}"),
        ("space: [auxcell]\n", [], f"space is [auxcell] in small.yaml line 1, {NAMES}"),
        (
            "space: {name: auxcell, blocks: 4, blocks: 5}\n",
            [],
            "key space.blocks is given twice in small.yaml line 1, expected once",
        ),
        (
            "space: auxcell\nblocks: 4\n",
            [],
            "key blocks is unknown in small.yaml line 2, did you mean space.blocks?",
        ),
        ("", ["seed=2"], f"key space is missing in small.yaml line 1, {NAMES}"),
        (
            "space: auxcell\n",
            ["space.blocks=0"],
            "override space.blocks=0: expected an integer of 1 to 10",
        ),
        (
            "space: auxcell\n",
            ["space.name=aux"],
            f"override space.name=aux: space is aux, {NAMES}",
        ),
        (
            "space: template\n",
            ["space.branches=2"],
            "override space.branches=2: key space.branches is unknown, expected one of name, "
            "templates, blocks",
        ),
        (
            "space: auxcell\n",
            ["space={name: dpc, blocks: 4}"],
            "override space={name: dpc, blocks: 4}: key space.blocks is unknown, expected one of "
            "name, branches",
        ),
    ],
)
def test_a_wrong_space_is_one_line(write, text: str, overrides: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(write(f"{text}data: {{name: camvid}}\n"), overrides)
    assert str(caught.value) == line


def test_a_space_without_arguments_has_its_name_alone(
    write, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(spaces.SearchSpace):
        name, tokens = "plain", ()
        _layout = _flatten = canonical = rewrites = None

    monkeypatch.setitem(spaces.SPACES, "plain", Plain)
    text = "space: {name: plain, blocks: 4}\ndata: {name: camvid}\n"
    with pytest.raises(ConfigError) as caught:
        config.load(write(text))
    line = "key space.blocks is unknown in small.yaml line 1, expected name"
    assert str(caught.value) == line
    with pytest.raises(spaces.GenotypeError) as refused:
        spaces.get({"name": "plain", "blocks": 4})
    line = "space plain has no argument 'blocks', expected the name alone"
    assert str(refused.value) == line
    assert config.load(write(NAMED), ["space={name: plain}"]).space == "plain"


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ([], ["space.blocks=4"], "space.blocks=3, now it is 4: give space.blocks=3, or"),
        (["space.blocks=4"], [], "space.blocks=4, now it is 3: give space.blocks=4, or"),
        ([], ["space=template"], "space=auxcell, now it is template: give space=auxcell, or"),
        (["space.blocks=4"], ["space=template"], "space=auxcell, now it is template: give space="),
    ],
)
def test_a_run_resumes_in_its_own_space_only(
    tmp_path: Path, was: list[str], now: list[str], line: str
) -> None:
    folder = made(tmp_path / "run", trials=3, overrides=was).folder
    resumed.check(folder, config.load("shapes_auxcell", was))
    with pytest.raises(ConfigError) as caught:
        resumed.check(folder, config.load("shapes_auxcell", now))
    assert f"run was started with {line}" in str(caught.value)


def test_a_run_of_0_1_0_resumes_by_the_name_or_by_the_usual_arguments(tmp_path: Path) -> None:
    folder = made(tmp_path / "run", trials=3).folder
    assert "space: auxcell\n" in (folder / "config.yaml").read_text()
    for override in ("space=auxcell", "space={name: auxcell, blocks: 3, branches: 3}"):
        resumed.check(folder, config.load("shapes_auxcell", [override]))


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("darts", f"space 'darts' is unknown, {REGISTERED}"),
        ({"blocks": 4}, f"space None is unknown, {REGISTERED}"),
        (
            {"name": "dpc", "blocks": 4},
            "space dpc has no argument 'blocks', expected branches",
        ),
        (
            {"name": "auxcell", "depth": 4},
            "space auxcell has no argument 'depth', expected blocks or branches",
        ),
    ],
)
def test_a_wrong_section_in_python_is_one_line(section: object, line: str) -> None:
    with pytest.raises(spaces.GenotypeError) as caught:
        spaces.get(section)
    assert str(caught.value) == line
