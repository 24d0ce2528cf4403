"""Invented runs that are true to the schema: written to disk in no time, without any training.

A genotype has one quality, whatever run it appears in; a run adds noise, a lift (what an ablation
takes away) and a trend (what an oracle learns). So pairs, ranks and curves behave as real ones do.
"""

import json
import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from nas_tf import files, spaces
from nas_tf.config import load
from nas_tf.config.load import dump
from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.runs import Run, Stage, TrialRecord, filenames
from nas_tf.runs.record import SCHEMA
from nas_tf.runs.reranking import BASELINE
from nas_tf.runs.trial_store import TrialStore

CONFIGS = {"auxcell": "shapes_auxcell", "template": "camvid_template", "dpc": "camvid_dpc"}
CONFIGS["fcos"] = "shapes_fcos"
STARTED = datetime.fromisoformat("2026-01-02T03:04:05.000+00:00")
REASONS = ("loss is nan at step 7 of stage 1", "parameters 9,100,000 exceed limits.params")


def made(
    folder: Path,
    *,
    space: str = "auxcell",
    trials: int = 40,
    seed: int = 1,
    oracle: str = "PPOOracle",
    overrides: Sequence[str] = (),
    genotypes: Sequence[Genotype] | None = None,
    failing: int = 13,
    gate: bool = True,
    trend: float = 0.5,
    lift: float = 0.0,
    noise: float = 0.01,
    latency: bool = False,
    strides: Sequence[int] = (4, 8, 16),
) -> Run:
    """Writes a run of ``trials`` finished trials.

    Args:
        folder: The run's own folder.
        genotypes: The genotypes to evaluate, in order; sampled from the space if None.
        failing: Every ``failing``-th trial fails; 0 for none.
        gate: Whether weak trials stop after stage one.
        trend: The probability that the last trials are the better of two samples.
        lift: The amount added to all rewards.
        noise: The standard deviation of rewards.
        latency: Whether candidates have a latency.
        strides: The output strides of the networks.
    """
    experiment = load(
        CONFIGS[space], [*overrides, f"search.trials={max(1, trials)}", f"seed={seed}"]
    )
    describe(folder, experiment, oracle=oracle)
    searched = spaces.get(experiment.space)
    rng, store, at, firsts = random.Random(seed), TrialStore(folder), STARTED, []
    lines = []
    for number in range(trials):
        learnt = rng.random() < trend * number / trials
        drawn = [searched.sample(rng) for _ in range(3 if learnt else 1)]
        genotype = genotypes[number] if genotypes else max(drawn, key=quality)
        fails = failing and number % failing == failing - 1
        mean = sum(firsts) / len(firsts) if firsts else 0.0
        first = quality(genotype) + lift + rng.gauss(0, noise)
        admitted = not gate or first > mean or rng.random() < 0.9 * 0.99**number
        if not fails:
            firsts.append(first)
            lines.append({"trial": f"{number:04d}", "reward": first, "goes_on": admitted})
        detects = searched.name == "fcos"  # in one stage, with a score that is no metric
        stages = _trial(first, admitted and not fails and not detects, rng, noise, detects)
        seconds = rng.uniform(1, 4) + sum(sum(stage.seconds.values()) for stage in stages)
        ended = at + timedelta(seconds=seconds)
        record = TrialRecord(
            trial=f"{number:04d}",
            space=searched.name,
            genotype=str(genotype),
            status="failed" if fails else "completed",
            reward=0.0 if fails else stages[-1].score,
            score=0.0 if fails else stages[-1].score,
            stages=() if fails else stages,
            stopped=REASONS[number % 2] if fails else None if admitted else "gate",
            params=int(4e5 + 6e5 * quality(genotype) + 1e5 * rng.random()),
            madds=int(1e9 + 3e9 * rng.random()),
            latency_ms=rng.uniform(4, 30) if latency else None,
            output_stride=msgspec.UNSET
            if detects
            else strides[int(genotype.digest, 16) % len(strides)],
            seed=seed,
            seconds=seconds,
            worker="tuner0",
            started=at.isoformat(timespec="milliseconds"),
            ended=ended.isoformat(timespec="milliseconds"),
        )
        store.add(record)
        at = ended
    if gate:
        _write_gate(folder, lines, seed)
    return Run(folder)


