"""A shell's completion of words, by the process that a shell starts."""

import os
import subprocess
from pathlib import Path

import pytest

from nas_tf.config import names
from tests.cli.command import COMMAND


def completed(words: str, cwd: Path) -> list[str]:
    """Returns the lines that a shell reads to complete the last of some words."""
    count = len(words.split(" ")) - 1
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(count), "_NAS_TF_COMPLETE": "bash_complete"}
    done = subprocess.run(
        COMMAND, cwd=cwd, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("nas-tf se", ["plain,search", "plain,serve"]),
        ("nas-tf search --ora", ["plain,--oracle"]),
        ("nas-tf show arch", ["plain,arch0", "plain,arch1", "plain,arch2"]),
        ("nas-tf train arch", ["plain,arch0", "plain,arch1", "plain,arch2"]),
        ("nas-tf show runs/a", ["dir,runs/a"]),
        ("nas-tf report ru", ["dir,ru"]),
        ("nas-tf search bccd_fcos_h", ["plain,bccd_fcos_head"]),
        ("nas-tf search own.y", ["file,own.y"]),
        ("nas-tf train arch0 --config bccd_fcos_h", ["plain,bccd_fcos_head"]),
        ("nas-tf search camvid_auxcell stage_two.pol", ["plain,stage_two.polyak="]),
        ("nas-tf search bccd_fcos_fpn stage_two.pol", []),
        ("nas-tf train arch0 --config none.yaml seed", []),
        ("nas-tf train arch0 see", ["plain,seed="]),
    ],
)
def test_words_are_completed(words: str, expected: list[str], tmp_path: Path) -> None:
    assert completed(words, tmp_path) == expected


def test_every_configuration_is_offered(tmp_path: Path) -> None:
    assert completed("nas-tf config show ", tmp_path) == [f"plain,{name}" for name in names()]
