"""Times the search spaces on 1,000 genotypes each, and `nas-tf cost` on 100 rows.

python benchmarks/spaces.py
"""

import json
import random
import subprocess
import sys
import time

from nas_tf import spaces

COUNT = 1000


def seconds(name: str) -> dict[str, float]:
    """Times each operation over all genotypes."""
    space = spaces.get(name)
    rng = random.Random(0)
    taken = {}
    start = time.perf_counter()
    genotypes = [space.sample(rng) for _ in range(COUNT)]
    vectors = [space.encode(genotype) for genotype in genotypes]
    for verb, work in (
        ("decode", lambda: [space.decode(vector) for vector in vectors]),
        ("validate", lambda: [space.validate(genotype) for genotype in genotypes]),
        ("round-trip", lambda: [space.parse(space.spell(genotype)) for genotype in genotypes]),
        ("canonical", lambda: [space.canonical(genotype) for genotype in genotypes]),
    ):
        began = time.perf_counter()
        work()
        taken[verb] = time.perf_counter() - began
    taken["total"] = time.perf_counter() - start
    return taken


def cost_seconds() -> float:
    """Times ``nas-tf cost`` on 100 rows of the default space, start-up included."""
    space = spaces.get("auxcell")
    rng = random.Random(1)
    rows = "\n".join(json.dumps({"genotype": str(space.sample(rng))}) for _ in range(100))
    command = [sys.executable, "-m", "nas_tf", "cost"]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--space", "auxcell"], input=rows, text=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    """Prints one line per space."""
    for name in spaces.SPACES:
        parts = "  ".join(f"{verb} {taken:.3f} s" for verb, taken in seconds(name).items())
        print(f"{name:9} {COUNT} genotypes: {parts}")
    print(f"nas-tf cost, 100 rows of auxcell with start-up: {cost_seconds():.2f} s")


if __name__ == "__main__":
    main()
