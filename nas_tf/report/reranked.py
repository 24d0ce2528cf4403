"""Reports a reranking as sentences and a figure: ranks in the search and after training."""

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nas_tf.report.document import BLUE, GREY, INK, ORANGE, paper, sheet
from nas_tf.runs import Reranking

TITLE = "Does the ranking hold?"
CAPTION = (
    "Candidates of the search that nas-tf rerank trained longer. Left: score in the search "
    "against score after longer training. Right: ranks before and after; horizontal lines are "
    "candidates whose rank is unchanged."
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
    if pairs:
        yield (
            f"The best after longer training, trial {pairs[0].longer.trial}, was number "
            f"{pairs[0].rank_of_all} of {len(reranking.run.completed)} in the search."
        )
    if reranking.failed:
        yield f"{len(reranking.failed)} failed in the longer training."


def ranking_figure(reranking: Reranking) -> Figure:
    """Draws scores on the left and ranks on the right."""
    with paper():
        figure, (left, right) = sheet(1, 2, size=(8.0, 4.0))
        _scores(left, reranking)
        _ranks(right, reranking)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure


def _scores(axes: Axes, reranking: Reranking) -> None:
    for is_top, colour, label in (
        (True, BLUE, f"top {len(reranking.top)} of the search"),
        (False, ORANGE, "sample of the rest"),
    ):
        pairs = [pair for pair in reranking.pairs if pair.is_top == is_top]
        axes.plot(
            [pair.search.score for pair in pairs],
            [pair.longer.score for pair in pairs],
            "o", color=colour, ms=5, mew=0, alpha=0.8, label=label,
        )  # fmt: skip
    axes.set(xlabel="score in the search", ylabel="score after longer training")
    title = str(reranking.overall or "too few candidates for a rank correlation")
    axes.set_title(title, fontsize=9)


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
