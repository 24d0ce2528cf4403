"""Scores the noisy pictures of a split and, with --python, what BM3D makes of them.

    python benchmarks/denoisers.py [--config bsd500_denoise] [--split val] [--sigma 50]
        [--limit N] [--python PATH]

The pictures and their noise are those of `nas-tf evaluate` in the protocol `standard`: whole
pictures, noise neither clipped nor rounded. PATH is a Python that has the package `bm3d`, which is
given the deviation of the noise. Prints a row of CSV for each.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nas_tf import quiet

tf = quiet.load("tensorflow")

from nas_tf import config as configuration  # noqa: E402
from nas_tf.data.degraded_pictures import DegradedPictures  # noqa: E402
from nas_tf.training import from_config  # noqa: E402

FIGURES = ("psnr", "ssim")
Restore = Callable[[np.ndarray], np.ndarray]
"""Maps noisy pictures [count, height, width, 3] in [-1, 1] to grey ones, which scores clip."""
WORKER = """
import sys, numpy as np, bm3d
pictures, sigma = np.load(sys.argv[1]), float(sys.argv[2]) / 255
found = {}
for n, name in enumerate(pictures.files, start=1):
    found[name] = np.asarray(bm3d.bm3d(pictures[name], sigma), np.float32)
    print(f"BM3D: {n} of {len(pictures.files)}", file=sys.stderr)
np.savez(sys.argv[3], **found)
"""


def pictures_of(name: str, split: str, sigma: float, limit: int | None = None) -> DegradedPictures:
    """Returns the grey pictures of a split of a configuration's data, at a level of noise."""
    config = configuration.load(name, [f"degradation.noise.sigma={sigma}", "task.channels=1"])
    found = from_config.scored_pictures(config, split)
    assert isinstance(found, DegradedPictures)
    return found if limit is None else found.spread(limit)


def score(pictures: DegradedPictures, restore: Restore) -> dict[str, float]:
    """Returns the figures of the pictures after a function has restored them."""
    metrics = pictures.task.metrics()
    for found in pictures.restored(restore, batch=1):
        target = {name: tf.constant(part)[None] for name, part in found.target.items()}
        shape = found.prediction.shape[:2]
        metrics.update(target, {"logits": tf.constant(found.prediction)[None]}, shape)
    return dict(metrics.result())


def noisy(images: np.ndarray) -> np.ndarray:
    """Returns the pictures as they are, with black at 0 and white at 1."""
    return (images[..., :1] + 1) / 2


def bm3d(pictures: DegradedPictures, python: str, sigma: float) -> Restore:
    """Returns what BM3D makes of the pictures in their order, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "noisy.npz"), Path(folder, "restored.npz")
        np.savez(given, *collected(pictures))
        subprocess.run([python, "-c", WORKER, given, str(sigma), found], check=True)
        restored = iter([item[None, ..., None] for item in np.load(found).values()])
    return lambda _: next(restored)


def collected(pictures: DegradedPictures) -> list[np.ndarray]:
    """Returns the noisy pictures, [height, width] in [0, 1] but for the noise."""
    found = []

    def collect(images: np.ndarray) -> np.ndarray:
        found.append((images[0, ..., 0] + 1) / 2)
        return images[..., :1]

    for _ in pictures.restored(collect, batch=1):
        pass
    return found


def row(name: str, sigma: float, result: dict[str, float]) -> str:
    """Returns a line of CSV."""
    return ",".join((name, f"{sigma:g}", *(f"{result[figure]:.4f}" for figure in FIGURES)))


def main() -> None:
    """Prints the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="bsd500_denoise")
    parser.add_argument("--split", default="val")
    parser.add_argument("--sigma", type=float, default=50)
    parser.add_argument("--limit", type=int, help="Only so many pictures, evenly spaced.")
    parser.add_argument("--python", help="A Python that has the package bm3d.")
    arguments = parser.parse_args()
    pictures = pictures_of(arguments.config, arguments.split, arguments.sigma, arguments.limit)
    print(",".join(("method", "sigma", *FIGURES)))
    print(row("noisy", arguments.sigma, score(pictures, noisy)), flush=True)
    if arguments.python:
        restore = bm3d(pictures, arguments.python, arguments.sigma)
        print(row("BM3D", arguments.sigma, score(pictures, restore)))


if __name__ == "__main__":
    main()
