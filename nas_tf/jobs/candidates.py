"""One candidate, trained and scored outside of a search, with the reward that it would have."""

import time
from collections.abc import Callable

from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.jobs.latencies import latency_of
from nas_tf.runs import TrialRecord
from nas_tf.search import outcome, preflight, pricing
from nas_tf.training import gate, hardware, own_data
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import Observer, TwoStage


def evaluate(
    config: Config,
    genotype: Genotype,
    *,
    observer: Observer | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> TrialRecord:
    """Trains and scores a candidate as a search does; the trial's name is the digest."""
    since = time.perf_counter()
    hardware.use_threads(config.threads)
    config = own_data.completed(config)
    pricing.check(config)
    if config.search.latency is not None:
        preflight.check(config)
    latency = latency_of(config)
    evaluator = TwoStage(config, SharedData(config, progress=progress), latency=latency)
    found = evaluator.evaluate(genotype, gate.make(config.gate, config.seed), observer=observer)
    return outcome.ended(found, genotype.digest, config.search.goals, since=since, worker="")
