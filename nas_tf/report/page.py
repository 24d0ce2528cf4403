"""One self-contained HTML page of a run, with its pictures beside it as SVG and PNG."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from nas_tf.report import document, graph, plots, reranked, run_statistics
from nas_tf.report.formatting import duration, milliseconds
from nas_tf.report.run_statistics import RunStatistics
from nas_tf.runs import Run, TrialRecord, files

TOP, DRAWN = 10, 3
CAPTIONS = {
    "search_curve": "Each dot is a trial. Rewards are of the stage a trial ended with.",
    "densities": "Rewards after each stage, of all trials that reached its end; a mark a trial.",
    "gate": "Left: who went on, against the mean that the gate compares with. Right: whether the "
    "cheap stage ranks as the dear one does.",
    "pareto": "Blue: networks that no other beats in both. Costs are those of the network as "
    "shipped.",
    "shares": "Left: of all choices within a stretch of trials, how many were this one. Right: "
    "mean rewards of trials with it less those without, with 95 % intervals: an association over "
    "the trials of this run, not an effect that was isolated.",
    "seconds": "Whole trials, stage by stage; over a hundred trials, bars are means.",
}


def write(run: Run) -> Path:
    """Writes ``report.html`` and the pictures of a run; returns the page's path."""
    facts = RunStatistics(run)
    folder = run.folder / files.PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    return document.write(run.folder / files.REPORT, "page.html", _content(facts, folder))


def _content(facts: RunStatistics, folder: Path) -> dict[str, Any]:
    run, about = facts.run, facts.run.about
    samples = run.folder / files.SAMPLES
    config = run.folder / files.CONFIG
    return {
        "title": f"{run.folder.resolve().name}: {about['space']} on {about['data']}",
        "subtitle": f"{_name_of_oracle(about)}, begun {about['created'][:16].replace('T', ' ')}",
        "command": about["command"],
        "tiles": list(tiles(facts)),
        "best": [row(trial) for trial in run.best(TOP)],
        "latency": any(trial.latency_ms for trial in facts.completed),
        "drawings": _drawings(run, folder),
        "samples": document.uri(samples.read_bytes(), "png") if samples.exists() else None,
        "trust": list(trust(facts)),
        "plots": [*_plots(facts, folder), *_reranked(facts, folder)] if facts.completed else [],
        "failures": _failures(run),
        "about": _about(about),
        "config": config.read_text(encoding="utf-8") if config.exists() else "",
    }


def tiles(facts: RunStatistics) -> Iterator[tuple[str, str]]:
    """The figures on top: each with what it counts."""
    about, completed = facts.run.about, facts.completed
    of = f" of {about['max_trials']}" if about["max_trials"] else ""
    yield f"{len(facts.trials)}{of}", "trials"
    if completed:
        rewards = [trial.reward for trial in completed]
        yield f"{max(rewards):.4f}", "best reward"
        yield f"{median(rewards):.4f}", "median reward"
        if facts.run.has_gate:
            yield f"{1 - len(facts.gated) / len(completed):.0%}", "kept by the gate"
    yield str(len(facts.failed)), "failed"
    if facts.trials:
        yield duration(sum(trial.seconds for trial in facts.trials)), "spent in trials"
        yield duration(_elapsed(facts.trials)), "from first to last"


def trust(facts: RunStatistics) -> Iterator[str]:
    """Sentences that say how far the run can be believed."""
    completed = facts.completed
    if len(completed) < 2:
        yield "Too few trials finished to say anything."
        return
    yield from [nothing_learnt(facts)] if facts.alike else _told_by_rewards(facts)
    distinct = len({trial.genotype for trial in completed})
    yield f"{distinct} of {len(completed)} genotypes are written differently."
    yield (
        "Rewards come from a part of the training split that no candidate was trained on; the "
        "validation split was not looked at. One run with one seed."
    )


