"""Writes the report of a run as one self-contained HTML page, and its figures as SVG and PNG."""

import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import fmean, median
from typing import Any

import msgspec
from msgspec import structs

from nas_tf.report import branches, document, graph, plots, reranked, run_statistics, supernet
from nas_tf.report.formatting import duration, milliseconds, score
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run, RunInfo, TrialRecord, filenames, progressive

TOP, DRAWN = 10, 3
CAPTIONS = {
    "search_curve": "Each dot is a trial. Rewards are those of a trial's last stage.",
    "densities": "Scores after each stage, of all trials that completed it; one mark per trial.",
    "gate": "Left: trials that passed the gate and trials that it stopped, against the mean with "
    "which it compares. Right: whether stage one ranks candidates as stage two does.",
    "pareto": "Blue: networks that no other beats in both. Costs are those of the exported "
    "network.",
    "metric": "Each dot is a trial. Scores are computed from the loss; Spearman's ρ states how "
    "far they rank trials as the metric does.",
    "shares": "Left: the share of each choice among all within a range of trials. Right: the "
    "mean reward of trials with it less that of trials without, with 95 % intervals: an "
    "association over the trials of this run, not an isolated effect.",
    "seconds": "Total time of each trial, by stage; with over a hundred trials, bars are means.",
}


def write(run: Run) -> Path:
    """Writes ``report.html`` and the figures of a run; returns the page's path."""
    statistics = RunStatistics(run)
    folder = run.folder / filenames.PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    return document.write(run.folder / filenames.REPORT, "page.html", _content(statistics, folder))


def _content(statistics: RunStatistics, folder: Path) -> dict[str, Any]:
    run, info = statistics.run, statistics.run.info
    samples = run.folder / filenames.SAMPLES
    config = run.folder / filenames.CONFIG
    return {
        "title": f"{run.folder.resolve().name}: {statistics.space} on {info.data}",
        "subtitle": f"{_name_of_oracle(info)}, started {info.created[:16].replace('T', ' ')}",
        "command": info.command,
        "progressive": list(_progressive(run)),
        "tiles": list(tiles(statistics)),
        "best": [row(trial) for trial in run.best(TOP)],
        "latency": any(trial.latency_ms for trial in statistics.completed),
        "drawings": _drawings(run, folder),
        "samples": document.uri(samples.read_bytes(), "png") if samples.exists() else None,
        "demo": _demo(run),
        "trust": list(trust(statistics)),
        "plots": [
            *_supernet(statistics, folder),
            *(_plots(statistics, folder) if statistics.completed else ()),
            *_reranked(statistics, folder),
            *_branches(run, folder),
        ],
        "failures": _failures(run),
        "about": _about(structs.replace(info, space=str(statistics.space))),
        "config": config.read_text(encoding="utf-8") if config.exists() else "",
    }


def _demo(run: Run) -> str | None:
    """Returns the command that runs the best network in a browser; None without its weights."""
    has_weights = any((run.folder / filenames.WEIGHTS).glob("*.npz"))
    return shlex.join(["nas-tf", "demo", str(run.folder)]) if has_weights else None


def tiles(statistics: RunStatistics) -> Iterator[tuple[str, str]]:
    """Yields the figures at the top of the page, each with its name."""
    most, completed = statistics.run.info.max_trials, statistics.completed
    of = f" of {most}" if most else ""
    yield f"{len(statistics.trials)}{of}", "trials"
    if completed:
        rewards = [trial.reward for trial in completed]
        yield score(max(rewards)), "best reward"
        yield score(median(rewards)), "median reward"
        if statistics.run.has_gate:
            yield f"{1 - len(statistics.gated) / len(completed):.0%}", "kept by the gate"
    yield str(len(statistics.failed)), "failed"
    if statistics.trials:
        yield duration(sum(trial.seconds for trial in statistics.trials)), "spent in trials"
        yield duration(_elapsed(statistics.trials)), "from first to last"


