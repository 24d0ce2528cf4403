"""The geometry of the demo's page in a real browser: that of the package, to the byte."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from nas_tf.input_geometry import InputGeometry, Resize, resized
from tests.serving.browser import BROWSER, Browser
from tests.serving.demonstrated import demo_network, served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Browser]:
    with served([demo_network("pose")]) as url:
        browser.open(url)
        yield browser


def test_resizing_is_that_of_tensorflow(page: Browser) -> None:
    rng = np.random.default_rng(1)
    for own, size in [((37, 61), (20, 33)), ((20, 31), (64, 40)), ((90, 50), (13, 99))]:
        picture = rng.integers(0, 256, (*own, 3), dtype=np.uint8)
        wanted = resized(picture, np.array(size)).numpy()
        given = np.array(page.value(_resized(picture, size)), np.uint8).reshape(wanted.shape)
        assert (given == wanted).mean() >= 0.9995
        assert np.abs(given.astype(int) - wanted).max() <= 1


def _resized(picture: np.ndarray, size: Sequence[int]) -> str:
    height, width = picture.shape[:2]
    given = f"{{ height: {height}, width: {width}, stride: 3, data }}"
    return (
        'import(new URL("geometry.js", document.baseURI).href).then(({ resized }) => { const data '
        f"= new Uint8Array({picture.ravel().tolist()}); return [...resized({given}, "
        f"{list(size)}).data]; }})"
    )


@pytest.mark.parametrize(
    "geometry",
    [
        InputGeometry((64, 96), Resize()),
        InputGeometry((64, 96), Resize(longer=130)),
        InputGeometry((64, 96), Resize(shorter=70), margin=10),
        InputGeometry((64, 96), Resize(longer_at_most=80)),
        InputGeometry((64, 96), Resize(exact=(64, 96))),
        InputGeometry((64, 96), Resize(longer=200), windows=False),
    ],
    ids=str,
)
def test_windows_and_joins_are_those_of_python(page: Browser, geometry: InputGeometry) -> None:
    for size in ((50, 170), (200, 90), (64, 96), (31, 47)):
        picture = np.arange(size[0] * size[1] * 3).reshape(*size, 3) % 251
        small = resized(picture.astype(np.uint8), geometry.resized_size(np.array(size))).numpy()
        windows = geometry.cut(picture.astype(np.uint8)).numpy()
        found = page.value(_cut(geometry, small, size))
        assert found["count"] == len(windows)
        np.testing.assert_array_equal(
            np.array(found["windows"], np.uint8).reshape(windows.shape), windows
        )
        maps = np.arange(windows[..., 0].size).reshape(windows.shape[:3])
        if geometry.windows:
            joined = geometry.joined(maps, np.array(size)).numpy()
            np.testing.assert_array_equal(np.array(found["joined"]).reshape(size), joined)


def _cut(geometry: InputGeometry, picture: np.ndarray, own: Sequence[int]) -> str:
    about = json.dumps({"name": "it", "input": geometry.to_dict()})
    height, width = picture.shape[:2]
    return f"""import(new URL("geometry.js", document.baseURI).href).then(({{ Geometry }}) => {{
      const geometry = new Geometry({about});
      const grid = geometry.grid({list(own)});
      const data = new Uint8Array({picture.ravel().tolist()});
      const picture = {{ height: {height}, width: {width}, stride: 3, data }};
      const [rows, columns] = geometry.size;
      const joined = {{ data: new Int32Array({own[0] * own[1]}) }};
      const windows = [];
      for (let n = 0; n < grid.count; n++) {{
        const input = new Uint8Array(rows * columns * 3);
        geometry.cut(picture, grid, n, input);
        windows.push(...input);
        const area = rows * columns;
        const values = Int32Array.from({{ length: area }}, (_, k) => n * area + k);
        geometry.join({{ width: columns, channels: 1, data: values }}, grid, n, joined);
      }}
      return {{ count: grid.count, windows, joined: [...joined.data] }};
    }})"""
