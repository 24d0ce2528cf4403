"""The gradient search: its trials, what it writes, how it resumes, and what it refuses."""

import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks import search_results
from nas_tf import networks, spaces
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, TrainingError
from nas_tf.jobs.oracles import oracle_of
from nas_tf.networks.heads import Head
from nas_tf.report import page
from nas_tf.runs import Run
from nas_tf.search.gradient import GradientSearch, check
from nas_tf.search.read_off import read_off
from tests.prepared import shared_cache

SMALL: dict[str, Any] = {
    "space": {"name": "restoration", "layers": 1, "nodes": 1},
    "data": {"name": "shapes_clean", "view": {"input": [16, 16]}},
    "degradation": {"noise": {"sigma": 50.0}},
    "network": {"width": 2, "weights": None},
    "search": {"oracle": "gradient"},
    "gradient": {
        **{"epochs": 3, "warmup_epochs": 1, "batch": 135, "crop": [16, 16], "width": 2},
        **{"chosen_from": 0.5, "architecture": {"learning_rate": 0.1}},
    },
    "evaluation": {"batch": 60},
    "precision": "float32",
}


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(shared_cache()))
        yield


def config(**changes: Any) -> Config:
    content = json.loads(json.dumps(SMALL))
    for section, values in changes.items():
        is_section = isinstance(values, dict)
        content[section] = {**content.get(section, {}), **values} if is_section else values
    return msgspec.convert(content, Config)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was killed after its second epoch was recorded, and then resumed."""
    folder = tmp_path_factory.mktemp("runs") / "denoise"
    search = GradientSearch(config(), folder)
    with pytest.raises(Killed):
        search.run(on_epoch=_kill_after_the_second)
    assert [trial.trial for trial in Run(folder).trials] == ["epoch-2"]
    again = GradientSearch(config(), folder)
    assert again.resumed
    assert again.epochs_done == 1  # the second was recorded, and not yet in a checkpoint
    again.run()
    return folder


def _kill_after_the_second(row: Mapping[str, Any]) -> None:
    """Ends the search when all files of the epoch are written, and its checkpoint is not."""
    if row["epoch"] == 2:
        raise Killed


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", ["_add_architecture", "_record"])
def test_an_epoch_that_was_interrupted_while_it_was_scored_is_scored(
    resumed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    search, process = GradientSearch(config(), tmp_path), getattr(GradientSearch, interrupted)

    def stopped(own: GradientSearch, *arguments: Any) -> Any:
        found = process(own, *arguments)
        if own.epochs_done == 3:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(GradientSearch, interrupted, stopped)
        with pytest.raises(KeyboardInterrupt):
            search.run()
    search.training.save()
    GradientSearch(config(), tmp_path).run()
    own, other = (
        (
            (folder / "architecture.jsonl").read_text(),
            [{**row, "seconds": ""} for row in rows_of(folder / "supernet.csv")],
            [(trial.trial, trial.score) for trial in Run(folder).trials],
        )
        for folder in (tmp_path, resumed)
    )
    assert own == other


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_genotypes_of_the_last_epochs_are_trials(resumed: Path) -> None:
    run = Run(resumed)
    assert [trial.trial for trial in run.trials] == ["epoch-2", "epoch-3"]
    assert (run.info.oracle, run.info.max_trials) == ("gradient", 2)
    lines = (resumed / "architecture.jsonl").read_text().splitlines()
    architectures = {line["epoch"]: line for line in map(json.loads, lines)}
    assert sorted(architectures) == [1, 2, 3]
    rows = rows_of(resumed / "supernet.csv")
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    for trial, row in zip(run.trials, rows[1:], strict=True):
        own = architectures[int(row["epoch"])]
        found = read_off(spaces.get(run.info.space), own["alpha"], own["beta"])
        assert trial.parsed == found.genotype
        settings = networks.Settings(width=2)
        head = Head("restoration", 1)
        built = networks.blueprint_of(found.genotype, head, input_size=(16, 16), settings=settings)
        assert trial.params == networks.cost(built).params
        assert trial.score == pytest.approx(float(row["score"]), abs=1e-6)
        expected = (float(row["ssim"]) + float(row["psnr"]) / 100) / 2
        assert trial.score == pytest.approx(expected, abs=1e-5)


def test_the_super_net_of_the_best_epoch_is_saved(resumed: Path) -> None:
    best = Run(resumed).best()[0]
    saved = [path.name for path in (resumed / "weights").iterdir()]
    assert saved == [f"{best.trial}.npz"]
    arrays = np.load(resumed / "weights" / saved[0])
    lines = (resumed / "architecture.jsonl").read_text().splitlines()
    own = next(line for line in map(json.loads, lines) if line["epoch"] == int(best.trial[-1]))
    (table,) = (arrays[key] for key in arrays.files if key.startswith("alpha|"))
    np.testing.assert_allclose(table, own["alpha"], rtol=1e-6)
    assert (resumed / "samples.png").exists()


@pytest.mark.parametrize("content", [b'{"epoch": 1', b"{}\n", b"[]\n", b"\xff"])
def test_damaged_architectures_are_one_line(resumed: Path, tmp_path: Path, content: bytes) -> None:
    folder = shutil.copytree(resumed, tmp_path / "run")
    path = folder / "architecture.jsonl"
    path.write_bytes(content)
    message = rf"^{re.escape(str(path))} can't be read: .*; put back a copy, or delete it: only"
    with pytest.raises(DataError, match=message):
        GradientSearch(config(), folder)
    path.unlink()
    assert GradientSearch(config(), folder).resumed


def test_the_report_draws_the_super_net(resumed: Path) -> None:
    text = page.write(Run(resumed)).read_text(encoding="utf-8")
    for title in (
        "The super-net&#39;s training",
        "Operations on each edge",
        "Widths of the layers",
    ):
        assert title in text
    assert (resumed / "report" / "paths.svg").exists()


@pytest.mark.parametrize("name", ["architecture.jsonl", "supernet.csv"])
def test_the_report_is_written_without_an_epoch(resumed: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(resumed, tmp_path / "run")
    lines = (folder / name).read_text().splitlines(keepends=True)
    (folder / name).write_text("".join(lines[:-1]))
    assert page.write(Run(folder)).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "auxcell"}, "space auxcell has no super-net, expected space restoration"),
        ({"gradient": {"warmup_epochs": 3}}, "gradient.warmup_epochs is 3 and gradient.epochs is"),
        ({"search": {"warm_start": "runs/x"}}, "search.warm_start is runs/x, expected null"),
        ({"limits": {"seconds": 9}}, "limits.seconds is 9.0, expected null"),
    ],
)
def test_what_it_cannot_do_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(config(**changes))


def test_limits_below_every_network_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="excludes every network: the smallest has"):
        GradientSearch(config(limits={"params": 100}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_above_half_of_meta_train_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError, match=r"gradient\.batch is 271 and half of meta-train"):
        GradientSearch(config(gradient={"batch": 271}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_warm_up_of_the_rate_beyond_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^gradient\.schedule\.warmup_steps is 6 and the stage"):
        GradientSearch(config(gradient={"schedule": {"warmup_steps": 6}}), tmp_path / "run")


def test_a_loss_that_is_not_finite_ends_the_search_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = GradientSearch(config(), tmp_path / "run")
    monkeypatch.setattr(search.training._learner, "step", lambda *args, **named: float("nan"))
    with pytest.raises(TrainingError, match="loss of the weights is nan at step 1; lower"):
        search.run()


def test_no_oracle_of_trials_has_its_name() -> None:
    own = config()
    with pytest.raises(ConfigError, match="gradient, which proposes no trials"):
        oracle_of(own, spaces.get(own.space))


def test_a_page_of_results_shows_how_the_architecture_was_learnt(
    resumed: Path, tmp_path: Path
) -> None:
    lines = search_results.write([Run(resumed)], tmp_path / "page", title="A", machine="any")
    for name in ("supernet", "operations", "paths"):
        assert f"(page/{resumed.name}/{name}.svg)" in "\n".join(lines)
        assert (tmp_path / "page" / resumed.name / f"{name}.svg").exists()
