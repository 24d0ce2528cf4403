"""Ablations in miniature: stopped, gone on with, and told."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.training.evaluated import SMALL

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ablations.py"


def ablations(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=540,
    )


def test_what_is_off_is_told_against_all_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL | {"stage_two": None}))
    options = ("run", "--out", "out", "small.yaml")
    for count, evaluated in ((1, 3), (4, 9)):
        done = ablations(*options, "--count", str(count), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(" in ") == evaluated
        with (tmp_path / "out" / "results.jsonl").open("a") as file:
            file.write('{"variant": "all on", "geno')
    other = ablations(*options, "seed=5", cwd=tmp_path)
    assert other.returncode == 1
    assert other.stderr.endswith(
        "out holds results by another configuration, expected another --out\n"
    )
    (tmp_path / "docs").mkdir()
    done = ablations("tell", "--out", "out", "--docs", "docs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    texts = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    lines = [text for text in texts if text.endswith("}")]
    with (tmp_path / "docs" / "ablations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(lines) == 12
    by_variant = {json.loads(line)["variant"] for line in lines}
    assert {row["variant"] for row in rows} == by_variant
    assert by_variant == {"all on", "no Polyak averages", "no auxiliaries"}
    text = (tmp_path / "docs" / "ablations.md").read_text()
    command = "python benchmarks/ablations.py run --out out/ablations small.yaml --count 4"
    assert f"Command: `{command}`" in text
    assert text.count(" over 4 pairs, p = ") == 2
    assert (tmp_path / "docs" / "ablations.svg").exists()