def nothing_learnt(facts: RunStatistics) -> str:
    """What is said where nearly all rewards are equal, and what to do about it."""
    equal, every = facts.alike, sum(bool(trial.stages) for trial in facts.completed)
    count = f"all {every}" if len(equal) == every else f"{len(equal)} of {every}"
    weights = facts.run.settings.get("network.weights", "imagenet")
    encoder = "random" if weights in (None, "null") else f"network.weights={weights}"
    return (
        f"Rewards of {count} trials are equal but for {max(equal) - min(equal):.4f} "
        f"({min(equal):.4f} to {max(equal):.4f}): nothing was learnt about which network is "
        "better, and their order is chance. See whether the predictions in samples.png "
        "show more than one class; train candidates longer (stage_one.epochs, stage_one.views), "
        f"or begin with an encoder that knows such pictures (here: {encoder}; imagenet is for "
        "photographs, drawn for drawn scenes)."
    )


def _told_by_rewards(facts: RunStatistics) -> Iterator[str]:
    """How far rewards spread, whether the stages agree, and whether they rose."""
    rewards = [trial.reward for trial in facts.completed]
    mean = sum(rewards) / len(rewards)
    spread = (sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1)) ** 0.5
    yield (
        f"Rewards are {mean:.4f} ± {spread:.4f} (mean and standard deviation); the best is "
        f"{(max(rewards) - mean) / max(spread, 1e-9):.1f} standard deviations above the mean."
    )
    if facts.honesty:
        yield f"Stage one against stage two: Spearman's {facts.honesty}."
    if facts.reranking:
        yield from reranked.lines(facts.reranking)
    third = max(1, len(rewards) // 3)
    early, late = sum(rewards[:third]) / third, sum(rewards[-third:]) / third
    yield f"The first third of the trials has mean {early:.4f}, the last third {late:.4f}."


def row(trial: TrialRecord) -> dict[str, str]:
    """A trial as it stands in the table of the best."""
    rewards = [f"{stage.score:.4f}" for stage in trial.stages]
    one, two = (*rewards, "", "")[:2]
    return {
        "reward": f"{trial.reward:.4f}",
        "one": one,
        "two": two,
        "params": f"{trial.params:,}",
        "madds": f"{trial.madds / 1e9:.2f} B",
        "latency": milliseconds(trial.latency_ms) if trial.latency_ms else "",
        "trial": trial.trial,
        "genotype": trial.genotype,
    }


def _drawings(run: Run, folder: Path) -> list[dict[str, str]]:
    drawn = []
    for number, trial in enumerate(run.best(DRAWN), 1):
        title = f"number {number}, trial {trial.trial}"
        figure = graph.figure(trial.parsed, title=title)
        drawn.append(
            {"title": title, "data": document.save_figure(figure, folder / f"best_{number}")}
        )
    return drawn


def _plots(facts: RunStatistics, folder: Path) -> list[dict[str, str]]:
    return [
        {
            "title": title,
            "caption": CAPTIONS[name],
            "data": document.save_figure(plots.draw(name, facts), folder / name),
        }
        for name, (title, _) in plots.PLOTS.items()
    ]


def _reranked(facts: RunStatistics, folder: Path) -> Iterator[dict[str, str]]:
    if facts.reranking and facts.reranking.pairs:
        data = document.save_figure(reranked.ranking_figure(facts.reranking), folder / "reranking")
        yield {"title": reranked.TITLE, "caption": reranked.CAPTION, "data": data}


def _failures(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "reason": failure.reason,
            "count": len(failure.trials),
            "genotype": failure.trials[0].genotype,
        }
        for failure in run_statistics.group_failures(run.trials)
    ]


def _about(about: dict[str, Any]) -> list[tuple[str, str]]:
    plain = {
        key: value
        for key, value in about.items()
        if key != "command" and value is not None and not isinstance(value, dict)
    }
    if "input" in plain:
        plain["input"] = "x".join(map(str, plain["input"]))
    versions = ", ".join(f"{name} {value}" for name, value in about.get("versions", {}).items())
    return [*((key, str(value)) for key, value in plain.items()), ("versions", versions)]


def _name_of_oracle(about: dict[str, Any]) -> str:
    return f"{about['oracle']}, seed {about['seed']}"


def _elapsed(trials: list[TrialRecord]) -> float:
    begun = min(datetime.fromisoformat(trial.started) for trial in trials)
    ended = max(datetime.fromisoformat(trial.ended) for trial in trials)
    return (ended - begun).total_seconds()
