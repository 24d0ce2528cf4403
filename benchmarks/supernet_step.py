"""Times a step of the gradient search: the architecture's part and the weights' part.

    python benchmarks/supernet_step.py [--rounds 2] [--sizes] [--python PATH]

The setting is the released one of HiNAS: three layers, four nodes, width 10, six grey crops of
64x64. Each precision has its turns in a process of its own, on one thread. Prints the seconds
until the first step of both parts has been made, and the processor seconds of the fastest step of
each.
With ``--sizes`` also those of other batches and crops in float32, as ratios to the setting. With
``--python``, a Python that has PyTorch, the super-net's layers are built there too, each edge by
itself as in the released code, which computes all gradients in both parts of a step; loss and
optimisers are left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

LAYERS, NODES, WIDTH, BATCH, CROP = 3, 4, 10, 6, 64
PRECISIONS = ("float32", "bfloat16")
STEPS = 3
SIZES = ((3, 64), (12, 64), (6, 32), (6, 96))
TORCH = Path(__file__).with_name("torch_network.py")
LAYOUTS = ("contiguous", "channels_last")


def blueprint_at(crop: int) -> Any:
    """Returns the super-net at the setting."""
    from nas_tf.networks.supernet import supernet
    from nas_tf.spaces.restoration import RestorationSpace
    from nas_tf.tasks import Restoration

    space = RestorationSpace(layers=LAYERS, nodes=NODES)
    return supernet(space, Restoration().head, width=WIDTH, input_size=(crop, crop))


def measure(precision: str, batch: int, crop: int) -> dict[str, float]:
    """Returns the seconds of the first steps, and the processor seconds of later ones by part."""
    import numpy as np
    import tensorflow as tf

    from nas_tf.config.schema import Gradient
    from nas_tf.networks.arrays import layouts
    from nas_tf.networks.state import from_arrays, initial_arrays
    from nas_tf.networks.supernet import ARCHITECTURE
    from nas_tf.networks.wide import WideFunctional
    from nas_tf.tasks import Restoration
    from nas_tf.training import hardware
    from nas_tf.training.learner import Learner, Recipe
    from nas_tf.training.supernet_training import WEIGHTS

    hardware.use_threads(1)
    hardware.without_fusion()
    task, settings = Restoration(ssim_weight=0.5), Gradient()
    blueprint = blueprint_at(crop)
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
    return _answer(sys.executable, __file__, "--one", *map(str, arguments))


def in_torch(python: str, folder: Path, layout: str) -> dict[str, float]:
    """Returns the processor seconds of the super-net with all gradients, in PyTorch."""
    file = folder / "layers.json"
    layers = [asdict(layer) for layer in blueprint_at(CROP).live().layers]
    file.write_text(json.dumps(layers), encoding="utf-8")
    options = ("--batch", str(BATCH), "--layout", layout, "--only", "both")
    return _answer(python, str(TORCH), str(file), *options)


def _answer(*command: str) -> dict[str, float]:
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
    parser.add_argument("--python", help="A Python that has PyTorch.")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        precision, batch, crop = arguments.one
        print(json.dumps(measure(precision, int(batch), int(crop))))
        return
    seconds = in_turns(arguments.rounds, arguments.python)
    for batch, crop in SIZES if arguments.sizes else ():
        found = in_a_process("float32", batch, crop)
        both = found["architecture"] + found["decoder"]
        pixels = batch * crop * crop / (BATCH * CROP * CROP)
        size = f"batch {batch}, {crop}x{crop}"
        print(f"{size}: {pixels:.2f} of the pixels, {both / seconds['float32']:.2f} of the time")


def in_turns(rounds: int, python: str | None) -> dict[str, float]:
    """Prints the figures at the setting, and returns the seconds of a step by precision."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in PRECISIONS:
                found[name].append(in_a_process(name, BATCH, CROP))
            for layout in LAYOUTS if python else ():
                found[layout].append(in_torch(python, Path(folder), layout))
    seconds = {}
    print("precision   first steps   architecture   weights   both, processor seconds")
    for name in PRECISIONS:
        least = fastest(found[name])
        seconds[name] = least["architecture"] + least["decoder"]
        print(
            f"{name:10} {least['first']:12.1f} {least['architecture']:14.2f} "
            f"{least['decoder']:9.2f} {seconds[name]:6.2f}"
        )
    for layout in LAYOUTS if python else ():
        both = 2 * fastest(found[layout])["both"]
        ratios = " and ".join(f"{both / seconds[name]:.2f} ({name})" for name in PRECISIONS)
        print(f"PyTorch, {layout}: {both:.2f}, times ours: {ratios}")
    return seconds


if __name__ == "__main__":
    main()
