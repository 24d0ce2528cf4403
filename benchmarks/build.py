"""Measures how long a Keras network takes to build, for published and random genotypes.

python benchmarks/build.py [--count 10]
"""

import argparse
import random
import statistics
import time

from nas_tf import networks, spaces


def main() -> None:
    """Prints median and worst seconds per space, with search and published settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="random genotypes per space")
    count = parser.parse_args().count
    networks.build(spaces.resolve("arch0"), 11, input_size=(256, 256))  # the first in the process
    for name in spaces.SPACES:
        rng = random.Random(0)
        published = [p.genotype for p in spaces.PUBLISHED.values() if p.genotype.space == name]
        genotypes = published + [spaces.get(name).sample(rng) for _ in range(count)]
        for kind, settings in (
            ("search", networks.settings.search(name)),
            ("published", networks.settings.published(name)),
        ):
            taken = []
            for genotype in genotypes:
                start = time.perf_counter()
                networks.build(genotype, 11, input_size=(256, 256), settings=settings)
                taken.append(time.perf_counter() - start)
            print(
                f"{name:9} {kind:9} settings: median {statistics.median(taken):.2f} s, "
                f"worst {max(taken):.2f} s of {len(taken)}"
            )


if __name__ == "__main__":
    main()
