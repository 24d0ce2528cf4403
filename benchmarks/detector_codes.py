"""Random detectors of portable operations: built, run, differentiated, converted, run again.

    python benchmarks/detector_codes.py --out codes.jsonl [--count 300] [--kind fpn]

A code passes if its decoder has finite outputs and gradients on random features of a small image,
and its TFLite model gives the same outputs. The encoder is the same for all codes, and left out;
so is the plain head of FCOS, where pyramids are converted. A second run continues the first.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf import networks
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.fcos import LEVELS
from nas_tf.networks.from_genotype import tap_layers
from nas_tf.networks.functional import Functional
from nas_tf.networks.state import Arrays, from_arrays, initial_arrays
from nas_tf.spaces.fcos import FcosSpace
from nas_tf.tasks import Detection
from serving import lite_models
from serving.lite_runner import opened

PYRAMID = "[[2,3,0,1,1],[3,3,0,1,1],[4,3,0,3,0],[1,3,0,3,1],[5,3,0,2,1],[4,7,2,1,0],[7,2,1,0,1]]"
SPACES = {
    "fpn": FcosSpace(search="fpn", ops="portable"),
    "head": FcosSpace(search="head", ops="portable", fpn=PYRAMID),
}
TASK, SIZE = Detection(3), (64, 64)
SETTINGS = networks.settings.search("fcos", width=32, alpha=0.35)
BOXES = np.array([[[4, 4, 30, 40, 0], [20, 8, 60, 60, 2]]], np.float32)
NEAR = 1e-3


def decoder(genotype: Genotype) -> Blueprint:
    """Returns the network from the taps that it reads to the outputs of all levels."""
    blueprint = networks.blueprint_of(genotype, TASK.head, input_size=SIZE, settings=SETTINGS)
    return blueprint.decoder(tap_layers(SETTINGS.encoder))


def pyramid(blueprint: Blueprint) -> Blueprint:
    """Returns the part of a decoder that computes the levels, which are its outputs."""
    ends = []
    for level in LEVELS:
        (source,) = blueprint.by_name[f"head.{level}.classes.layer1.conv"].inputs
        layer = blueprint.by_name[source]
        ends.append(replace(layer, name=level, kind="output", inputs=(source,), options={}))
    layers = (*blueprint.layers, *ends)
    return replace(blueprint, layers=layers, outputs=dict(zip(LEVELS, LEVELS, strict=True)))


def check(kind: str, genotype: Genotype) -> None:
    """Raises if the detector of a code fails."""
    blueprint = decoder(genotype)
    arrays = initial_arrays(blueprint, seed=1)
    rng = np.random.default_rng(2)
    taps = {
        layer.name: rng.normal(size=(1, *layer.size, layer.channels)).astype(np.float32)
        for layer in blueprint.layers
        if layer.kind == "input"
    }
    check_gradients(blueprint, arrays, taps)
    check_converted(pyramid(blueprint) if kind == "fpn" else blueprint, arrays, taps)


def check_gradients(blueprint: Blueprint, arrays: Arrays, taps: dict[str, Any]) -> None:
    """Raises if the loss, or its gradient by a weight, is not finite."""
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    weights = {part: tf.constant(vector) for part, vector in state.trainable.items()}
    with tf.GradientTape() as tape:
        tape.watch(weights)
        parts = frozenset(network.parts)
        outputs = network(taps, weights, state.statistics, training=parts).outputs
        loss = TASK.loss(TASK.encode(BOXES, SIZE), outputs)
    gradients = tape.gradient(loss, weights)
    for name, values in {"the loss": loss, **gradients}.items():
        if values is None or not np.isfinite(values).all():
            raise ValueError(f"{name} has no finite value or gradient")


def check_converted(blueprint: Blueprint, arrays: Arrays, taps: dict[str, Any]) -> None:
    """Raises if the TFLite model cannot be built or run, or differs from the network."""
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    wanted = network(taps, state.trainable, state.statistics).outputs
    interpreter = opened(lite_models.of_network(blueprint, arrays), threads=1)
    for given, values in zip(interpreter.get_input_details(), taps.values(), strict=True):
        interpreter.set_tensor(given["index"], values)
    interpreter.invoke()
    found = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
    unmatched = [values.numpy() for values in wanted.values()]
    for values in found:
        near = [n for n, other in enumerate(unmatched) if is_close(values, other)]
        if not near:
            raise ValueError(f"an output of shape {values.shape} differs after conversion")
        unmatched.pop(near[0])


def is_close(values: np.ndarray, others: np.ndarray) -> bool:
    """Returns True if two outputs are of one shape, finite, and equal but for rounding."""
    if values.shape != others.shape or not np.isfinite(values).all():
        return False
    return bool(np.abs(values - others).max() <= NEAR * max(1.0, np.abs(others).max()))


def results(path: Path, kinds: list[str], count: int) -> Iterator[dict[str, Any]]:
    """Yields the result of every code: those in the file, then those that are appended to it."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    known = {(row["kind"], row["number"]): row for row in map(json.loads, lines)}
    for number in range(count):
        for kind in kinds:
            if (kind, number) in known:
                yield known[kind, number]
                continue
            genotype = SPACES[kind].sample(random.Random(f"{kind}-{number}"))
            start, error = time.monotonic(), None
            try:
                check(kind, genotype)
            except Exception as failure:  # a failure of any kind is what is counted
                error = f"{type(failure).__name__}: {failure}".splitlines()[0]
            seconds = round(time.monotonic() - start, 2)
            row = dict(kind=kind, number=number, code=str(genotype), seconds=seconds, error=error)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            tf.keras.backend.clear_session()
            yield row


def main() -> None:
    """Prints a line per failure and the number that passed of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--kind", choices=SPACES, action="append", dest="kinds")
    arguments = parser.parse_args()
    passed: dict[str, list[bool]] = {}
    for row in results(arguments.out, arguments.kinds or list(SPACES), arguments.count):
        passed.setdefault(row["kind"], []).append(row["error"] is None)
        if row["error"]:
            print(f"{row['kind']} {row['number']} {row['code']}: {row['error']}", flush=True)
    for kind, found in passed.items():
        print(f"{kind}: {sum(found)} of {len(found)} passed")


if __name__ == "__main__":
    main()
