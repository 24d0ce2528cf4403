"""The page of a demo over many frames: memory stays, and the network has most of the time."""

import sys
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from benchmarks.deploy import random_arrays
from nas_tf import networks, spaces
from nas_tf.input_geometry import Resize
from serving import tflite
from serving.demo_site import DemoNetwork
from serving.shipment import Shipment
from tests.prepared import made_once
from tests.serving.browser import BROWSER, Browser
from tests.serving.demonstrated import demo_network, served
from tests.serving.shipped import PALETTE, TASKS, pictures, shipment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]
SIZE = (360, 480)
MOST_SHARE = 0.25
FRAMES = """view.figures ??= (() => {{
  const figures = [];
  const {{ panels: [panel] }} = view;
  let last = null;
  const look = () => {{
    if (panel.figures !== last) figures.push(panel.figures);
    last = panel.figures;
    requestAnimationFrame(look);
  }};
  look();
  return figures;
}})(), {value}"""


def watch(browser: Browser, frames: int) -> None:
    """Watches the camera until this many frames were answered."""
    module = 'import(new URL("main.js", document.baseURI).href)'
    if browser.of_view("view.camera") is None:
        browser.value("document.getElementById('watch').click()")
    browser.wait_for(f"{module}.then(({{ view }}) => view.frames >= {frames})")


def test_memory_is_flat_over_five_hundred_frames(browser: Browser) -> None:
    with served([demo_network("depth")]) as url:
        browser.open(url)
        watch(browser, 100)
        before = browser.heap(), browser.resident()
        watch(browser, 600)
        after = browser.heap(), browser.resident()
    for name, first, second in zip(("objects", "process"), before, after, strict=True):
        sys.stderr.write(f"{name}: {first / 1e6:.1f} MB, {second / 1e6:.1f} MB after 500 frames\n")
    assert after[0] <= before[0] + 2e6
    assert after[1] <= before[1] + 60e6


def published() -> Shipment:
    """Returns arch0 with the published settings and random weights, for frames of a camera."""
    task = TASKS["segmentation"]
    blueprint = networks.blueprint_of(
        spaces.resolve("arch0"),
        task.head,
        input_size=SIZE,
        settings=networks.settings.published("auxcell"),
    )
    facts = {"origin": {"kind": "test"}, "classes": list(task.names), "palette": PALETTE}
    item = replace(shipment(), blueprint=blueprint, arrays=random_arrays(blueprint))
    return replace(item, name="arch0", facts=facts, resize=Resize(exact=SIZE))


def model() -> bytes:
    def make(folder: Path) -> None:
        samples = list(pictures(8, seed=9, size=SIZE))
        (folder / "int8.tflite").write_bytes(tflite.convert(published(), "int8", samples))

    return (made_once("demo-arch0", make) / "int8.tflite").read_bytes()


def test_the_page_itself_takes_a_quarter_of_a_frame_at_most(browser: Browser) -> None:
    with served([DemoNetwork("arch0", {"int8": model()})]) as url:
        browser.open(url)
        watch(browser, 10)
        browser.of_view(FRAMES.format(value="null"))
        watch(browser, 60)
        figures = browser.of_view(FRAMES.format(value="view.figures"))
    network, page = (
        median(item[name] for item in figures if item) for name in ("network", "page")
    )
    sys.stderr.write(f"network {network:.1f} ms, page {page:.1f} ms a frame\n")
    assert len(figures) >= 20
    assert page <= MOST_SHARE * (network + page)
