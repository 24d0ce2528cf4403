"""Times a step of the gradient search: the architecture's part and the weights' part.

    python benchmarks/supernet_step.py [--rounds 2] [--sizes]

The setting is the released one of HiNAS: three layers, four nodes, width 10, six grey crops of
64x64. Each precision has its turns in a process of its own, on one thread. Prints the seconds
until the first step of both parts has been made, and the processor seconds of the fastest step of
each.
With ``--sizes`` also those of other batches and crops in float32, as ratios to the setting.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

LAYERS, NODES, WIDTH, BATCH, CROP = 3, 4, 10, 6, 64
PRECISIONS = ("float32", "bfloat16")
STEPS = 3
SIZES = ((3, 64), (12, 64), (6, 32), (6, 96))


def measure(precision: str, batch: int, crop: int) -> dict[str, float]:
    """Returns the seconds of the first steps, and the processor seconds of later ones by part."""
    import numpy as np
    import tensorflow as tf

    from nas_tf.config.schema import Gradient
    from nas_tf.networks.arrays import layouts
    from nas_tf.networks.state import from_arrays, initial_arrays
    from nas_tf.networks.supernet import ARCHITECTURE, supernet
    from nas_tf.networks.wide import WideFunctional
    from nas_tf.spaces.restoration import RestorationSpace
    from nas_tf.tasks import Restoration
    from nas_tf.training import hardware
    from nas_tf.training.learner import Learner, Recipe
    from nas_tf.training.supernet_training import WEIGHTS

    hardware.use_threads(1)
    hardware.without_fusion()
    task, settings = Restoration(ssim_weight=0.5), Gradient()
    space = RestorationSpace(layers=LAYERS, nodes=NODES)
    blueprint = supernet(space, task.head, width=WIDTH, input_size=(crop, crop))
    parts = layouts(blueprint)
    optimisers = {ARCHITECTURE: settings.architecture, WEIGHTS: settings.weights}
    learner = Learner(
        blueprint,
        task,
        {
            part: Recipe(optimisers={part: own}, normalising=frozenset({WEIGHTS}))
            for part, own in optimisers.items()
        },
        from_arrays(parts, initial_arrays(blueprint, seed=0)),
        parts,
        precision=hardware.precision(precision),
        network=WideFunctional,
    )
    rng, shape = np.random.default_rng(0), (batch, crop, crop, 3)
    images, clean = (tf.constant(rng.uniform(-1, 1, shape), tf.float32) for _ in range(2))

    def step(part: str) -> float:
        before = time.process_time()
        float(learner.step(images, clean, {part: 1e-3}, by=part))
        return time.process_time() - before

    started = time.perf_counter()
    for part in optimisers:
        step(part)
    first = time.perf_counter() - started
    return {"first": first} | {part: min(step(part) for _ in range(STEPS)) for part in optimisers}


def in_a_process(*arguments: Any) -> dict[str, float]:
    """Returns what another process measures."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env)
    return json.loads(done.stdout.splitlines()[-1])


def fastest(found: list[dict[str, float]]) -> dict[str, float]:
    """Returns the least of each figure."""
    return {key: min(each[key] for each in found) for key in found[0]}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sizes", action="store_true", help="Also other batches and crops.")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        precision, batch, crop = arguments.one
        print(json.dumps(measure(precision, int(batch), int(crop))))
        return
    rounds = [
        {name: in_a_process(name, BATCH, CROP) for name in PRECISIONS}
        for _ in range(arguments.rounds)
    ]
    print("precision   first steps   architecture   weights   both, processor seconds")
    for name in PRECISIONS:
        least = fastest([each[name] for each in rounds])
        both = least["architecture"] + least["decoder"]
        print(
            f"{name:10} {least['first']:12.1f} {least['architecture']:14.2f} "
            f"{least['decoder']:9.2f} {both:6.2f}"
        )
        if name == "float32":
            usual = both
    for batch, crop in SIZES if arguments.sizes else ():
        found = in_a_process("float32", batch, crop)
        both = found["architecture"] + found["decoder"]
        pixels = batch * crop * crop / (BATCH * CROP * CROP)
        size = f"batch {batch}, {crop}x{crop}"
        print(f"{size}: {pixels:.2f} of the pixels, {both / usual:.2f} of the time")


if __name__ == "__main__":
    main()
