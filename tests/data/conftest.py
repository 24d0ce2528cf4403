"""A folder of prepared data for the session, and writers of small datasets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from nas_tf.data.examples import Examples
from tests.prepared import with_shapes


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keeps the tests out of the user's own prepared data."""
    with pytest.MonkeyPatch.context() as patch:
        folder = with_shapes(tmp_path_factory.mktemp("cache"))
        patch.setenv("NAS_TF_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Writes an image file: RGB noise, class indices, or class indices with a palette."""

    def write(path: Path, pixels: np.ndarray, *, palette: bool = False) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        if palette:
            image.putpalette([(7 * i) % 256 for i in range(768)])
        image.save(path)
        return pixels

    return write


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """Random pixels: three channels, or class indices below a bound."""
    rng = np.random.default_rng(5)

    def make(height: int, width: int, below: int | None = None) -> np.ndarray:
        shape = (height, width, 3) if below is None else (height, width)
        return rng.integers(0, below or 256, shape).astype(np.uint8)

    return make


@pytest.fixture
def own(tmp_path: Path, picture: Callable, noise: Callable) -> Callable[..., Path]:
    """Writes a user's folder: ``train`` and ``val`` of 24 x 32 pixels with three classes."""

    def write(train: int = 3, val: int = 1, **settings: object) -> Path:
        for split, count in (("train", train), ("val", val)):
            for number in range(count):
                picture(tmp_path / "own" / "images" / split / f"{number}.png", noise(24, 32))
                label = tmp_path / "own" / "labels" / split / f"{number}.png"
                picture(label, noise(24, 32, 3))
        content = {"classes": ["soil", "crop", "weed"], **settings}
        (tmp_path / "own" / "dataset.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "own"

    return write


@pytest.fixture(scope="session")
def shapes() -> Examples:
    """The embedded dataset, prepared by its first use."""
    return Examples("shapes", "val")
