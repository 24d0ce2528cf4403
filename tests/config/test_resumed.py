"""What a run that is gone on with may be given otherwise."""

from pathlib import Path

import pytest

from nas_tf.config import load, resumed
from nas_tf.errors import ConfigError
from tests.runs.made import made

FORMER_NAMES = {
    **{"meta_val_share": "meta_val", "candidate_views": "search_views", "goals": "targets"},
    **{"failure_score": "floor", "warm_start": "begin_with", "warm_start_count": "begin_count"},
    **{"saved_weights": "kept", "full_training": "full"},
}


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that began with what another found."""
    monkeypatch.chdir(tmp_path)
    given = ["search.warm_start=other", "search.warm_start_count=3"]
    return made(Path("run"), trials=4, overrides=given).folder


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["search.warm_start_count=9"],
        ["search.warm_start=other", "search.warm_start_count=3"],
        ["search.warm_start=./run/../other/", "search.warm_start_count=3"],
        ["search.trials=99", "threads=1"],
        [
            "full_training.stages.0.epochs=9",
            "full_training.stages.0.crop=[64, 64]",
            "evaluation.flip=true",
        ],
    ],
)
def test_what_counts_no_more_need_not_be_given_again(started: Path, given: list[str]) -> None:
    resumed.check(started, load("shapes_auxcell", given))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["search.warm_start=else"], "started with search.warm_start=.*/other, now it is .*/else"),
        (["search.warm_start=other"], "started with search.warm_start_count=3, now it is 10"),
        (["search.oracle=random"], "started with search.oracle=ppo, now it is random"),
    ],
)
def test_what_counts_is_refused_by_name(started: Path, given: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        resumed.check(started, load("shapes_auxcell", given))


def test_what_is_given_last_is_kept_but_for_what_counts_at_first_only(started: Path) -> None:
    now = load("shapes_auxcell", ["full_training.stages.0.epochs=9", "search.warm_start_count=7"])
    kept = resumed.check(started, now)
    assert kept.full_training.stages[0].epochs == 9
    assert (Path(kept.search.warm_start).name, kept.search.warm_start_count) == ("other", 3)


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
    with pytest.raises(ConfigError, match=r"started with data\.name=folder:/"):
        resumed.check(run.folder, load("shapes_auxcell", ["data.name=folder:others"]))


def test_a_run_of_the_first_version_resumes_without_a_warning(
    started: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = started / "config.yaml"
    text = path.read_text()
    for current, former in FORMER_NAMES.items():
        assert text.count(f"{current}:") == 1
        text = text.replace(f"{current}:", f"{former}:")
    path.write_text(text)
    resumed.check(started, load("shapes_auxcell"))
    assert caplog.records == []
    with pytest.raises(ConfigError, match=r"started with data\.meta_val_share=0\.1, now it is 0"):
        resumed.check(started, load("shapes_auxcell", ["data.meta_val_share=0.2"]))
    load(path)
    assert len(caplog.records) == len(FORMER_NAMES), "another command reads it as any file"
