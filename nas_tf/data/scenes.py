"""Draws one scene of the embedded dataset: image, labels, depth and keypoints that agree.

Objects stand on or hover over a floor seen in perspective, so size, height in the image and
haze tell the distance; nearer objects hide farther ones. Class is shape, never colour.
"""

import numpy as np

from nas_tf.data import scene_objects
from nas_tf.data.builder import Example
from nas_tf.data.scene_objects import Figure, figure

Box = tuple[slice, slice]
FULL_FRAME: Box = (slice(None), slice(None))


def texture(rng: np.random.Generator, size: int, box: Box = FULL_FRAME) -> np.ndarray:
    """A square of stripes, checks, blotches or plain colour, float32 [size, size, 3] in 0–255.

    Args:
        rng: Source of colours and pattern.
        size: Side of the square.
        box: The rows and columns to compute; the values are those of the whole square.
    """
    first, second = rng.uniform(20, 235, (2, 3))
    places = np.arange(size)
    y, x = places[box[0], None], places[None, box[1]]
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 18)

    def stripes() -> np.ndarray:
        return (x * np.cos(angle) + y * np.sin(angle)) / period % 1 < 0.5

    def checks() -> np.ndarray:
        return stripes() ^ ((y * np.cos(angle) - x * np.sin(angle)) / period % 1 < 0.5)

    patterns = (
        lambda: np.zeros((y.size, x.size)),
        lambda: stripes().astype(float),
        lambda: checks().astype(float),
        lambda: blotches(rng, size, cells=int(rng.integers(6, 20)), box=box),
    )
    mix = patterns[rng.integers(len(patterns))]() * rng.uniform(0.3, 0.9)
    return (first + mix[..., None] * (second - first)).astype(np.float32)


def blotches(rng: np.random.Generator, size: int, cells: int, box: Box = FULL_FRAME) -> np.ndarray:
    """Smooth random values in 0–1: a coarse random grid, enlarged."""
    places = np.linspace(0, cells - 1.001, size)
    grid = rng.random((cells, cells))
    y, x = places[box[0]], places[box[1]]
    (above, left), (below, right) = (
        [np.minimum(axis.astype(int) + step, cells - 1) for axis in (y, x)] for step in (0, 1)
    )
    rows = grid[above] + (y % 1)[:, None] * (grid[below] - grid[above])
    return rows[:, left] + (x % 1)[None, :] * (rows[:, right] - rows[:, left])


SIZE = 128
IGNORE = 255
OBJECTS = (
    *(scene_objects.disc, scene_objects.box, scene_objects.triangle, scene_objects.star),
    *(scene_objects.ring, scene_objects.cross, scene_objects.pole),
)
CLASSES = ("background", *(outline.__name__ for outline in OBJECTS), "figure")

_FAR = 8.0
_UNIT = 130.0
"""Pixels a metre spans at a distance of one metre."""
_FRAGMENT = 8
"""Objects that show fewer pixels are ignored: nobody could name them."""


