"""Times NAS-FCOS's published pyramid and head on cached features, forward and with gradients.

    python benchmarks/detector_step.py [--rounds 3] [--python PATH]

Two networks: the published one, and the same with separable convolutions in the pyramid and plain
ones in the head instead of its deformable ones. With ``--python``, a Python that has PyTorch and
torchvision, the same layers are built there too, in both memory layouts. Each form has its turns
in a process of its own, on one thread. Prints the processor seconds of the fastest call, and how
many times the time of ours PyTorch takes.
"""

import argparse
import json
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

WIDTH, SIZE, BATCH, CLASSES = 128, 256, 8, 20
TAPS = ((4, 24), (8, 32), (16, 96), (32, 320))
OURS, THEIRS = ("float32", "bfloat16"), ("contiguous", "channels_last")
TORCH = Path(__file__).with_name("torch_network.py")
CALLS = 5


def genotypes() -> dict[str, Any]:
    """Returns the published network, and the same without deformable convolutions."""
    from nas_tf import spaces
    from nas_tf.spaces.fcos import HEAD_OPS, OPS, FcosDesign

    published = FcosDesign.of(spaces.resolve("nas-fcos"))
    blocks, (share,), towers = published.genotype().parts
    swap = {OPS.index("deformable3x3"): OPS.index("sep3x3")}
    swap_head = {HEAD_OPS.index("deformable3x3"): HEAD_OPS.index("conv3x3")}
    plain = [
        [
            [l1, l2, swap.get(op1, op1), swap.get(op2, op2), agg]
            for l1, l2, op1, op2, agg in blocks
        ],
        [share],
        [swap_head.get(op, op) for op in towers],
    ]
    space = spaces.get("fcos")
    return {"published": published.genotype(), "no deformable": space.parse(plain)}


def decoder(name: str) -> Any:
    """Returns the blueprint of a pyramid and head on the features of MobileNetV2."""
    from nas_tf import networks

    settings = networks.settings.search("fcos", width=WIDTH)
    blueprint = networks.blueprint_of(
        genotypes()[name], CLASSES, input_size=(SIZE, SIZE), settings=settings
    )
    return blueprint.decoder(settings.encoder.tap_layers())


def features() -> list[np.ndarray]:
    """Returns random features of the four taps, channels last."""
    rng = np.random.default_rng(0)
    return [rng.random((BATCH, SIZE // s, SIZE // s, c), np.float32) for s, c in TAPS]


def our_calls(name: str, form: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns a call forward, and one with the gradients of all weights."""
    from nas_tf import quiet

    tf = quiet.load("tensorflow")
    from nas_tf.networks.functional import Functional
    from nas_tf.networks.state import from_arrays, initial_arrays
    from nas_tf.training import hardware

    hardware.use_threads(1)
    blueprint = decoder(name)
    network = Functional(blueprint, hardware.precision(form))
    state = from_arrays(network.parts, initial_arrays(blueprint, seed=1))
    statistics = {part: tf.constant(vector) for part, vector in state.statistics.items()}
    weights = {part: tf.constant(vector) for part, vector in state.trainable.items()}
    taps = {f"tap{n}": tf.constant(tap) for n, tap in enumerate(features())}

    def outputs(taps: Any, weights: Any, training: frozenset[str]) -> Any:
        found = network(taps, weights, statistics, training=training).outputs
        return list(found.values())

    @tf.function(autograph=False)
    def forward(taps: Any, weights: Any) -> Any:
        return outputs(taps, weights, frozenset())

    @tf.function(autograph=False)
    def both(taps: Any, weights: Any) -> Any:
        found = outputs(taps, weights, frozenset({"decoder"}))
        loss = tf.add_n([tf.reduce_mean(y) for y in found])
        return tf.gradients(loss, list(weights.values()))

    return lambda: forward(taps, weights), lambda: both(taps, weights)


def fastest(work: Callable[[], Any]) -> float:
    """Returns the processor seconds of the fastest call, after one that is not counted."""
    work()
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=CALLS))


def measured(*command: str) -> dict[str, float]:
    """Measures one form of a network in a process of its own."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1]
        sys.exit(f"{' '.join(command)} fails: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def table(name: str, python: str | None, rounds: int) -> None:
    """Measures a network in turns and prints a line for each form."""
    forms = {form: (sys.executable, __file__, "--measure", name, form) for form in OURS}
    with tempfile.TemporaryDirectory() as folder:
        if python:
            file = Path(folder) / "layers.json"
            layers = [asdict(layer) for layer in decoder(name).live().layers]
            file.write_text(json.dumps(layers), encoding="utf-8")
            given = (python, str(TORCH), str(file), "--batch", str(BATCH), "--layout")
            forms |= {form: (*given, form) for form in THEIRS}
        least: dict[str, dict[str, float]] = {}
        for _ in range(rounds):
            for form, command in forms.items():
                row = measured(*command)
                known = least.setdefault(form, row)
                least[form] = {key: min(known[key], row[key]) for key in row}
    print(f"{name}: seconds forward, and with gradients")
    for form, row in least.items():
        line = f"{form:14}{row['forward']:8.3f}{row['both']:8.3f}"
        if form in THEIRS:
            line += "".join(
                f"   {row['both'] / least[ours]['both']:.2f} times ours in {ours}"
                f" ({row['forward'] / least[ours]['forward']:.2f} forward)"
                for ours in OURS
            )
        print(line, flush=True)


def main() -> None:
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", help="A Python that has PyTorch and torchvision.")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        forward, both = our_calls(*options.measure)
        print(json.dumps({"forward": fastest(forward), "both": fastest(both)}))
        return
    print(f"width {WIDTH}, {CLASSES} classes, {SIZE}x{SIZE}, batch {BATCH}, one thread")
    for name in genotypes():
        table(name, options.python, options.rounds)


if __name__ == "__main__":
    main()
