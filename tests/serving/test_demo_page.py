"""The page of a demo in a real browser: it answers as LiteRT in Python does, and it goes on."""

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_tf import pictures as readers
from nas_tf import tasks
from serving import demo_site, lite_metadata, whole_picture
from serving.demo_site import DemoNetwork
from serving.lite_runner import LiteModel, runtimes
from tests.serving.browser import BROWSER, Browser
from tests.serving.demonstrated import KINDS, SHAPES, TASKS, demo_network, models, runtime, served
from tests.serving.shipped import pictures
from tests.serving.test_whole_pictures import written

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]
VALUES = {"segmentation": np.uint8, "depth": np.float32}
PACK = """(() => {{
  const {{ data }} = view.panels[{number}].answer;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}})()"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Browser]:
    """The page of three networks, side by side."""
    with served([demo_network(task) for task in TASKS]) as url:
        browser.open(url)
        yield browser


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{height}x{width}.png" for height, width in SHAPES]
    for seed, (path, size) in enumerate(zip(paths, SHAPES, strict=True)):
        Image.fromarray(smooth(size, seed)).save(path)
    return paths


def smooth(size: tuple[int, int], seed: int) -> np.ndarray:
    """Returns a picture of no particular size whose pixels are like those of photographs."""
    coarse = pictures(1, seed=seed, size=(64, 96))[0]
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def choose_kind(page: Browser, kind: str) -> None:
    page.of_view(
        f"view.panels.forEach(({{ select }}) => {{ select.value = {json.dumps(kind)}; }})"
    )


def answers(page: Browser) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the tasks and the answers that the page has."""
    for number, task in enumerate(TASKS):
        answer = f"view.panels[{number}].answer"
        if task == "pose":
            found = page.of_view(f"{answer}.joints.map(({{ x, y, peak }}) => [x, y, peak])")
            yield task, np.array(found, float)
            continue
        shape = page.of_view(f"[{answer}.height, {answer}.width]")
        content = base64.b64decode(page.of_view(PACK.format(number=number)))
        yield task, np.frombuffer(content, VALUES[task]).reshape(shape)


def expected(task: str, kind: str, path: Path) -> np.ndarray:
    """Returns what LiteRT in Python answers to a picture."""
    content = models(task)[kind]
    model = LiteModel(content, runtime=list(runtimes().values())[-1])
    about = lite_metadata.attached_to(content)
    answer = whole_picture.answer(model, about, readers.read(path))
    return answer[{"segmentation": "mask", "depth": "depth", "pose": "keypoints"}[task]]


