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
    ],
)
def test_what_counts_no_more_need_not_be_given_again(begun: Path, given: list[str]) -> None:
    resumed.check(begun, load("shapes_auxcell", given))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["search.begin_with=else"], "begun with search.begin_with=other, now it is else"),
        (["search.begin_with=other"], "begun with search.begin_count=3, now it is 10"),
        (["search.oracle=random"], "begun with search.oracle=ppo, now it is random"),
    ],
)
def test_what_counts_is_refused_by_name(begun: Path, given: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        resumed.check(begun, load("shapes_auxcell", given))
