"""The report of a progressive search whose score is computed from the loss."""

from pathlib import Path

import pytest
from msgspec import structs

from nas_tf.report import page, plots, reranked
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Reranking, Run, filenames, record
from nas_tf.runs.reranking import BASELINE
from tests.runs import made as invented
from tests.runs.made import made


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """A search of pyramids, and one of heads on its second best."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"space": "fcos", "trials": 24, "gate": False}
    pyramids = made(folder / "pyramids", **options)
    given = ["space.search=head", f"space.fpn={folder}/pyramids#2"]
    heads = made(folder / "heads", overrides=given, **options)
    invented.reranked(heads, top=4, sample=4)
    return Run(pyramids.folder), Run(heads.folder)


def test_each_page_names_the_other_run(runs: tuple[Run, Run]) -> None:
    pyramids, heads = runs
    chosen, best = pyramids.best(2)[1], heads.best()[0]
    assert list(page._progressive(pyramids)) == [
        f"{heads.folder} builds on trial {chosen.trial} of this search: best reward "
        f"{best.reward:.4f} after 24 trials."
    ]
    line = (
        f"This search builds on trial {chosen.trial} of {pyramids.folder}, whose reward there is "
        f"{chosen.reward:.4f}."
    )
    text = page.write(heads).read_text(encoding="utf-8")
    assert f"<p>{line}</p>" in text
    assert f"heads: fcos (search=head, fpn=fcos-{chosen.parsed.digest}, ops=portable)" in text


def test_scores_are_drawn_against_the_metric_and_the_gate_only_where_there_is_one(
    runs: tuple[Run, Run],
) -> None:
    statistics = RunStatistics(runs[1])
    assert set(plots.PLOTS) - set(plots.drawn(statistics)) == {"gate"}
    (axes,) = plots.draw("metric", statistics).axes
    x, y = axes.lines[0].get_data()
    metrics = [trial.stages[0].metrics["ap"] for trial in statistics.completed]
    assert (list(x), list(y)) == ([trial.score for trial in statistics.completed], metrics)
    assert axes.get_ylabel() == "ap"
    assert axes.get_title().startswith("ρ = ")


def test_the_share_of_fully_shared_heads_is_drawn_over_time(runs: tuple[Run, Run]) -> None:
    statistics = RunStatistics(runs[1])
    shares = {kind.kind: kind for kind in statistics.shares}
    assert list(shares) == ["head operations", "shared layers"]
    start, end = shares["shared layers"].edges[:2]
    first = [trial.parsed.parts[1][0] for trial in statistics.completed[start:end]]
    assert shares["shared layers"].words[0] == "all"
    assert shares["shared layers"].shares[0, 0] == pytest.approx(first.count(0) / len(first))


def test_a_reranking_says_what_the_search_gained_over_the_pyramid(runs: tuple[Run, Run]) -> None:
    found = Reranking.of(runs[1])
    base, best = found.baseline, found.pairs[0].longer
    assert base.trial == BASELINE not in [pair.longer.trial for pair in found.pairs]
    above = sum(pair.longer.score > base.score for pair in found.pairs if pair.is_top)
    ap = [trial.stages[0].metrics["ap"] for trial in (base, best)]
    lines = list(reranked.lines(found))
    assert lines[0].startswith("8 of 8 candidates were trained longer")
    assert lines[-1] == (
        f"The baseline, which has nothing that was searched here, scores {base.score:.4f} (ap "
        f"{ap[0]:.4f}) after the same training, the best here {best.score:.4f} (ap {ap[1]:.4f}); "
        f"{above} of the 4 trials of the top are above the baseline."
    )
    assert any(line.startswith("Score in the search against ap after longer") for line in lines)
    left, middle, _ = reranked.ranking_figure(found).axes
    assert [axes.lines[-1].get_ydata()[0] for axes in (left, middle)] == [base.score, ap[0]]
    assert middle.get_ylabel() == "ap after longer training"


def test_a_baseline_that_failed_is_no_baseline(runs: tuple[Run, Run], tmp_path: Path) -> None:
    longer = runs[1].folder / filenames.RERANK
    path = record.path_of(longer, BASELINE)
    before = path.read_text()
    failed = structs.replace(record.read(path), status="failed", stopped="loss is nan", stages=())
    path.write_text(record.text(failed))
    try:
        found = Reranking.of(Run(runs[1].folder))
        assert found.baseline is None
        assert list(reranked.lines(found))[-1] == "1 failed in the longer training."
        reranked.ranking_figure(found)
    finally:
        path.write_text(before)
