"""One candidate, trained and scored outside of a search, with the reward that it would have."""

import time
from collections.abc import Callable

from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.jobs.latencies import latency_of
from nas_tf.runs import TrialRecord
from nas_tf.search import one_shot, outcome, preflight, pricing
from nas_tf.training import gate, hardware, own_data
from nas_tf.training.two_stage import Observer


def evaluate(
    config: Config,
    genotype: Genotype,
    *,
    observer: Observer | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> TrialRecord:
    """Trains and scores a candidate as a search does; the trial's name is the digest.

    With ``search.supernet`` it is scored with that super-net's weights.
    """
    since = time.perf_counter()
    hardware.use_threads(config.threads)
    config = own_data.completed(config)
    pricing.check(config)
    if config.search.latency is not None:
        preflight.check(config)
    latency = latency_of(config)
    evaluator = one_shot.evaluator(config, latency=latency, progress=progress)
    found = evaluator.evaluate(genotype, gate.make(config.gate, config.seed), observer=observer)
    return outcome.ended(found, genotype.digest, config.search.goals, since=since, worker="")
