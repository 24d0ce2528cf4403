"""Ablations in miniature: stopped, resumed, and reported."""

import csv
import json
import random
from functools import partial
from pathlib import Path

import pytest
import yaml

from nas_tf import spaces
from tests.benchmarks.scripts import script
from tests.prepared import few_scenes
from tests.sampling import IS_WHOLE
from tests.training.evaluated import SMALL

ablations = partial(script, "ablations")
ABOUT = {"polyak": "no Polyak averages", "none": "no auxiliaries"}
VARIANTS = ("polyak", "none")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL | {"stage_two": None}))
    (tmp_path / "docs").mkdir()
    return tmp_path


@pytest.mark.slow
def test_variants_are_reported_against_the_configuration(small: Path) -> None:
    names = VARIANTS if IS_WHOLE else VARIANTS[:1]
    options = ("run", "--out", "out", "small.yaml", "--variants", ",".join(names))
    for count in (1, 4):
        evaluated = (1 if count == 1 else 3) * (1 + len(names))
        done = ablations(*options, "--count", str(count), cwd=small)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(" in ") == evaluated
        with (small / "out" / "results.jsonl").open("a") as file:
            file.write('{"variant": "as configured", "geno')
    other = ablations(*options, "seed=5", cwd=small)
    assert other.returncode == 1
    assert other.stderr.endswith(
        "out holds results by another configuration, expected another --out\n"
    )
    done = ablations("tell", "--out", "out", "--docs", "docs", cwd=small)
    assert done.returncode == 0, done.stderr
    texts = (small / "out" / "results.jsonl").read_text().splitlines()
    lines = [text for text in texts if text.endswith("}")]
    with (small / "docs" / "ablations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(lines) == 4 * (1 + len(names))
    by_variant = {json.loads(line)["variant"] for line in lines}
    assert {row["variant"] for row in rows} == by_variant
    assert by_variant == {"as configured", *(ABOUT[name] for name in names)}
    text = (small / "docs" / "ablations.md").read_text()
    for count in (1, 4):
        command = f"small.yaml --variants {','.join(names)} --count {count}\n"
        assert f"    python benchmarks/ablations.py run --out out/out {command}" in text
    assert text.count(" over 4 pairs, p = ") == len(names)
    assert (small / "docs" / "ablations.svg").exists()


@pytest.mark.slow
def test_genotypes_of_another_folder_are_spread_over_its_rewards(small: Path) -> None:
    rewards = {item: (n * 7 % 10) / 10 for n, item in enumerate(sampled(10))}
    write(small / "short", rewards)
    options = ("--out", "long", "--like", "short")
    more = ("small.yaml", "stage_one.epochs=2", "--variants", "", "--count", "3")
    done = ablations("run", *options, *more, cwd=small)
    assert done.returncode == 0, done.stderr
    lines = (small / "long" / "results.jsonl").read_text().splitlines()
    taken = [rewards[json.loads(line)["genotype"]] for line in lines]
    assert taken == [0.9, 0.0, 0.5]
    write(small / "long", {item: reward**2 for item, reward in rewards.items()})
    done = ablations("tell", *options, "--docs", "docs", "--page", "longer", cwd=small)
    assert done.returncode == 0, done.stderr
    text = (small / "docs" / "longer.md").read_text()
    assert "Spearman's ρ = 1.00 (95 % 1.00 to 1.00, n = 10)" in text
    assert text.index("| 0.9000 |") < text.index("| 0.0000 |")


def test_a_wrong_variant_is_one_line(small: Path) -> None:
    done = ablations("run", "--out", "out", "small.yaml", "--variants", "polyk", cwd=small)
    assert done.returncode == 1
    assert done.stderr == "--variants has polyk, expected some of polyak, none, classifier\n"


def write(folder: Path, rewards: dict[str, float]) -> None:
    folder.mkdir(exist_ok=True)
    lines = (
        json.dumps({"variant": "as configured", "genotype": item, "reward": reward})
        for item, reward in rewards.items()
    )
    (folder / "results.jsonl").write_text("".join(f"{line}\n" for line in lines))


def sampled(count: int) -> list[str]:
    rng = random.Random(3)
    space = spaces.get(SMALL["space"])
    return [str(space.sample(rng)) for _ in range(count)]