def describe(folder: Path, experiment: Config, *, oracle: str) -> None:
    """Writes the provenance of the run."""
    files.write(folder / filenames.CONFIG, dump(experiment))
    source = CONFIGS[spaces.get(experiment.space).name]
    about = {
        "schema": SCHEMA,
        "nas_tf": "0.1.0",
        "space": experiment.space,
        "data": experiment.data.name,
        "task": "segmentation",
        "outputs": 11,
        "input": [360, 480],
        "oracle": oracle,
        "max_trials": experiment.search.trials,
        "seed": experiment.seed,
        "created": STARTED.isoformat(timespec="milliseconds"),
        "command": f"nas-tf search {source} --out {folder.name}",
        "python": "3.11.9",
        "machine": "Linux x86_64",
        "versions": {"tensorflow": "2.15.1", "keras": "2.15.0", "numpy": "1.26.4"},
    }
    files.write(folder / filenames.RUN, json.dumps(about, indent=1) + "\n")


def quality(genotype: Genotype) -> float:
    """The reward that a genotype has by itself, 0.2 to 0.5, the same in every run."""
    return 0.2 + 0.3 * random.Random(genotype.digest).betavariate(4, 3)


def sampled(space: str, count: int, seed: int = 1) -> list[Genotype]:
    """Genotypes for runs that evaluate the same ones."""
    rng = random.Random(seed)
    return [spaces.get(space).sample(rng) for _ in range(count)]


def _trial(
    first: float, admitted: bool, rng: random.Random, noise: float, detects: bool = False
) -> tuple[Stage, ...]:
    stages = [_stage(first, 40, rng, detects)]
    if admitted:
        stages.append(_stage(first + 0.08 + rng.gauss(0, noise), 20, rng))
    return tuple(stages)


def _stage(reward: float, steps: int, rng: random.Random, detects: bool = False) -> Stage:
    initial = rng.uniform(1.8, 2.4)
    metrics = {
        "mean_iou": 0.9 * reward,
        "frequency_weighted_iou": min(1.0, 1.3 * reward),
        "mean_class_accuracy": reward,
        "reward": reward,
    }
    if detects:
        metrics = {"ap": max(0.0, reward - 0.2), "ap50": reward, "loss": -math.log(reward)}
    return Stage(
        score=reward,
        metrics=metrics,
        losses=tuple(round(initial * 0.97**step, 6) for step in range(steps)),
        steps=steps,
        seconds={
            **{"build": 0.4, "trace": rng.uniform(2, 4), "input": 0.3},
            **{"steps": rng.uniform(4, 9), "validate": 1.1, "validate_trace": 0.8},
        },
    )


def _write_gate(folder: Path, lines: list[dict], seed: int) -> None:
    total, probability, text = 0.0, 0.9, ""
    for seen, line in enumerate(lines, 1):
        total += line["reward"]
        state = {"policy": "paper", "seed": seed, "seen": seen, "mean": total / seen}
        text += json.dumps({**line, "state": {**state, "probability": probability}}) + "\n"
        probability *= 0.99
    files.write(folder / filenames.GATE, text)


def reranked(
    run: Run, *, top: int = 10, sample: int = 10, failing: int = 0, times: int = 5
) -> Run:
    """Writes the result of ``nas-tf rerank``: longer trainings of a run, lifted by 0.1."""
    ranked, folder = run.best(len(run.trials)), run.folder / filenames.RERANK
    rest = ranked[top:]
    drawn = [rest[len(rest) * n // sample] for n in range(sample)] if rest else []
    chosen = [*ranked[:top], *drawn]
    before = load(run.folder / filenames.CONFIG)
    epochs = f"stage_one.epochs={times * before.stage_one.epochs}"
    experiment = load(run.folder / filenames.CONFIG, [epochs, "gate.policy=open"])
    describe(folder, experiment, oracle="rerank")
    about = json.loads((folder / filenames.RUN).read_text(encoding="utf-8"))
    about |= {"asked": {"top": top, "sample": sample}, "max_trials": len(chosen), "of": "made"}
    about |= {
        "top": [trial.trial for trial in chosen[:top]],
        "sample": [trial.trial for trial in drawn],
    }
    files.write(folder / filenames.RUN, json.dumps(about, indent=1) + "\n")
    rng, store = random.Random(run.info.seed), TrialStore(folder)
    if (baseline := spaces.get(run.info.space).baseline) is not None:
        about["baseline"] = str(baseline)
        files.write(folder / filenames.RUN, json.dumps(about, indent=1) + "\n")
        plain = msgspec.structs.replace(chosen[0], trial=BASELINE, genotype=str(baseline))
        chosen.insert(0, plain)
    for number, trial in enumerate(chosen):
        fails = failing and number % failing == failing - 1
        detects = trial.space == "fcos"
        stages = _trial(quality(trial.parsed) + 0.1, not detects, rng, 0.01, detects)
        reward = 0.0 if fails else stages[-1].score
        store.add(
            msgspec.structs.replace(
                trial,
                status="failed" if fails else "completed",
                stopped=REASONS[0] if fails else None,
                stages=() if fails else stages,
                reward=reward,
                score=reward,
            )
        )
    return Run(folder)