def same(task: str, given: np.ndarray, wanted: np.ndarray) -> float:
    """Returns the share of pixels or joints that are equal, by the precision of float32."""
    assert given.shape == wanted.shape
    if task == "segmentation":
        return float((given == wanted).mean())
    if task == "depth":
        return float((np.abs(given - wanted) <= 1e-3 * wanted).mean())
    return float((np.hypot(*(given - wanted)[:, :2].T) <= 0.01).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_have_the_answers_of_python(page: Browser, photos: list[Path], kind: str) -> None:
    choose_kind(page, kind)
    for path in photos:
        page.choose(path)
        assert page.message == ""
        for task, given in answers(page):
            share = same(task, given, expected(task, kind, path))
            assert share >= 0.999, (task, kind, path.name, share)
    texts = page.of_view("view.panels.map(({ speed }) => speed.textContent)")
    assert all(f"ms a frame, {'int8' if kind == 'int8' else 'float'}" in text for text in texts)
    assert page.value("document.querySelector('.legend li').textContent") == "road"


def test_every_way_to_run_networks_has_the_same_answers(page: Browser, photos: list[Path]) -> None:
    """Threads need the server's headers, and WebGPU an adapter, which this browser has not."""
    choose_kind(page, "int8")
    page.choose(photos[0])
    offered = page.value("[...document.querySelectorAll('#processor option')].map((o) => o.value)")
    assert offered[0] == "wasm"
    for processor in (*offered[1:], "wasm"):
        page.value(
            "(() => { const select = document.getElementById('processor'); "
            f"select.value = '{processor}'; select.dispatchEvent(new Event('change')); }})()"
        )
        key = f"view.panels.every(({{ network }}) => network?.key.startsWith('{processor} '))"
        module = 'import(new URL("main.js", document.baseURI).href)'
        page.wait_for(f"{module}.then(({{ view }}) => {key})")
        page.wait_until_idle()
        assert page.message == ""
        for task, given in answers(page):
            assert same(task, given, expected(task, "int8", photos[0])) >= 0.999, processor


RECORD = """(() => {
  const [panel] = view.panels;
  const found = [];
  let last = panel.answer;
  const look = () => {
    const digest = () => panel.answer.data.reduce((sum, n) => (sum * 31 + n) | 0, 7);
    if (panel.answer !== last) found.push(digest());
    last = panel.answer;
    setTimeout(look);
  };
  look();
  window.masks = found;
})()"""


def test_the_camera_is_watched_until_it_is_stopped(tmp_path: Path) -> None:
    """The camera is a file of thirty different pictures, which Chromium repeats."""
    film = tmp_path / "film.mjpeg"
    with film.open("wb") as file:
        for picture in pictures(30, seed=8, size=(240, 320)):
            Image.fromarray(picture).save(file, "jpeg", quality=95)
    opened = Browser(tmp_path / "browser", f"--use-file-for-fake-video-capture={film}")
    try:
        with served([demo_network("segmentation"), demo_network("pose")]) as url:
            opened.open(url)
            opened.of_view(RECORD)
            opened.value("document.getElementById('watch').click()")
            opened.wait_for("window.masks.length >= 40")
            assert len(set(opened.value("window.masks"))) >= 20
            check_that_it_stops(opened)
    finally:
        opened.close()


def check_that_it_stops(page: Browser) -> None:
    """Takes a picture, which ends the camera, and checks that no frame comes afterwards."""
    assert page.value("document.getElementById('watch').textContent") == "Stop the camera"
    page.value("document.getElementById('take').click()")
    page.wait_until_idle()
    frames = page.of_view("view.frames")
    assert page.of_view("view.camera") is None
    page.value("new Promise((done) => setTimeout(done, 500))")
    assert page.of_view("view.frames") <= frames + 1
    assert page.message == ""
    assert page.of_view("view.panels.every(({ answer }) => answer !== null)")


def test_maps_have_the_colours_of_predict(page: Browser, photos: list[Path]) -> None:
    choose_kind(page, "fp32")
    page.choose(photos[0])
    for number, (task, given) in enumerate(answers(page)):
        if task == "pose":
            continue
        about = lite_metadata.attached_to(models(task)["fp32"])
        wanted = tasks.of_model(about).coloured(given)
        canvas = f"view.panels[{number}].above"
        drawn = page.of_view(
            f"[...{canvas}.getContext('2d').getImageData(0, 0, {canvas}.width, "
            f"{canvas}.height).data]"
        )
        pixels = np.array(drawn, np.uint8).reshape(*given.shape, 4)
        assert (pixels[..., 3] == 255).all()
        assert (pixels[..., :3] == wanted).all(-1).mean() >= 0.999, task


def mistakes(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yields files that are no pictures for the page, and the sentences on them."""
    (folder / "text.png").write_text("no picture")
    yield folder / "text.png", "text.png is not a picture that this browser can read, expected"
    Image.fromarray(pictures(1)[0]).save(folder / "cut.png")
    content = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(content[:60])
    yield folder / "cut.png", "cut.png is damaged, or too large for this browser."
    huge = bytearray(content)
    huge[16:24] = (9000).to_bytes(4, "big") + (8000).to_bytes(4, "big")
    (folder / "huge.png").write_bytes(huge)
    yield folder / "huge.png", "huge.png has 9000x8000 pixels, expected at most 67,108,864: scale"


def test_what_is_no_picture_is_a_sentence_and_the_page_goes_on(
    page: Browser, photos: list[Path], tmp_path: Path
) -> None:
    for path, line in mistakes(tmp_path):
        page.choose(path)
        assert page.message.startswith(line)
        assert page.message.endswith(".")
    page.choose(photos[0])
    assert page.message == ""
    assert all(page.of_view("view.panels.map(({ answer }) => answer !== null)"))


def test_fifty_megapixels_are_answered_and_shown_smaller(
    browser: Browser, photos: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(smooth((5800, 8700), 3)).save(path, compress_level=1)
    with served([demo_network("depth")]) as url:
        browser.open(url)
        browser.choose(path)
        assert browser.message == "large.png has 50 megapixels, and is shown smaller."
        shape = "[view.panels[0].answer.height, view.panels[0].answer.width]"
        assert browser.of_view(shape) == [5800, 8700]
        browser.choose(photos[0])
        assert browser.message == ""


def of_version(content: bytes, **changes: Any) -> bytes:
    """Returns a model with other metadata."""
    about = {**lite_metadata.attached_to(content), **changes}
    end = content.rindex(b"PK\3\4", 0, content.rindex(b"PK\3\4"))
    file = io.BytesIO(content[:end])
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo("metadata.json"), json.dumps(about))
    return file.getvalue()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"schema": 9}, "odd was exported by another version of nas-tf (its metadata have schema"),
        ({"task": "sorting"}, "odd has task sorting, which this page cannot draw: it draws"),
        ({"input": {"size": "no"}}, "The metadata of auxcell-segmentation state an input that"),
        (None, "odd has no metadata that can be read: export it again"),
    ],
)
def test_a_model_of_another_version_is_a_sentence(
    browser: Browser, photos: list[Path], changes: dict[str, Any] | None, line: str
) -> None:
    content = models("segmentation")["int8"]
    changed = content[:-22] if changes is None else of_version(content, **changes)
    with served([DemoNetwork("odd", {"int8": changed}), demo_network("depth")]) as url:
        browser.open(url)
        browser.choose(photos[0])
        assert browser.message.startswith(line)
        has = "view.panels.map(({ answer }) => answer !== null)"
        assert browser.of_view(has) == [False, True]


def test_a_missing_runtime_is_a_sentence(browser: Browser, photos: list[Path]) -> None:
    runtime()
    with served([demo_network("pose")], {}) as url:
        browser.open(url)
        for _ in range(2):
            browser.choose(photos[0])
            assert browser.message.startswith("The runtime LiteRT could not be loaded from this")
        assert browser.of_view("view.shown.picture.width") == SHAPES[0][1]


def test_nothing_is_refused_by_the_policy_or_logged_as_an_error(
    browser: Browser, photos: list[Path]
) -> None:
    browser.events.clear()
    with served([demo_network("pose")]) as url:
        browser.open(url)
        browser.choose(photos[0])
        assert browser.value("crossOriginIsolated") is True
    logged = [
        event["params"]["entry"]["text"]
        for event in browser.events
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"
    ]
    assert logged == []


PIXELS = """(() => {
  const { height, width, data } = view.shown.picture;
  return { size: [height, width], bytes: [...data] };
})()"""


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_pictures_are_upright_and_keep_their_colours(
    browser: Browser, kind: str, tmp_path: Path
) -> None:
    pixels = smooth((40, 64), 2)
    with served([demo_network("pose")]) as url:
        browser.open(url)
        for orientation in range(1, 9):
            path = tmp_path / f"{orientation}.{kind}"
            path.write_bytes(written(pixels, kind, orientation))
            wanted = readers.read(path).astype(int)
            browser.choose(path)
            found = browser.of_view(PIXELS)
            assert tuple(found["size"]) == wanted.shape[:2], orientation
            apart = np.abs(np.array(found["bytes"]).reshape(wanted.shape) - wanted)
            assert apart.max() <= (3 if kind == "jpeg" else 0), orientation


def test_any_web_server_hosts_the_static_site(
    browser: Browser, photos: list[Path], tmp_path: Path
) -> None:
    demo_site.write(demo_site.build([demo_network("pose")], runtime()), tmp_path / "a" / "b")
    handler = partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_port}/a/b/")
        browser.choose(photos[0])
        assert browser.message == ""
        assert browser.of_view("view.panels[0].answer.joints.length") == 3
        assert browser.value("crossOriginIsolated") is False
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """A server of a folder that prints no requests."""

    def log_message(self, *_: object) -> None:
        pass


def test_another_device_may_watch_its_camera_by_https(tmp_path: Path) -> None:
    opened = Browser(tmp_path / "browser", "--ignore-certificate-errors")
    try:
        with served([demo_network("pose")], host="0.0.0.0") as url:
            assert url.startswith("https://")
            opened.open(url)
            assert opened.value("isSecureContext") is True
            opened.value("document.getElementById('watch').click()")
            module = 'import(new URL("main.js", document.baseURI).href)'
            opened.wait_for(f"{module}.then(({{ view }}) => view.frames >= 3)")
    finally:
        opened.close()


def test_an_error_of_the_runtime_is_a_sentence_and_another_one_is_loaded(
    browser: Browser, photos: list[Path]
) -> None:
    with served([demo_network("pose"), demo_network("depth")]) as url:
        browser.open(url)
        browser.choose(photos[0])
        fault = "() => { throw new WebAssembly.RuntimeError('unreachable'); }"
        browser.of_view(f"void (view.panels[0].network.model.run = {fault})")
        browser.choose(photos[1])
        assert browser.message == "pose could not answer: unreachable."
        has = "view.panels.map(({ answer }) => answer !== null)"
        assert browser.of_view(has) == [False, True]
        browser.choose(photos[2])
        assert browser.message == ""
        assert browser.of_view(has) == [True, True]