class Scene:
    """A canvas on which things are placed from far to near."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.horizon = rng.uniform(0.25, 0.5) * SIZE
        rows = np.arange(SIZE)[:, None] + 0.5
        floor = (SIZE - self.horizon) / np.maximum(rows - self.horizon, 1e-3)
        self.depth = np.repeat(np.minimum(floor, _FAR), SIZE, axis=1).astype(np.float32)
        wall, ground = texture(rng, SIZE), texture(rng, SIZE)
        self.image = np.where((rows < self.horizon)[..., None], wall, ground)
        self.owner = np.zeros((SIZE, SIZE), np.int32)
        self.labels = [0]

    def foot(self, distance: float) -> float:
        """The row in which something at that distance touches the floor."""
        return self.horizon + (SIZE - self.horizon) / distance

    def paint(self, mask: np.ndarray) -> None:
        """Fills a mask with a random texture."""
        box = tuple(
            slice(places.min(initial=SIZE), places.max(initial=-1) + 1)
            for places in (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        )
        self.image[box][mask[box]] = texture(self.rng, SIZE, box)[mask[box]]

    def place(self, mask: np.ndarray, distance: float, label: int) -> None:
        """Adds a slightly tilted surface, which hides what lies behind its mask."""
        self.owner[mask] = len(self.labels)
        self.labels.append(label)
        tilt = self.rng.uniform(-0.15, 0.15, 2) * distance / SIZE
        y, x = np.nonzero(mask)
        if len(y):
            self.depth[mask] = distance + tilt[0] * (x - x.mean()) + tilt[1] * (y - y.mean())


def render_scene(seed: tuple[int, ...]) -> Example:
    """The scene of a seed: the same bytes each time."""
    rng = np.random.default_rng(seed)
    scene = Scene(rng)
    distances = np.sort(np.exp(rng.uniform(np.log(1.5), np.log(7.0), rng.integers(8, 20))))[::-1]
    standing = rng.uniform(1.5, 3.0)
    person = None
    for distance in distances:
        if person is None and distance < standing:
            person = _place_figure(scene, standing)
        _place_object(scene, distance)
    person = person or _place_figure(scene, standing)
    label = np.array(scene.labels, np.uint8)[scene.owner]
    shown = np.bincount(scene.owner.ravel(), minlength=len(scene.labels))
    label[(shown < _FRAGMENT)[scene.owner]] = IGNORE
    owner = scene.labels.index(len(CLASSES) - 1)
    return {
        "image": _photograph(scene),
        "label": label,
        "depth": _sense(scene),
        "keypoints": _keypoints(person, scene.owner == owner)[None],
        "head_size": np.array([person.head_size], np.float32),
        "area": np.array([np.any(person.parts, axis=0).sum()], np.float32),
    }


def _place_object(scene: Scene, distance: float) -> None:
    """One object of a random class, size and place."""
    rng = scene.rng
    label = int(rng.integers(len(OBJECTS))) + 1
    radius = rng.uniform(0.12, 0.4) * _UNIT / distance
    lift = rng.uniform(0, 0.8) * _UNIT / distance * (rng.random() < 0.4)
    x, y = rng.uniform(0, SIZE), scene.foot(distance) - radius - lift
    covered = scene_objects.mask(OBJECTS[label - 1], SIZE, x, y, radius, rng.uniform(0, 2 * np.pi))
    scene.paint(covered)
    scene.place(covered, distance, label)


def _place_figure(scene: Scene, distance: float) -> Figure:
    """The one person of the scene."""
    rng = scene.rng
    x = rng.uniform(0.05, 0.95) * SIZE
    person = figure(rng, SIZE, x, scene.foot(distance), rng.uniform(1.0, 1.2) * _UNIT / distance)
    scene.place(np.any(person.parts, axis=0), distance, len(CLASSES) - 1)
    for part in person.parts[::-1]:
        scene.paint(part)
    return person


def _photograph(scene: Scene) -> np.ndarray:
    """Haze with distance, uneven light, sensor noise."""
    rng = scene.rng
    haze = (1 - np.exp(-scene.depth / 12))[..., None]
    image = scene.image * (1 - haze) + rng.uniform(120, 220, 3) * haze
    image *= 0.65 + 0.6 * blotches(rng, SIZE, cells=3)[..., None]
    image += rng.normal(0, rng.uniform(3, 10), image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _sense(scene: Scene) -> np.ndarray:
    """Depth as a sensor gives it: nothing along edges and in a few blotches."""
    depth = scene.depth.copy()
    depth[:, 1:][scene.owner[:, 1:] != scene.owner[:, :-1]] = 0
    depth[blotches(scene.rng, SIZE, cells=12) > 0.93] = 0
    return depth


def _keypoints(person: Figure, visible: np.ndarray) -> np.ndarray:
    """Joints with 2 where they are seen, 1 where something hides them, 0 outside the image."""
    x, y = np.floor(person.joints + 0.5).astype(int).T
    inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
    seen = visible[np.clip(y, 0, SIZE - 1), np.clip(x, 0, SIZE - 1)]
    keypoints = np.column_stack([person.joints, 1 + seen])
    return np.where(inside[:, None], keypoints, 0).astype(np.float32)
