"""The networks that tests of the demo's page use, the runtime that it needs, and its server."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from nas_tf.errors import EnvironmentFault
from nas_tf.input_geometry import Resize
from serving import demo_runtime, demo_site, tflite
from serving.demo_server import DemoServer
from serving.demo_site import DemoNetwork
from serving.shipment import Shipment
from tests.prepared import made_once
from tests.serving.shipped import pictures, shipment, with_classes_alike

KINDS = ("fp32", "int8")
TASKS = ("segmentation", "depth", "pose")
SHAPES = ((80, 136), (150, 96), (64, 200))
"""Sizes of pictures: resized in both directions, and cut into windows."""


def network(task: str) -> Shipment:
    """Returns a network whose masks hold several classes."""
    if task == "segmentation":
        return with_classes_alike(shipment())
    return replace(shipment(task=task), resize=Resize(longer=96))


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


@contextmanager
def served(
    networks: Sequence[DemoNetwork],
    files: Mapping[str, bytes] | None = None,
    *,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Serves the page of networks, and yields its address."""
    site = demo_site.build(networks, runtime() if files is None else files)
    with DemoServer(site, host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.address.url
        server.shutdown()
