"""Trains the best of a search and a sample of the rest longer, to check the search's ranking.

Both papers check it so. Results are saved in the folder ``rerank`` of the run, trial by trial, so
that a later call resumes an interrupted one.
"""

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

from filelock import FileLock, Timeout
from msgspec import structs

from nas_tf import files, spaces
from nas_tf.config import resumed
from nas_tf.config.load import dump, load_saved
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, DataError, NasTfError
from nas_tf.runs import Reranking, Run, TrialRecord, filenames, record
from nas_tf.runs.reranking import BASELINE
from nas_tf.runs.trial_store import TrialStore
from nas_tf.search import pricing
from nas_tf.search.outcome import crashed, ended
from nas_tf.search.provenance import run_info
from nas_tf.training import gate, hardware, own_files
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import Observer, TwoStage

_FREE = ("threads", "search.", "full_training.", "evaluation.")
_LOCK = ".rerank.lock"


def choose(run: Run, top: int, sample: int, seed: int) -> tuple[list[str], list[str]]:
    """Returns the names of the best trials, and of one from each of ``sample`` parts of the rest.

    The parts have equal sizes. Of trials with the same genotype only the best counts.
    """
    distinct: dict[str, str] = {}
    for trial in run.best(len(run.trials)):
        distinct.setdefault(trial.genotype, trial.trial)
    ranked = list(distinct.values())
    rest, rng = ranked[top:], random.Random(seed)
    count = min(sample, len(rest))
    edges = [len(rest) * n // count for n in range(count + 1)] if count else []
    sampled = [rest[rng.randrange(*part)] for part in itertools.pairwise(edges)]
    return ranked[:top], sampled


def start(run: Run, config: Config, *, top: int, sample: int) -> Reranking:
    """Chooses candidates and saves the choice, or resumes a reranking with the same settings."""
    folder = run.folder / filenames.RERANK
    space, searched = spaces.get(config.space), spaces.get(run.info.space)
    if space != searched:
        raise ConfigError(
            f"the configuration is of space {space}, expected {searched}, that of the run"
        )
    pricing.check(config)
    if config.data.name == run.info.data:
        own_files.check(run.folder, config)
    own_files.check(folder, config)
    before = Reranking.of(run)
    if before is not None:
        _check(before, config, {"top": top, "sample": sample})
        return before
    best, sampled = choose(run, top, sample, config.seed)
    if not best:
        raise DataError(f"{run.folder} has no completed trial yet, expected one at least")
    own_files.claim(folder, config)
    files.write(folder / filenames.CONFIG, dump(config))
    baseline = space.baseline
    info = structs.replace(
        run_info(config, oracle="rerank", max_trials=len(best) + len(sampled) + bool(baseline)),
        of=run.folder.resolve().name,
        asked={"top": top, "sample": sample},
        top=tuple(best),
        sample=tuple(sampled),
        baseline=None if baseline is None else str(baseline),
    )
    files.write(folder / filenames.RUN, record.text(info))
    return Reranking(run, Run(folder))


def remaining(reranking: Reranking) -> list[TrialRecord]:
    """Returns the search's records of candidates that remain to be trained, the top first.

    The baseline, which precedes them, was no trial of the search: its record has no stages.
    """
    searched = {trial.trial: trial for trial in reranking.run.trials}
    baseline = spaces.get(reranking.run.info.space).baseline
    if baseline is not None:
        searched[BASELINE] = structs.replace(TrialRecord.of(baseline, 0.0), trial=BASELINE)
    done = {trial.trial for trial in TrialStore(reranking.longer.folder).all()}
    return [searched[name] for name in reranking.names if name in searched and name not in done]


def train(
    reranking: Reranking,
    config: Config,
    *,
    observer: Observer | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    on_trial: Callable[[TrialRecord, TrialRecord], None] | None = None,
) -> None:
    """Trains what remains; a candidate that fails is recorded, and the others continue.

    ``on_trial`` is called with the search's record of a candidate and the new one. One process at
    a time may train: another raises ``ConfigError``.
    """
    folder = reranking.longer.folder
    try:
        with FileLock(folder / _LOCK, timeout=0):
            todo = remaining(reranking)
            if not todo:
                return
            hardware.use_threads(config.threads)
            evaluator = TwoStage(config, SharedData(config, progress=progress))
            for trial in todo:
                done = _train_candidate(evaluator, trial, observer)
                TrialStore(folder).add(done)
                if on_trial is not None:
                    on_trial(trial, done)
    except Timeout:
        raise ConfigError(
            f"{folder} is in use by another process, expected one at a time"
        ) from None


def _train_candidate(
    evaluator: TwoStage, trial: TrialRecord, observer: Observer | None
) -> TrialRecord:
    """Returns the record of a longer training; the same network has the same latency."""
    config, since = evaluator.config, time.perf_counter()
    admits_all = gate.make(config.gate, config.seed)
    try:
        found = evaluator.evaluate(trial.parsed, admits_all, observer=observer)
    except NasTfError:
        raise
    except Exception as error:
        found = crashed(trial.parsed, error, config.limits.failure_score)
    found = structs.replace(found, latency_ms=trial.latency_ms)
    return ended(found, trial.trial, config.search.goals, since=since, worker="rerank")


def _check(before: Reranking, config: Config, arguments: dict[str, int]) -> None:
    """Raises if a resumed reranking has other settings than those it was started with."""
    folder = before.longer.folder
    was = {f"--{key}": value for key, value in before.longer.info.asked.items()}
    was |= resumed.values(load_saved(folder / filenames.CONFIG))
    is_now = {f"--{key}": value for key, value in arguments.items()} | resumed.values(config)
    for key in was | is_now:
        if not key.startswith(_FREE) and was.get(key) != is_now.get(key):
            raise ConfigError(
                f"{folder} was started with {key}={_text(was.get(key))}, now it is "
                f"{_text(is_now.get(key))}: give what it was started with, or delete the folder"
            )


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
