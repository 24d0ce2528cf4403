"""What a run that is gone on with may be given otherwise."""

from pathlib import Path

import pytest

from nas_tf.config import load, resumed
from nas_tf.errors import ConfigError
from tests.runs.made import made


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that began with what another found."""
    monkeypatch.chdir(tmp_path)
    given = ["search.begin_with=other", "search.begin_count=3"]
    return made(Path("run"), trials=4, overrides=given).folder


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["search.begin_count=9"],
        ["search.begin_with=other", "search.begin_count=3"],
        ["search.begin_with=./run/../other/", "search.begin_count=3"],
        ["search.trials=99", "threads=1"],
        ["full.stages.0.epochs=9", "full.stages.0.crop=[64, 64]", "evaluation.flip=true"],
    ],
)
def test_what_counts_no_more_need_not_be_given_again(begun: Path, given: list[str]) -> None:
    resumed.check(begun, load("shapes_auxcell", given))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["search.begin_with=else"], "begun with search.begin_with=.*/other, now it is .*/else"),
        (["search.begin_with=other"], "begun with search.begin_count=3, now it is 10"),
        (["search.oracle=random"], "begun with search.oracle=ppo, now it is random"),
    ],
)
def test_what_counts_is_refused_by_name(begun: Path, given: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        resumed.check(begun, load("shapes_auxcell", given))


def test_what_is_given_last_is_kept_but_for_what_counts_at_first_only(begun: Path) -> None:
    now = load("shapes_auxcell", ["full.stages.0.epochs=9", "search.begin_count=7"])
    kept = resumed.check(begun, now)
    assert kept.full.stages[0].epochs == 9
    assert (Path(kept.search.begin_with).name, kept.search.begin_count) == ("other", 3)


def test_paths_are_compared_by_what_they_name(tmp_path: Path, monkeypatch) -> None:
    """Those of a run of version 0.1.0 are relative, and links may lead to the same place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fields").mkdir()
    (tmp_path / "link").symlink_to("fields")
    run = made(tmp_path / "run", trials=4, overrides=["data.name=folder:fields"])
    config = run.folder / "config.yaml"
    text = config.read_text()
    assert f"folder:{tmp_path}/fields" in text
    config.write_text(text.replace(f"folder:{tmp_path}/fields", "folder:fields"))
    for name in ("fields", "./run/../fields/", "link", f"{tmp_path}/fields"):
        resumed.check(run.folder, load("shapes_auxcell", [f"data.name=folder:{name}"]))
    with pytest.raises(ConfigError, match=r"begun with data\.name=folder:/"):
        resumed.check(run.folder, load("shapes_auxcell", ["data.name=folder:others"]))