def _progressive(run: Run) -> Iterator[str]:
    """Yields sentences on the run that a progressive search builds on, and on its successors."""
    before = progressive.origin(run)
    if before is not None:
        record = before.record
        trial = f"trial {before.trial} of " if before.trial else ""
        found = f", whose reward there is {score(record.reward)}" if record else ""
        yield f"This search builds on {trial}{before.folder}{found}."
    for after in progressive.successors(run):
        settings = after.settings
        reward = f": best reward {score(after.best()[0].reward)}" if after.completed else ""
        yield (
            f"{after.folder} builds on trial {settings['search.follows.trial']} of this search"
            f"{reward} after {len(after.trials)} trials."
        )


def trust(statistics: RunStatistics) -> Iterator[str]:
    """Yields sentences on how far the run's results can be trusted."""
    completed = statistics.completed
    if len(completed) < 2:
        yield "Too few trials have finished for a statement."
        return
    yield from [nothing_learnt(statistics)] if statistics.alike else _reward_sentences(statistics)
    distinct = len({trial.genotype for trial in completed})
    yield f"{distinct} of {len(completed)} genotypes are distinct."
    yield from _second_seeds(statistics)
    yield (
        "Scores come from a part of the training split that no candidate was trained on; the "
        "validation split was not used. This is one run with one seed."
    )


def _second_seeds(statistics: RunStatistics) -> Iterator[str]:
    """Yields a sentence on the networks that were trained again with another seed."""
    first = {trial.trial: trial.reward for trial in statistics.completed}
    changes = [
        abs(trial.reward - first[trial.repeats])
        for trial in statistics.completed
        if trial.repeats in first
    ]
    if changes:
        yield (
            f"{len(changes)} of the best networks were trained again with another seed and rank "
            f"by the mean of both rewards, which differ by {score(fmean(changes))} on average."
        )


def nothing_learnt(statistics: RunStatistics) -> str:
    """Returns the sentence for nearly equal scores, with advice."""
    equal, total = statistics.alike, sum(bool(trial.stages) for trial in statistics.completed)
    count = f"all {total}" if len(equal) == total else f"{len(equal)} of {total}"
    return (
        f"Scores of {count} trials are equal but for {score(max(equal) - min(equal))} "
        f"({score(min(equal))} to {score(max(equal))}): nothing was learnt about which network is "
        f"better, and their order is random. {_advice(statistics)}"
    )


def _advice(statistics: RunStatistics) -> str:
    """Returns what may make scores differ, in the terms of the space and the oracle."""
    if statistics.run.info.oracle == "gradient":
        return "Train the super-net longer (gradient.epochs)."
    longer = "train candidates longer (stage_one.epochs, stage_one.views)"
    if not statistics.space.taps:
        return f"Check whether samples.png shows any change, and {longer}."
    weights = statistics.run.settings.get("network.weights", "imagenet")
    name = statistics.run.settings.get("network.encoder", "mobilenet_v2")
    trained = f"{name} with network.weights={weights}"
    encoder = "random" if weights in (None, "null") else trained
    return (
        "Check whether the predictions in samples.png show more than one class; "
        f"{longer}, or start from an encoder trained on such pictures (here: {encoder}; imagenet "
        "is for photographs, drawn for drawn scenes)."
    )


