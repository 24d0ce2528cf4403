"""Measures what stage one costs beyond its steps, through the evaluator of a search itself.

    NAS_TF_DATA=... python benchmarks/stage_one.py [--config bccd_fcos_fpn] [KEY=VALUE ...]

Evaluates eight candidates of a configuration, one after the other: random genotypes, and arch0 to
arch2 where auxiliary cells are searched. Prints seconds by part; the fixed cost is that of
building and tracing, the overhead this and waiting for input as a share of all.
"""

import argparse
import random
import statistics
from collections.abc import Iterator

from nas_tf import quiet, spaces
from nas_tf.genotype import Genotype

quiet.load("tensorflow")

from nas_tf.config import load  # noqa: E402
from nas_tf.config.schema import Config  # noqa: E402
from nas_tf.data import prepare  # noqa: E402
from nas_tf.runs.record import TrialRecord  # noqa: E402
from nas_tf.training import gate, hardware  # noqa: E402
from nas_tf.training.shared_data import SharedData  # noqa: E402
from nas_tf.training.two_stage import TwoStage  # noqa: E402

COUNT = 8


def candidates(config: Config) -> dict[str, Genotype]:
    """Returns genotypes of a configuration's space by name."""
    space = spaces.get(config.space)
    published = ("arch0", "arch1", "arch2") if space.name == "auxcell" else ()
    found = {name: spaces.resolve(name) for name in published}
    randoms = (space.sample(random.Random(n)) for n in range(1, 1 + COUNT - len(found)))
    return found | {f"random{n}": genotype for n, genotype in enumerate(randoms, 1)}


def evaluated(config: Config, seed: int) -> Iterator[tuple[str, TrialRecord]]:
    """Yields the record of each candidate."""
    prepare(config.data.name)
    evaluator = TwoStage(config, SharedData(config))
    for name, genotype in candidates(config).items():
        yield name, evaluator.evaluate(genotype, gate.make(config.gate, 1), seed=seed)


def show(config: Config, seed: int) -> None:
    """Prints a row per candidate and a summary."""
    print("genotype   build  trace  input  steps  validate  (trace)  reward  fixed s  overhead")
    fixed, overhead, complete = [], [], []
    for name, record in evaluated(config, seed):
        seconds = record.stages[0].seconds
        fixed.append(seconds["build"] + seconds["trace"] + seconds["validate_trace"])
        complete.append(sum(seconds.values()))
        overhead.append((fixed[-1] + seconds["input"]) / complete[-1])
        print(
            f"{name:9} {seconds['build']:6.2f} {seconds['trace']:6.2f} {seconds['input']:6.2f} "
            f"{seconds['steps']:6.1f} {seconds['validate']:9.2f} "
            f"{seconds['validate_trace']:8.2f} {record.score:7.4f} {fixed[-1]:8.2f} "
            f"{overhead[-1]:9.1%}",
            flush=True,
        )
    later = fixed[1:]
    print(
        f"fixed cost from the second candidate on: median {statistics.median(later):.2f} s, "
        f"worst {max(later):.2f} s\n"
        f"overhead (fixed and input): median {statistics.median(overhead):.1%}, "
        f"worst {max(overhead):.1%}\n"
        f"a candidate: median {statistics.median(complete):.1f} s, worst {max(complete):.1f} s"
    )


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--config", default="camvid_auxcell")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    config = load(options.config, ("stage_two=null", *options.overrides))
    hardware.use_threads(options.threads)
    print(
        f"stage one of {options.config}, {config.stage_one.epochs} epochs at batch "
        f"{config.stage_one.batch}, {config.precision}, {options.threads} thread(s)"
    )
    show(config, options.seed)


if __name__ == "__main__":
    main()
