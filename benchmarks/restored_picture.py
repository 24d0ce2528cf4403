"""Times networks that restore a picture of 481x321, on one thread.

    python benchmarks/restored_picture.py [--rounds 3] [--python PATH] [GENOTYPE ...]

Each form has its turns in a process of its own: the function that a SavedModel has, and the float
and int8 models of TFLite, by LiteRT where it is installed. With ``--python``, a Python that has
PyTorch, the same layers are built there too, in both memory layouts. Weights are random. Prints
the processor seconds of the fastest call.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

SIZE, WIDTH, CALLS = (321, 481), 20, 5
GENOTYPES = ("hinas-skip", "hinas-conv3x3", "hinas-sep3x3", "hinas-dil5x5")
OURS, THEIRS = ("function", "fp32", "int8"), ("contiguous", "channels_last")
TORCH = Path(__file__).with_name("torch_network.py")


def shipment(name: str) -> Any:
    """Returns a network with random weights."""
    from nas_tf import networks, spaces
    from nas_tf.networks.state import initial_arrays
    from nas_tf.tasks import Restoration
    from serving.shipment import Shipment

    task = Restoration()
    settings = networks.settings.search("restoration", width=WIDTH)
    blueprint = networks.blueprint_of(
        spaces.resolve(name), task.head, input_size=SIZE, settings=settings
    )
    return Shipment("restored", task, blueprint, initial_arrays(blueprint, seed=1))


def call(name: str, form: str) -> Callable[[], Any]:
    """Returns a call of a network on a random picture."""
    from nas_tf import quiet

    tf = quiet.load("tensorflow")
    from nas_tf.training import hardware
    from serving import graph, images, lite_runner, tflite

    hardware.use_threads(1)
    hardware.without_fusion()
    network = shipment(name)
    picture = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)
    if form == "function":
        computed = graph.network(network.blueprint, network.arrays, for_conversion=False)
        function = tf.function(lambda x: computed(images.normalised(x)), autograph=False)
        pixels = tf.constant(picture)
        return lambda: function(pixels)
    content = tflite.convert(network, form, [*picture] * tflite.LEAST_SAMPLES)
    *_, runtime = lite_runner.runtimes().values()
    interpreter = lite_runner.opened(content, threads=1, runtime=runtime)
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], picture.astype(entry["dtype"]))
    return interpreter.invoke


def fastest(work: Callable[[], Any]) -> float:
    """Returns the processor seconds of the fastest call, after one that is not counted."""
    work()
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=CALLS))


def measured(*command: str) -> float:
    """Measures one form of a network in a process of its own."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env)
    return json.loads(done.stdout.splitlines()[-1])["forward"]


def line(name: str, python: str | None, rounds: int) -> str:
    """Measures a network in turns, and returns its line of the table."""
    forms = {form: (sys.executable, __file__, "--measure", name, form) for form in OURS}
    with tempfile.TemporaryDirectory() as folder:
        if python:
            file = Path(folder) / "layers.json"
            layers = [asdict(layer) for layer in shipment(name).blueprint.live().layers]
            file.write_text(json.dumps(layers), encoding="utf-8")
            given = (python, str(TORCH), str(file), "--only", "forward", "--layout")
            forms |= {form: (*given, form) for form in THEIRS}
        found: dict[str, list[float]] = {form: [] for form in forms}
        for _ in range(rounds):
            for form, command in forms.items():
                found[form].append(measured(*command))
    least = {form: min(seconds) for form, seconds in found.items()}
    cells = [f"{least[form]:.2f}" for form in forms]
    if python:
        theirs = min(least[form] for form in THEIRS)
        cells += [f"{theirs / least[form]:.2f}" for form in OURS]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("genotypes", nargs="*", default=GENOTYPES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", help="A Python that has PyTorch.")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps({"forward": fastest(call(*options.measure))}))
        return
    columns = ["genotype", *OURS]
    if options.python:
        columns += [f"PyTorch, {form}" for form in THEIRS]
        columns += [f"PyTorch / {form}" for form in OURS]
    print(f"| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}")
    for name in options.genotypes:
        print(line(name, options.python, options.rounds), flush=True)


if __name__ == "__main__":
    main()
