"""The networks and the pictures that tests of the demo's page use, and the runtime it needs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas_tf.errors import EnvironmentFault
from nas_tf.input_geometry import Resize
from serving import demo_runtime, graph, images, tflite
from serving.demo_site import DemoNetwork
from serving.shipment import Shipment
from tests.prepared import made_once
from tests.serving.shipped import pictures, shipment

KINDS = ("fp32", "int8")
TASKS = ("segmentation", "depth", "pose")
SHAPES = ((80, 136), (150, 96), (64, 200))
"""Sizes of pictures: resized in both directions, and cut into windows."""


def network(task: str) -> Shipment:
    """Returns a network whose masks hold several classes."""
    resize = Resize() if task == "segmentation" else Resize(longer=96)
    item = replace(shipment(task=task), resize=resize)
    if task != "segmentation":
        return item
    function = graph.network(item.blueprint, item.arrays)
    logits = function(images.normalised(pictures(8)))["logits"]
    head = next(layer.name for layer in reversed(item.shipped.layers) if layer.kind == "conv")
    bias = item.arrays[head, "bias"] - np.median(logits, axis=(0, 1, 2))
    return replace(item, arrays=item.arrays | {(head, "bias"): bias.astype(np.float32)})


def models(task: str) -> Mapping[str, bytes]:
    """Returns the models of a task's network by their kinds, converted once for all tests."""

    def make(folder: Path) -> None:
        item, samples = network(task), list(pictures(16, seed=9))
        for kind in KINDS:
            (folder / f"{kind}.tflite").write_bytes(tflite.convert(item, kind, samples))

    folder = made_once(f"demo-{task}", make)
    return {kind: (folder / f"{kind}.tflite").read_bytes() for kind in KINDS}


def demo_network(task: str) -> DemoNetwork:
    return DemoNetwork(task, models(task))


def runtime() -> Mapping[str, bytes]:
    """Returns the runtime's files, or skips the test with the reason why there are none."""
    try:
        return demo_runtime.contents()
    except EnvironmentFault as error:
        pytest.skip(f"no LiteRT for the web: {error}")


def of_no_runtime() -> Mapping[str, bytes]:
    """Returns files that stand for the runtime's where none is run."""
    return dict.fromkeys(demo_runtime.FILES, b"export {};\n")
