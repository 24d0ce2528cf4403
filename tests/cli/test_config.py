"""``nas-tf config`` lists the shipped configurations, and prints a resolved one."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from nas_tf import config
from nas_tf.cli import nas_tf
from nas_tf.errors import ConfigError

FILE = Path(__file__).parents[2] / "configs" / "voc_auxcell.yaml"


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(nas_tf, ["config", *arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_printed_configuration_loads_back_with_overrides_applied(tmp_path: Path) -> None:
    path = tmp_path / "complete.yaml"
    path.write_text(printed("show", "camvid_auxcell", "stage_one.epochs=9", "stage_two=null"))
    assert config.load(path) == config.load(
        "camvid_auxcell", ["stage_one.epochs=9", "stage_two=null"]
    )
    assert "learning_rate" in path.read_text()


def test_the_source_is_the_file_with_its_comments() -> None:
    assert printed("show", "voc_auxcell", "--source") == FILE.read_text(encoding="utf-8")
    assert printed("show", str(FILE), "--source") == FILE.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="expected no seed=3"):
        printed("show", "voc_auxcell", "seed=3", "--source")


def test_all_shipped_configurations_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rows = {
        line.split()[0]: line.split()[1:3] for line in printed("list").splitlines()[1:] if line
    }
    assert set(config.names()) <= set(rows)
    assert rows["mpii_pose"] == ["auxcell", "mpii_pose"]
