"""Paths of a configuration: kept absolute, and which keys hold one."""

from pathlib import Path

import pytest

from nas_tf.config import dump, load, paths
from nas_tf.config.paths import run_name
from nas_tf.data.folder import PREFIX
from nas_tf.errors import ConfigError

GIVEN = [
    *("data.name=folder:fields", "full_training.stages.0.data=folder:../more"),
    "full_training.stages.0.joined=[{data: 'folder:more'}, {data: camvid}]",
    *("teacher=runs/t/last.keras", "network.weights=mine.h5"),
    *("search.latency=table.json", "search.warm_start=runs/other"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path.resolve() / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_every_path_is_absolute_and_no_other_text(here: Path, monkeypatch) -> None:
    loaded = load("shapes_auxcell", GIVEN)
    assert loaded.data.name == f"folder:{here}/fields"
    assert loaded.full_training.stages[0].data == f"folder:{here.parent}/more"
    joined = loaded.full_training.stages[0].joined
    assert [more.data for more in joined] == [f"folder:{here}/more", "camvid"]
    assert loaded.teacher == f"{here}/runs/t/last.keras"
    assert loaded.network.weights == f"{here}/mine.h5"
    assert loaded.search.latency == f"{here}/table.json"
    assert loaded.search.warm_start == f"{here}/runs/other"
    (here / "whole.yaml").write_text(dump(loaded))
    monkeypatch.chdir("/")
    assert load(here / "whole.yaml") == loaded


def test_names_stay_names(here: Path) -> None:
    for weights in ("imagenet", "drawn", None):
        own = [f"network.weights={weights or 'null'}", "search.latency=tflite"]
        own.append(f"network.alpha={0.35 if weights == 'drawn' else 1.0}")
        loaded = load("camvid_auxcell", own)
        assert loaded.network.weights == weights
        assert loaded.search.latency == "tflite"
        assert loaded.data.name == "camvid"
        assert (loaded.teacher, loaded.full_training.stages[0].data) == (None, None)


def test_a_parent_is_that_of_what_a_link_leads_to(here: Path) -> None:
    (here / "far" / "inner").mkdir(parents=True)
    (here / "link").symlink_to("far/inner")
    assert load("camvid_auxcell", ["teacher=link/../t"]).teacher == f"{here}/far/t"
    assert load("camvid_auxcell", ["teacher=link/t"]).teacher == f"{here}/link/t"


def test_own_data_are_a_configuration(here: Path) -> None:
    loaded = load("folder:./my 'pictures'.d", ["seed=4"])
    assert (loaded.space, loaded.seed) == ("auxcell", 4)
    assert loaded.data.name == f"folder:{here}/my 'pictures'.d"
    assert paths.FOLDER == PREFIX


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("camvid_auxcell", "camvid_auxcell"),
        ("mine/small.yaml", "small"),
        ("folder:data/my.pictures/", "my.pictures"),
        ("folder:.", "here"),
        ("folder:/", "folder"),
    ],
)
def test_runs_are_named_after_their_configuration_or_data(
    here: Path, source: str, name: str
) -> None:
    assert run_name(source) == name


def test_all_that_is_missing_is_asked_for_at_once(here: Path) -> None:
    Path("small.yaml").write_text("seed: 1\nfull:\n  stages:\n  - batch: 2\n")
    with pytest.raises(ConfigError) as error:
        load("small.yaml")
    line = str(error.value)
    for key in ("space", "data", "full_training.stages.0.epochs"):
        assert f"key {key} is missing in small.yaml line" in line
