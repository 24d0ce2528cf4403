"""Reports a reranking as sentences and a figure: ranks in the search and after training."""

from collections.abc import Callable, Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_tf.report.document import BLUE, GREY, INK, ORANGE, paper, sheet
from nas_tf.report.formatting import score
from nas_tf.runs import Reranking, TrialRecord
from nas_tf.runs.reranking import Pair, other_metric_of
from nas_tf.runs.statistics import Correlation

TITLE = "Does the ranking hold?"
CAPTION = (
    "Candidates of the search that nas-tf rerank trained longer. Left: score in the search "
    "against score after longer training, and against the metric where the score is computed from "
    "the loss. Right: ranks before and after; horizontal lines are candidates whose rank is "
    "unchanged."
)
NAMED = 3


def lines(reranking: Reranking) -> Iterator[str]:
    """Yields sentences on how far the search's ranking can be trusted."""
    pairs, count = reranking.pairs, len(reranking.top) + len(reranking.sample)
    yield f"{len(pairs)} of {count} candidates were trained longer, {reranking.epochs}."
    for subject, correlation in (
        ("Search against longer training", reranking.overall),
        ("Stage one of the search alone against longer training", reranking.stage_one),
        ("Search against longer training, among its top alone", reranking.among_top),
    ):
        if correlation:
            yield f"{subject}: Spearman's {correlation}."
    if reranking.by_other_metric:
        yield (
            f"Score in the search against {reranking.other_metric} after longer training: "
            f"Spearman's {reranking.by_other_metric}."
        )
    if pairs:
        yield (
            f"The best after longer training, trial {pairs[0].longer.trial}, was number "
            f"{pairs[0].rank_of_all} of {len(reranking.run.completed)} in the search."
        )
    if reranking.baseline and pairs:
        yield _against_baseline(reranking, reranking.baseline)
    if reranking.failed:
        yield f"{len(reranking.failed)} failed in the longer training."


def _against_baseline(reranking: Reranking, baseline: TrialRecord) -> str:
    """Returns a sentence on what the search gained over the network with nothing searched."""
    best, plain = reranking.pairs[0], other_metric_of(baseline)
    top = [pair for pair in reranking.pairs if pair.is_top]
    above = sum(pair.longer.score > baseline.score for pair in top)
    figures = score(baseline.score), score(best.longer.score)
    if plain and best.other_metric:
        metrics = plain[1], best.other_metric[1]
        figures = tuple(
            f"{a} ({plain[0]} {score(b)})" for a, b in zip(figures, metrics, strict=True)
        )
    return (
        f"The baseline, which has nothing that was searched here, scores {figures[0]} after the "
        f"same training, the best here {figures[1]}; {above} of the {len(top)} trials of the top "
        "are above the baseline."
    )


def ranking_figure(reranking: Reranking) -> Figure:
    """Draws scores on the left and ranks on the right, a metric between if it is no score."""
    metric = reranking.other_metric
    with paper():
        figure, (left, *middle, right) = sheet(1, 3 if metric else 2, size=(8.0, 4.0))
        _scores(left, reranking)
        for axes in middle:
            _other_metric(axes, reranking)
        _ranks(right, reranking)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return figure


def _scores(axes: Axes, reranking: Reranking) -> None:
    _points(axes, reranking, lambda pair: pair.longer.score)
    if reranking.baseline:
        axes.axhline(reranking.baseline.score, color=INK, lw=0.8, ls="--", label="baseline")
    axes.set(xlabel="score in the search", ylabel="score after longer training")
    _title(axes, reranking.overall)


def _other_metric(axes: Axes, reranking: Reranking) -> None:
    """Draws the score in the search against the metric after longer training."""
    _points(axes, reranking, lambda pair: pair.other_metric[1] if pair.other_metric else None)
    if reranking.baseline and (plain := other_metric_of(reranking.baseline)):
        axes.axhline(plain[1], color=INK, lw=0.8, ls="--")
    axes.set(
        xlabel="score in the search", ylabel=f"{reranking.other_metric} after longer training"
    )
    _title(axes, reranking.by_other_metric)


def _points(axes: Axes, reranking: Reranking, value: Callable[[Pair], float | None]) -> None:
    for is_top, colour, label in (
        (True, BLUE, f"top {len(reranking.top)} of the search"),
        (False, ORANGE, "sample of the rest"),
    ):
        pairs = [pair for pair in reranking.pairs if pair.is_top == is_top]
        places = [pair.search.score for pair in pairs], [value(pair) for pair in pairs]
        axes.plot(*places, "o", color=colour, ms=5, mew=0, alpha=0.8, label=label)


def _title(axes: Axes, correlation: Correlation | None) -> None:
    text = str(correlation or "too few candidates for a rank correlation")
    axes.set_title(text.replace(" (", "\n("), fontsize=9)


def _ranks(axes: Axes, reranking: Reranking) -> None:
    pairs = reranking.pairs
    for pair in pairs:
        colour = BLUE if pair.is_top else ORANGE
        ends = [pair.rank, pair.rank_longer]
        axes.plot([0, 1], ends, "o-", color=colour, ms=3.5, linewidth=1.2, alpha=0.75)
        if pair.rank_longer <= NAMED:
            name = f"trial {pair.longer.trial}"
            axes.text(1.04, pair.rank_longer, name, va="center", fontsize=8, color=INK)
    axes.set_xticks([0, 1], ["search", "longer"])
    axes.set(xlim=(-0.15, 1.5), ylim=(len(pairs) + 0.8, 0.2), ylabel="rank")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=False, axis="x")
    axes.axvline(1, color=GREY, linewidth=0.5, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.5, zorder=0)
