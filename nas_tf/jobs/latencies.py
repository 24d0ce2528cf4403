"""Latencies on this machine: as a configuration asks, in tables of operations, by input size."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nas_tf import files, latency, networks
from nas_tf.config.schema import Config
from nas_tf.genotype import Genotype
from nas_tf.report.times_by_size import TimeBySize
from nas_tf.search import pricing
from nas_tf.sizes import Size
from nas_tf.training import own_data
from nas_tf.training.two_stage import Latency
from serving import lite_models, lite_runner, measure, op_table

_SEED = 1001


def measured_latency(config: Config) -> Latency | None:
    """Returns a function that measures a network, if ``search.latency`` is ``tflite``."""
    if config.search.latency != pricing.TFLITE:
        return None
    return lambda blueprint: measure.time_network(blueprint).median_ms


def latency_of(config: Config) -> Latency | None:
    """Returns the function from a blueprint to milliseconds that ``search.latency`` names."""
    return pricing.latency_of(config, measured_latency(config))


def fill_table(
    path: Path,
    config: Config,
    *,
    size: Size | None = None,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> latency.Table:
    """Measures a space's operations that are missing from a table, and saves them meanwhile."""
    config = own_data.completed(config)
    table = latency.read(path) if path.exists() else op_table.empty(threads)
    op_table.check_same(table, threads)
    return op_table.fill(
        table,
        pricing.operations(config, size),
        save=lambda extended: files.write(path, extended.to_json()),
        progress=progress,
    )


def predicted_and_measured(
    table: latency.Table, config: Config, count: int, size: Size | None = None
) -> Iterator[tuple[float, float]]:
    """Yields the latencies of random candidates: the sum of operations, and the measured one."""
    for blueprint in pricing.sample(own_data.completed(config), count, seed=_SEED, size=size):
        measured = measure.time_network(blueprint, threads=table.threads)
        yield table.predict(blueprint), measured.median_ms


def by_size(
    genotypes: Mapping[str, Genotype],
    sizes: Sequence[Size],
    *,
    classes: int = 21,
    threads: Sequence[int] = (1,),
    rounds: int = 3,
) -> Iterable[TimeBySize]:
    """Times networks by name at several sizes of the input, all in turns, with random weights.

    Their settings are those of the published networks, up to the logits of ``classes`` classes.
    """
    names, contents = {}, {}
    for name, genotype in genotypes.items():
        for size in sizes:
            blueprint = networks.blueprint_of(genotype, classes, input_size=size)
            path = Path(f"{len(names)}.tflite")
            names[path.name], contents[path] = (name, size), lite_models.of_network(blueprint)
    for row in measure.time_in_turns(contents, lite_runner.runtimes(), threads, rounds):
        name, size = names[row.name]
        yield TimeBySize(name, size, row.runtime, row.threads, tuple(row.medians))