def _reward_sentences(statistics: RunStatistics) -> Iterator[str]:
    """Yields sentences on the spread of rewards, the stages' correlation, and the trend."""
    rewards = [trial.reward for trial in statistics.completed]
    mean = sum(rewards) / len(rewards)
    spread = (sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)) ** 0.5
    yield (
        f"Rewards are {score(mean)} ± {score(spread)} (mean and standard deviation); the best is "
        f"{(max(rewards) - mean) / (spread or 1.0):.1f} standard deviations above the mean."
    )
    if statistics.stage_correlation:
        yield f"Stage one against stage two: Spearman's {statistics.stage_correlation}."
    if statistics.reranking:
        yield from reranked.lines(statistics.reranking)
    third = max(1, len(rewards) // 3)
    early, late = sum(rewards[:third]) / third, sum(rewards[-third:]) / third
    yield f"The first third of the trials has mean {score(early)}, the last third {score(late)}."


def row(trial: TrialRecord) -> dict[str, str]:
    """Returns the cells of a trial in the table of the best."""
    scores = [score(stage.score) for stage in trial.stages]
    stage_one, stage_two = (*scores, "", "")[:2]
    return {
        "reward": score(trial.reward),
        "stage_one": stage_one,
        "stage_two": stage_two,
        "params": f"{trial.params:,}",
        "madds": f"{trial.madds / 1e9:.2f} B",
        "latency": milliseconds(trial.latency_ms) if trial.latency_ms else "",
        "trial": trial.trial,
        "genotype": trial.genotype,
    }


def _drawings(run: Run, folder: Path) -> list[dict[str, str]]:
    drawings = []
    for number, trial in enumerate(run.best(DRAWN), 1):
        title = f"number {number}, trial {trial.trial}"
        figure = graph.figure(trial.parsed, title=title)
        drawings.append(
            {"title": title, "data": document.save_figure(figure, folder / f"best_{number}")}
        )
    return drawings


def _plots(statistics: RunStatistics, folder: Path) -> list[dict[str, str]]:
    return [
        {
            "title": plots.PLOTS[name][0],
            "caption": CAPTIONS[name],
            "data": document.save_figure(plots.draw(name, statistics), folder / name),
        }
        for name in plots.drawn(statistics)
    ]


def _supernet(statistics: RunStatistics, folder: Path) -> Iterator[dict[str, str]]:
    """Yields the figures of a super-net, if the run has trained one."""
    found = supernet.read(statistics.run, statistics.space)
    for name, (title, caption, draw) in supernet.PLOTS.items() if found else ():
        data = document.save_figure(draw(found), folder / name)
        yield {"title": title, "caption": caption, "data": data}


def _reranked(statistics: RunStatistics, folder: Path) -> Iterator[dict[str, str]]:
    if statistics.reranking and statistics.reranking.pairs:
        data = document.save_figure(
            reranked.ranking_figure(statistics.reranking), folder / "reranking"
        )
        yield {"title": reranked.TITLE, "caption": reranked.CAPTION, "data": data}


def _branches(run: Run, folder: Path) -> Iterator[dict[str, str]]:
    """Yields the figure of a cell's branches, if the arrays of such a cell are saved."""
    if found := branches.best(run):
        trial, weights = found
        data = document.save_figure(branches.weights(weights), folder / "branches")
        caption = branches.CAPTION.format(trial=trial.trial)
        yield {"title": branches.TITLE, "caption": caption, "data": data}


def _failures(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "reason": failure.reason,
            "count": len(failure.trials),
            "genotype": failure.trials[0].genotype,
        }
        for failure in run_statistics.group_failures(run.trials)
    ]


def _about(info: RunInfo) -> list[tuple[str, str]]:
    content = msgspec.to_builtins(info)
    plain = {
        key: value
        for key, value in content.items()
        if key != "command" and not isinstance(value, dict)
    }
    if "input" in plain:
        plain["input"] = "x".join(map(str, plain["input"]))
    versions = ", ".join(f"{name} {value}" for name, value in info.versions.items())
    return [*((key, str(value)) for key, value in plain.items()), ("versions", versions)]


def _name_of_oracle(info: RunInfo) -> str:
    return f"{info.oracle}, seed {info.seed}"


def _elapsed(trials: list[TrialRecord]) -> float:
    started = min(datetime.fromisoformat(trial.started) for trial in trials)
    ended = max(datetime.fromisoformat(trial.ended) for trial in trials)
    return (ended - started).total_seconds()
