"""Boxes and restored pictures on the page of a demo are those that LiteRT in Python gives."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_tf import pictures as readers
from nas_tf.input_geometry import Resize
from serving import lite_metadata, tflite, whole_picture
from serving.demo_site import DemoNetwork
from serving.lite_runner import LiteModel, runtimes
from tests.prepared import made_once
from tests.serving import test_restored
from tests.serving.browser import BROWSER, Browser
from tests.serving.demonstrated import KINDS, served
from tests.serving.shipped import detector, pictures
from tests.serving.test_demo_page import PACK, choose_kind, smooth

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]
LEAST_SCORE = 0.3


def models(name: str) -> dict[str, bytes]:
    def make(folder: Path) -> None:
        item = {
            "boxes": lambda: replace(detector(), resize=Resize(longer=96)),
            "restored": test_restored.network,
        }[name]()
        samples = list(pictures(16, seed=9, size=item.size))
        for kind in KINDS:
            (folder / f"{kind}.tflite").write_bytes(tflite.convert(item, kind, samples))

    folder = made_once(f"demo-{name}", make)
    return {kind: (folder / f"{kind}.tflite").read_bytes() for kind in KINDS}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    with served([DemoNetwork(name, models(name)) for name in ("boxes", "restored")]) as url:
        opened.open(url)
        yield opened
    opened.close()


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_those_of_python(page: Browser, kind: str, tmp_path: Path) -> None:
    choose_kind(page, kind)
    path = tmp_path / "photo.png"
    Image.fromarray(smooth((120, 150), 5)).save(path)
    page.choose(path)
    assert page.message == ""
    wanted = expected("boxes", kind, path)
    shown = wanted["scores"] > LEAST_SCORE
    found = page.of_view(
        "view.panels[0].answer.boxes.map(({ x1, y1, x2, y2, score, label }) => "
        "[x1, y1, x2, y2, score, label])"
    )
    boxes = np.array([row for row in found if row[4] > LEAST_SCORE])
    assert 1 <= len(boxes) == shown.sum()
    apart = np.abs(boxes[:, None, :4] - wanted["boxes"][shown][None]).max(-1)
    is_other = boxes[:, None, 5] != wanted["classes"][shown][None]
    nearest = np.where(is_other, np.inf, apart).min(0)  # equal scores have no order in 8 bits
    assert (nearest <= 0.1).mean() >= 0.98
    content = base64.b64decode(page.of_view(PACK.format(number=1)))
    restored = expected("restored", kind, path)["restored"]
    given = np.frombuffer(content, np.uint8).reshape(restored.shape)
    assert (np.abs(given.astype(int) - restored) <= 1).mean() >= 0.999
    assert page.value("document.querySelectorAll('.network.opaque').length") == 1


def expected(name: str, kind: str, path: Path) -> dict[str, np.ndarray]:
    """Returns what LiteRT in Python answers to a picture."""
    content = models(name)[kind]
    model = LiteModel(content, runtime=list(runtimes().values())[-1])
    about = lite_metadata.attached_to(content)
    return dict(whole_picture.answer(model, about, readers.read(path)))
