"""The page of a demo as a person meets it: on phone and laptop, by keyboard, light and dark."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf.config import load
from nas_tf.data import scenes
from nas_tf.jobs import trained
from nas_tf.training import from_config
from serving import graph, images, tflite
from serving.demo_site import DemoNetwork
from serving.shipment import Shipment
from tests.prepared import made_once
from tests.serving.browser import BROWSER, Browser
from tests.serving.demonstrated import demo_network, served
from tests.serving.shipped import pictures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]
PHONE, LAPTOP = (390, 844), (1280, 800)
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "demo.jpg"
DRAWN = ("network.weights=drawn", "network.alpha=0.35")
OVERFLOW = """[...document.querySelectorAll("body *")].filter((element) =>
  element.id !== "file" &&
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((element) => element.tagName + "." + element.className)"""
CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (colour) => [...colour].slice(0, 3).map((n) => n / 255)
    .map((n) => (n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4))
    .reduce((sum, n, k) => sum + n * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const colour = rgb(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgb("white");
  };
  const faults = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 &&
      node.textContent.trim());
    if (!hasText || !element.checkVisibility()) continue;
    const pair = [luminance(rgb(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) faults.push([element.tagName, element.id, ratio]);
  }
  return faults;
})()"""
NAMED = ("button", "combobox", "slider", "image", "link", "checkbox")


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(pictures(1, size=(64, 96))[0]).save(path)
    with served([demo_network("segmentation"), demo_network("depth")]) as url:
        browser.open(url)
        browser.choose(path)
        yield browser


@pytest.mark.parametrize("size", [(320, 640), PHONE, (844, 390), LAPTOP], ids=str)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_is_readable(
    page: Browser, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", features=features)
    page.screenshot(tmp_path / "page.png", size)
    assert page.value(OVERFLOW) == []
    assert page.value(CONTRASTS) == []
    shot = np.asarray(Image.open(tmp_path / "page.png").convert("L"), float)
    assert (shot[-20:, :5].mean() > 128) == (scheme == "light")
    columns = page.value(
        "new Set([...document.querySelectorAll('.network')]"
        ".map((element) => element.getBoundingClientRect().left)).size"
    )
    assert columns == (2 if size[0] > 700 else 1)


def test_every_control_has_a_name_and_is_reached_by_the_keyboard(page: Browser) -> None:
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    names = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in NAMED
    }
    assert [role for role, name in names if not name] == []
    assert ("slider", "Opacity") in names
    reached = []
    page.value("document.activeElement.blur()")
    for _ in range(9):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        reached.append(page.value("document.activeElement.id || document.activeElement.tagName"))
    expected = ["file", "watch", "SELECT", "SELECT", "opacity", "divide", "processor"]
    assert [name for name in reached if name in expected][: len(expected)] == expected


def test_sliders_move_the_result(page: Browser) -> None:
    style = "getComputedStyle(document.querySelector('canvas.result'))"
    page.value(
        "(() => { const slider = document.getElementById('divide'); slider.value = 40; "
        "slider.dispatchEvent(new Event('input')); })()"
    )
    assert page.value(f"{style}.clipPath") == "inset(0px 0px 0px 40%)"
    assert float(page.value(f"{style}.opacity")) == pytest.approx(0.55)
    page.value(
        "(() => { const slider = document.getElementById('divide'); slider.value = 0; "
        "slider.dispatchEvent(new Event('input')); })()"
    )


def fitted() -> tuple[Shipment, list[np.ndarray]]:
    """Returns arch0 for drawn scenes, whose last layer is fitted by least squares; and scenes.

    It is in seconds what a training is in minutes, and good enough to be looked at.
    """
    config = load("shapes_auxcell", list(DRAWN))
    loaded = trained.find("arch0", config_name="shapes_auxcell", overrides=DRAWN)
    item = loaded.shipment
    arrays = item.arrays | from_config.encoder_arrays(config)
    head = next(layer.name for layer in reversed(item.shipped.layers) if layer.kind == "conv")
    rendered = [scenes.render_scene((0, number)) for number in range(160)]
    pixels = np.stack([scene["image"] for scene in rendered])
    kernel = arrays[head, "kernel"]
    features = _features(item, arrays, head, pixels)
    side = pixels.shape[1] // features.shape[1]
    labels = np.stack([scene["label"] for scene in rendered])[
        :, side // 2 :: side, side // 2 :: side
    ]
    known = labels.ravel() != scenes.IGNORE
    x = np.c_[features.reshape(-1, features.shape[-1]), np.ones(labels.size)][known]
    y = np.eye(kernel.shape[-1])[labels.ravel()[known]]
    weights = 1 / np.sqrt(np.bincount(labels.ravel()[known])[labels.ravel()[known]])[:, None]
    solved = np.linalg.lstsq(x * weights, y * weights, rcond=1e-6)[0]
    changed = np.zeros_like(kernel)
    changed[kernel.shape[0] // 2, kernel.shape[1] // 2] = 10 * solved[:-1]
    arrays |= {(head, "kernel"): changed, (head, "bias"): (10 * solved[-1]).astype(np.float32)}
    return replace(item, name="arch0 on drawn scenes", arrays=arrays), list(pixels)


def _features(item: Shipment, arrays: dict, head: str, pixels: np.ndarray) -> np.ndarray:
    """Returns what the last layer reads, a few channels at a time."""
    kernel = arrays[head, "kernel"]
    rows, columns, channels, outputs = kernel.shape
    found = []
    for first in range(0, channels, outputs):
        chosen = np.zeros_like(kernel)
        for n in range(min(outputs, channels - first)):
            chosen[rows // 2, columns // 2, first + n, n] = 1
        changed = arrays | {
            (head, "kernel"): chosen,
            (head, "bias"): np.zeros(outputs, np.float32),
        }
        function = graph.network(item.blueprint, changed)
        parts = [
            function(images.normalised(pixels[n : n + 16]))["logits"].numpy()
            for n in range(0, len(pixels), 16)
        ]
        found.append(np.concatenate(parts)[..., : min(outputs, channels - first)])
    return np.concatenate(found, axis=-1)


def test_a_picture_of_it_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    """DEMO_PICTURE=1 writes the picture of the README."""

    def make(folder: Path) -> None:
        item, scene_pictures = fitted()
        for kind in ("fp32", "int8"):
            content = tflite.convert(item, kind, scene_pictures[:16])
            (folder / f"{kind}.tflite").write_bytes(content)

    folder = made_once("demo-scenes", make)
    models = {kind: (folder / f"{kind}.tflite").read_bytes() for kind in ("int8", "fp32")}
    scene = scenes.render_scene((1, 3))
    Image.fromarray(scene["image"]).resize((512, 512), Image.Resampling.BICUBIC).save(
        tmp_path / "scene.png"
    )
    path = PICTURE if os.environ.get("DEMO_PICTURE") else tmp_path / "demo.jpg"
    with served([DemoNetwork("arch0 on drawn scenes", models)]) as url:
        browser.call("Emulation.setEmulatedMedia", features=[])
        browser.open(url)
        browser.choose(tmp_path / "scene.png")
        browser.value(
            "for (const [id, value] of [['divide', 35], ['opacity', 70]]) { const slider = "
            "document.getElementById(id); slider.value = value; "
            "slider.dispatchEvent(new Event('input')); }"
        )
        browser.screenshot(path, PHONE, 1.5)
        text = browser.of_view("view.panels[0].above.ariaLabel")
    assert json.dumps(text).count("%") >= 2
    with Image.open(path) as shot:
        assert shot.size == (585, 1266)
    assert path.stat().st_size < 150_000
