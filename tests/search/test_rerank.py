"""Choosing, longer training on the drawn scenes, and resuming where it was stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec import structs

from nas_tf import spaces
from nas_tf.config.rerank import for_rerank
from nas_tf.errors import ConfigError, DataError
from nas_tf.networks import cost
from nas_tf.report import page, reranked
from nas_tf.runs import Reranking, Run, filenames, record
from nas_tf.runs.reranking import BASELINE
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import rerank
from nas_tf.training import from_config
from tests.prepared import shared_cache
from tests.runs import made as invented
from tests.runs.made import made

SMALL = [
    *("network.width=8", "network.alpha=0.35", "network.weights=null", "precision=float32"),
    *("stage_one.epochs=1", "stage_one.views=1", "stage_one.batch=64", "stage_one.crop=[64, 64]"),
    *("stage_two.batch=64", "gate.policy=paper", "space={name: auxcell, blocks: 1, branches: 1}"),
]
COMMAND = [sys.executable, "-m", "nas_tf", "rerank"]


@pytest.fixture(scope="module", autouse=True)
def cache() -> Iterator[Path]:
    """Features of these small networks, computed once for all tests here."""
    folder = shared_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_TF_CACHE", str(folder))
        yield folder


def small(folder: Path, trials: int = 6, **options: object) -> Run:
    return made(folder, trials=trials, overrides=SMALL, failing=0, **options)


def started(run: Run, *overrides: str, top: int = 2, sample: int = 1) -> Reranking:
    return rerank.start(
        run, for_rerank(run.folder / filenames.CONFIG, 2, overrides), top=top, sample=sample
    )


@pytest.mark.parametrize(("top", "sample"), [(10, 10), (1, 30), (5, 0), (3, 1)])
def test_the_sample_has_one_of_each_part_of_the_rest(
    top: int, sample: int, tmp_path: Path
) -> None:
    run = made(tmp_path / "run", trials=60)
    ranked = [trial.trial for trial in run.best(60)]
    best, drawn = rerank.choose(run, top, sample, seed=1)
    assert best == ranked[:top]
    rest = ranked[top:]
    places = [rest.index(name) for name in drawn]
    edges = [len(rest) * n // max(1, sample) for n in range(sample + 1)]
    assert len(places) == sample
    for place, begin, end in zip(places, edges, edges[1:], strict=False):
        assert begin <= place < end


def test_the_sample_goes_by_the_seed(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=60)
    drawn = [rerank.choose(run, 5, 10, seed)[1] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_few_trials_are_all_chosen_and_equal_genotypes_once(tmp_path: Path) -> None:
    genotypes = invented.sampled("auxcell", 4)
    run = made(tmp_path / "run", trials=8, failing=0, genotypes=genotypes * 2)
    best, drawn = rerank.choose(run, 3, 10, seed=1)
    chosen = {trial.trial: trial for trial in run.trials if trial.trial in best + drawn}
    assert (len(best), len(drawn)) == (3, 1)
    assert {trial.genotype for trial in chosen.values()} == {
        str(genotype) for genotype in genotypes
    }
    for trial in chosen.values():
        alike = [item.reward for item in run.trials if item.genotype == trial.genotype]
        assert trial.reward == max(alike)


def test_longer_is_the_runs_own_configuration_with_more_epochs(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=2, overrides=["limits.seconds=60", "threads=1"])
    found = for_rerank(run.folder / filenames.CONFIG, 5, ["stage_one.polyak=null"])
    assert (found.stage_one.epochs, found.stage_two.epochs) == (10, 5)
    assert (found.gate.policy, found.limits.seconds, found.threads) == ("open", 300, None)
    assert found.stage_one.polyak is None
    assert found.stage_one.views == 4
    assert (
        for_rerank(run.folder / filenames.CONFIG, 5, ["stage_one.epochs=7"]).stage_one.epochs == 7
    )
    alone = made(tmp_path / "alone", trials=2, overrides=["stage_two=null"])
    assert for_rerank(alone.folder / filenames.CONFIG, 5).stage_two is None


def test_what_was_started_is_not_changed_on_its_way(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=30)
    first = started(run, top=3, sample=4)
    made(tmp_path / "run", trials=40)
    again = started(Run(run.folder), "threads=1", top=3, sample=4)
    assert (again.top, again.sample) == (first.top, first.sample)
    folder = run.folder / filenames.RERANK
    for options, line in (
        ({"top": 4, "sample": 4}, "--top=3, now it is 4"),
        ({"top": 3, "sample": 5}, "--sample=4, now it is 5"),
    ):
        with pytest.raises(ConfigError) as error:
            started(run, **options)
        assert str(error.value).startswith(f"{folder} was started with {line}: give what")
    with pytest.raises(ConfigError, match=r"with stage_one.polyak=0.9, now it is null: "):
        started(run, "stage_one.polyak=null", top=3, sample=4)
    with pytest.raises(ConfigError, match=r"with stage_one.epochs=4, now it is 12: "):
        rerank.start(run, for_rerank(run.folder / filenames.CONFIG, 6), top=3, sample=4)


def test_heads_are_compared_with_their_pyramid_under_the_plain_head(tmp_path: Path) -> None:
    pyramid = spaces.resolve("nas-fcos-fpn")
    given = ["space={name: fcos, search: head, fpn: nas-fcos-fpn}"]
    run = made(tmp_path / "run", space="fcos", trials=6, gate=False, overrides=given)
    reranking = started(run)
    candidates = rerank.remaining(reranking)
    assert [trial.trial for trial in candidates] == [BASELINE, *reranking.top, *reranking.sample]
    assert candidates[0].parsed == pyramid
    assert reranking.longer.info.max_trials == 4
    done = structs.replace(run.best()[0], trial=BASELINE, genotype=str(pyramid))
    TrialStore(reranking.longer.folder).add(done)
    again = started(Run(run.folder))
    assert again.baseline == done
    assert [trial.trial for trial in rerank.remaining(again)] == [*again.top, *again.sample]


def test_another_space_or_an_empty_run_is_refused(tmp_path: Path) -> None:
    run, dpc = made(tmp_path / "run", trials=3), made(tmp_path / "dpc", trials=3, space="dpc")
    with pytest.raises(ConfigError) as error:
        rerank.start(run, for_rerank(dpc.folder / filenames.CONFIG, 2), top=1, sample=0)
    assert "of space dpc, expected auxcell, that of the run" in str(error.value)
    empty = made(tmp_path / "empty", trials=0)
    with pytest.raises(DataError, match="has no completed trial yet"):
        started(empty)
    assert not (run.folder / filenames.RERANK).exists()
    assert not (empty.folder / filenames.RERANK).exists()


def test_pairs_are_ranked_before_and_after(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=60)
    invented.reranked(run, top=10, sample=8, failing=9)
    found = Reranking.of(run)
    assert len(found.failed) == 2
    assert len(found.pairs) == 16
    scores = [pair.longer.score for pair in found.pairs]
    assert scores == sorted(scores, reverse=True)
    assert [pair.rank_longer for pair in found.pairs] == list(range(1, 17))
    by_search = sorted(found.pairs, key=lambda pair: pair.rank)
    searched = [pair.search.score for pair in by_search]
    assert searched == sorted(searched, reverse=True)
    assert all(pair.search.genotype == pair.longer.genotype for pair in found.pairs)
    assert [pair.rank_of_all <= 10 for pair in found.pairs] == [p.is_top for p in found.pairs]
    assert found.overall.rho > 0.8
    assert found.among_top.count + sum(not pair.is_top for pair in found.pairs) == 16
    assert found.epochs == "10 + 1 epochs instead of 2 + 1"


@pytest.mark.slow
def test_the_report_shows_a_reranking(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=40)
    invented.reranked(run)
    text = page.write(run).read_text(encoding="utf-8")
    assert reranked.TITLE in text
    assert f"Search against longer training: Spearman&#39;s {Reranking.of(run).overall}" in text
    assert (run.folder / "report" / "reranking.svg").exists()


def test_a_reranking_that_has_just_started_says_so_and_is_drawn(tmp_path: Path) -> None:
    reranking = started(made(tmp_path / "run", trials=12))
    line = "0 of 3 candidates were trained longer, 4 + 2 epochs instead of 2 + 1."
    assert list(reranked.lines(reranking)) == [line]
    reranked.ranking_figure(reranking).savefig(tmp_path / "empty.png")


@pytest.mark.slow
def test_a_failing_candidate_costs_only_itself(tmp_path: Path) -> None:
    """The largest of three is beyond the limit; one is trained, the third is done already."""
    run = small(tmp_path / "run", trials=3)
    plain = for_rerank(run.folder / filenames.CONFIG, 1)

    def params(name: str) -> int:
        genotype = next(trial.parsed for trial in run.trials if trial.trial == name)
        blueprint = from_config.blueprint_builder(plain, genotype, "search")((64, 64))
        return cost(blueprint.deployed()).params

    by_params = sorted((trial.trial for trial in run.trials), key=params)
    limit = f"limits.params={params(by_params[-1]) - 1}"
    config = for_rerank(run.folder / filenames.CONFIG, 1, [limit, "stage_two=null"])
    reranking = rerank.start(run, config, top=3, sample=0)
    done = record.read(record.path_of(run.folder, by_params[0]))
    TrialStore(reranking.longer.folder).add(done)
    calls = []
    rerank.train(
        reranking,
        config,
        on_trial=lambda before, after: calls.append((before.trial, after.status)),
    )
    assert sorted(calls) == sorted([(by_params[1], "completed"), (by_params[2], "failed")])
    found = Reranking.of(run)
    assert "parameters, the limit is" in found.failed[0].stopped
    assert len(found.pairs) == 2
    assert rerank.remaining(found) == []


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = made(tmp_path / "run", trials=4)
    reranking = started(run)
    with (
        FileLock(reranking.longer.folder / ".rerank.lock"),
        pytest.raises(ConfigError, match="is in use by another process"),
    ):
        rerank.train(reranking, for_rerank(run.folder / filenames.CONFIG, 2))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["absent"], "absent is not the folder of a search: it has no run.json"),
        (["empty"], "empty has no completed trial yet, expected one at least"),
        (
            ["run", "--config", "camvid_dpc", "--epochs-times", "2"],
            "both --config and --epochs-times are given, expected one of them",
        ),
        (
            ["run", "--config", "camvid_dpc"],
            "the configuration is of space dpc, expected auxcell, that of the run",
        ),
        (
            ["run", "stage_one.epoch=2"],
            "override stage_one.epoch=2: key stage_one.epoch is unknown, did you mean epochs?",
        ),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    made(tmp_path / "run", trials=4)
    made(tmp_path / "empty", trials=0)
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == f"nas-tf: {line}\n"
    assert done.stdout == ""
    assert not (tmp_path / "run" / "rerank").exists()


@pytest.mark.slow
def test_killed_anywhere_it_resumes_and_reports_the_ranking(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    command = [*COMMAND, "run", "--top", "2", "--sample", "2", "--epochs-times", "2"]
    folder, env = run.folder / "rerank", {**os.environ, "COLUMNS": "150"}
    log = (tmp_path / "log").open("w")
    first = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
    while not list(folder.glob("trials/[!.]*.json")):
        assert first.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {path.name: path.read_bytes() for path in folder.glob("trials/[!.]*.json")}
    chosen = json.loads((folder / "run.json").read_text())
    again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"resuming after {len(kept)} of 4 candidates" in again.stderr
    assert f"\n4/4 trial {chosen['sample'][-1]}: " in again.stderr
    for name, content in kept.items():
        assert (folder / "trials" / name).read_bytes() == content
    trained = Run(folder)
    assert [trial.trial for trial in trained.trials] == chosen["top"] + chosen["sample"]
    assert all(len(trial.stages) == 2 for trial in trained.completed)
    assert [stage.steps for stage in trained.trials[0].stages] == [16, 16]
    lines = again.stdout.splitlines()
    assert lines[0].split()[:3] == ["rank", "longer", "search"]
    assert [line.split()[0] for line in lines[1:5]] == ["1", "2", "3", "4"]
    assert any(line.startswith("Search against longer training: Spearman's ρ") for line in lines)
    assert lines[-1] == "run/rerank/ranking.svg"
    assert (folder / "ranking.svg").exists()
