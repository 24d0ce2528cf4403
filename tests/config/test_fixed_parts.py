"""Progressive search: the part of a space that an earlier run found."""

import shutil
from pathlib import Path

import pytest
from msgspec import structs

from nas_tf import config, spaces
from nas_tf.config import resumed
from nas_tf.errors import ConfigError, NasTfError
from nas_tf.runs import Run, filenames, progressive
from tests.config.needed import PYRAMID, needed
from tests.runs.made import made

HEAD = ["space.search=head"]


@pytest.fixture
def pyramids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished search of pyramids, ``runs/pyramids`` below the current folder."""
    monkeypatch.chdir(tmp_path)
    return made(Path("runs/pyramids"), space="fcos", trials=6, failing=0, gate=False)


def heads(given: str, *more: str) -> config.Config:
    return config.load("shapes_fcos", [*HEAD, f"space.fpn={given}", *more])


@pytest.mark.parametrize(("given", "rank"), [("", 1), ("#1", 1), ("#4", 4)])
def test_a_run_gives_the_pyramid_of_its_rank(pyramids: Run, given: str, rank: int) -> None:
    loaded = heads(f"runs/pyramids{given}")
    wanted = pyramids.best(rank)[-1]
    assert loaded.space["fpn"] == wanted.genotype
    assert loaded.search.follows.run == str(Path("runs/pyramids").absolute())
    assert loaded.search.follows.trial == wanted.trial


def test_what_is_saved_needs_no_other_run(pyramids: Run, tmp_path: Path) -> None:
    run = made(
        Path("heads"), space="fcos", gate=False, overrides=[*HEAD, "space.fpn=runs/pyramids"]
    )
    given = heads("runs/pyramids", "search.trials=99")
    shutil.move("runs/pyramids", tmp_path / "elsewhere")
    saved = config.load(run.folder / "config.yaml")
    assert saved.space == run.info.space
    for now in (given, saved, heads(given.space["fpn"])):
        kept = resumed.check(run.folder, now)
        assert kept.search.follows == given.search.follows
    with pytest.raises(ConfigError, match=r"was started with space.fpn=\[\[.*, now it is \[\["):
        resumed.check(run.folder, heads(PYRAMID))


def test_a_training_gives_its_pyramid_too(pyramids: Run) -> None:
    Path("trained").mkdir()
    genotype = spaces.resolve(f"[{PYRAMID},[2],[1,2,0,3,4,1]]")
    Path("trained", filenames.GENOTYPE).write_text(genotype.to_json())
    loaded = heads("trained")
    assert loaded.space["fpn"] == PYRAMID
    assert loaded.search.follows.trial is None
    with pytest.raises(ConfigError, match=r"trained is the folder of a training, expected no #2$"):
        heads("trained#2")


def test_a_name_gives_the_pyramid_and_no_origin() -> None:
    loaded = heads("nas-fcos", "space.ops=paper")
    assert loaded.space["fpn"] == str(spaces.resolve("nas-fcos-fpn"))
    assert loaded.search.follows is None


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("runs/absent#1", "'runs/absent' is not a folder of a search or a training, expected one"),
        ("runs/pyramids#best", "'runs/pyramids#best' is not a folder of a search or a training"),
        ("nas-fcos-fpm", ".* or brackets, did you mean nas-fcos-fpn[?]$"),
        ("runs/pyramids#7", "runs/pyramids has 6 completed trials and none of rank 7, expected 1"),
        ("runs/pyramids#0", "runs/pyramids has 6 completed trials and none of rank 0, expected 1"),
        ("empty#1", "empty has 0 completed trials and none of rank 1, expected a run with"),
        ("cells#1", "cells is of space auxcell, expected fcos$"),
    ],
)
def test_a_run_that_gives_none_is_one_line(pyramids: Run, given: str, line: str) -> None:
    made(Path("empty"), space="fcos", trials=0)
    made(Path("cells"), trials=2)
    with pytest.raises(ConfigError, match=f"^space.fpn: {line}") as caught:
        heads(given)
    assert "\n" not in str(caught.value)


def test_a_damaged_genotype_is_one_line(pyramids: Run) -> None:
    Path("trained").mkdir()
    Path("trained", filenames.GENOTYPE).write_bytes(b"\xff[")
    with pytest.raises(NasTfError, match=r"^trained/genotype.json is damaged: .*$"):
        heads("trained")


def test_brackets_are_a_text_or_a_list(write) -> None:
    text = f"space: {{name: fcos, search: head, fpn: {PYRAMID}}}\ndata: {{name: shapes_boxes}}\n"
    loaded = config.load(write(text))
    assert loaded.space["fpn"] == PYRAMID
    assert config.load(write(config.dump(loaded))) == loaded
    with pytest.raises(ConfigError, match=r"^override data.name=\[a\]: expected a text$"):
        config.load("small.yaml", ["data.name=[a]"])


def test_the_head_of_bccd_names_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"^space.fpn is missing, expected the pyramid of the"):
        config.load("bccd_fcos_head")
    fpn, head = (
        config.load("bccd_fcos_fpn"),
        config.load("bccd_fcos_head", needed("bccd_fcos_head")),
    )
    assert structs.replace(head, space=fpn.space) == fpn
    assert fpn.search.oracle == head.search.oracle == "ppo"


def test_two_runs_know_each_other_also_where_they_are_moved(pyramids: Run) -> None:
    run = made(
        Path("runs/heads"), space="fcos", gate=False, overrides=[*HEAD, "space.fpn=runs/pyramids"]
    )
    made(Path("runs/others"), trials=2)
    Path("runs/damaged").mkdir()
    Path("runs/damaged/config.yaml").write_text("pyramids: {")
    assert progressive.origin(pyramids) is None
    best = progressive.origin(run).record
    assert best == pyramids.best()[0]
    assert [other.folder.name for other in progressive.successors(pyramids)] == ["heads"]
    Path("runs").rename("moved")
    run, pyramids = Run("moved/heads"), Run("moved/pyramids")
    assert progressive.origin(run).record == best
    assert [other.folder.name for other in progressive.successors(pyramids)] == ["heads"]
    shutil.rmtree("moved/pyramids")
    assert progressive.origin(run).record is None
