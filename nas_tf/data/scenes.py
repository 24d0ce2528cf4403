"""Renders the scenes of the embedded dataset: image, labels, depth and keypoints that agree.

Objects stand on or hover over a floor in perspective, so size, height in the image and haze show
the distance; nearer objects hide farther ones. Only the shape shows the class, never the colour.
"""

import numpy as np

from nas_tf.data import scene_objects
from nas_tf.data.builder import Example
from nas_tf.data.scene_objects import Figure, figure

Box = tuple[slice, slice]
FULL_FRAME: Box = (slice(None), slice(None))
SIZE = 128
IGNORE = 255
OBJECTS = (
    *(scene_objects.disc, scene_objects.box, scene_objects.triangle, scene_objects.star),
    *(scene_objects.ring, scene_objects.cross, scene_objects.pole),
)
CLASSES = ("background", *(outline.__name__ for outline in OBJECTS), "figure")

_FARTHEST = 8.0
_PIXELS_PER_METRE = 130.0
"""Pixels that a metre spans at a distance of one metre."""
_LEAST_VISIBLE = 8
"""Objects with fewer visible pixels get the ignore label: nobody could name them."""


class Scene:
    """A canvas on which objects are placed from far to near."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.horizon = rng.uniform(0.25, 0.5) * SIZE
        rows = np.arange(SIZE)[:, None] + 0.5
        floor = (SIZE - self.horizon) / np.maximum(rows - self.horizon, 1e-3)
        self.depth = np.repeat(np.minimum(floor, _FARTHEST), SIZE, axis=1).astype(np.float32)
        wall, ground = texture(rng, SIZE), texture(rng, SIZE)
        self.image = np.where((rows < self.horizon)[..., None], wall, ground)
        self.owner = np.zeros((SIZE, SIZE), np.int32)
        self.labels = [0]

    def foot(self, distance: float) -> float:
        """Returns the row in which an object at that distance touches the floor."""
        return self.horizon + (SIZE - self.horizon) / distance

    def paint(self, mask: np.ndarray) -> None:
        """Fills a mask with a random texture."""
        box = tuple(
            slice(indices.min(initial=SIZE), indices.max(initial=-1) + 1)
            for indices in (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        )
        self.image[box][mask[box]] = texture(self.rng, SIZE, box)[mask[box]]

    def place(self, mask: np.ndarray, distance: float, label: int) -> None:
        """Adds a slightly tilted surface, which hides everything behind its mask."""
        self.owner[mask] = len(self.labels)
        self.labels.append(label)
        tilt = self.rng.uniform(-0.15, 0.15, 2) * distance / SIZE
        y, x = np.nonzero(mask)
        if len(y):
            self.depth[mask] = distance + tilt[0] * (x - x.mean()) + tilt[1] * (y - y.mean())


def render_boxes(seed: tuple[int, ...]) -> Example:
    """Renders the scene of a seed with the boxes of what is visible of its objects."""
    rendered = _render(seed)
    return {"image": rendered["image"], "boxes": rendered["boxes"]}


def render_clean(seed: tuple[int, ...]) -> Example:
    """Renders the scene of a seed as a sensor without noise would show it."""
    return {"image": _render(seed, noisy=False)["image"]}


def render_scene(seed: tuple[int, ...]) -> Example:
    """Renders the scene of a seed: the same bytes each time."""
    rendered = _render(seed)
    del rendered["boxes"]
    return rendered


def _render(seed: tuple[int, ...], *, noisy: bool = True) -> Example:
    rng = np.random.default_rng(seed)
    scene = Scene(rng)
    distances = np.sort(np.exp(rng.uniform(np.log(1.5), np.log(7.0), rng.integers(8, 20))))[::-1]
    person_distance = rng.uniform(1.5, 3.0)
    person = None
    for distance in distances:
        if person is None and distance < person_distance:
            person = _place_figure(scene, person_distance)
        _place_object(scene, distance)
    person = person or _place_figure(scene, person_distance)
    label = np.array(scene.labels, np.uint8)[scene.owner]
    visible = np.bincount(scene.owner.ravel(), minlength=len(scene.labels))
    label[(visible < _LEAST_VISIBLE)[scene.owner]] = IGNORE
    owner = scene.labels.index(len(CLASSES) - 1)
    return {
        "image": _render_image(scene, noisy=noisy),
        "label": label,
        "boxes": _boxes(scene, visible),
        "depth": _sensor_depth(scene),
        "keypoints": _keypoints(person, scene.owner == owner)[None],
        "head_size": np.array([person.head_size], np.float32),
        "area": np.array([np.any(person.parts, axis=0).sum()], np.float32),
    }


def _boxes(scene: Scene, visible: np.ndarray) -> np.ndarray:
    """Returns the boxes [boxes, 5] of what is visible of each object, classes from 0."""
    rows = []
    for number in range(1, len(scene.labels)):
        if visible[number] >= _LEAST_VISIBLE:
            y, x = np.nonzero(scene.owner == number)
            rows.append([x.min(), y.min(), x.max() + 1, y.max() + 1, scene.labels[number] - 1])
    return np.array(rows, np.float32).reshape(-1, 5)


def texture(rng: np.random.Generator, size: int, box: Box = FULL_FRAME) -> np.ndarray:
    """Returns a square of stripes, checks, blotches or plain colour: float32 [size, size, 3].

    Args:
        rng: Generator of the random colours and the random pattern.
        size: Side of the square.
        box: The rows and columns to compute; the values, 0–255, are those of the full square.
    """
    first, second = rng.uniform(20, 235, (2, 3))
    positions = np.arange(size)
    y, x = positions[box[0], None], positions[None, box[1]]
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
    """Returns smooth random values in 0–1: a coarse random grid, enlarged."""
    positions = np.linspace(0, cells - 1.001, size)
    grid = rng.random((cells, cells))
    y, x = positions[box[0]], positions[box[1]]
    (above, left), (below, right) = (
        [np.minimum(axis.astype(int) + step, cells - 1) for axis in (y, x)] for step in (0, 1)
    )
    rows = grid[above] + (y % 1)[:, None] * (grid[below] - grid[above])
    return rows[:, left] + (x % 1)[None, :] * (rows[:, right] - rows[:, left])


def _place_object(scene: Scene, distance: float) -> None:
    """Paints and places an object of random class, size and position."""
    rng = scene.rng
    label = int(rng.integers(len(OBJECTS))) + 1
    radius = rng.uniform(0.12, 0.4) * _PIXELS_PER_METRE / distance
    lift = rng.uniform(0, 0.8) * _PIXELS_PER_METRE / distance * (rng.random() < 0.4)
    x, y = rng.uniform(0, SIZE), scene.foot(distance) - radius - lift
    covered = scene_objects.mask(OBJECTS[label - 1], SIZE, x, y, radius, rng.uniform(0, 2 * np.pi))
    scene.paint(covered)
    scene.place(covered, distance, label)


def _place_figure(scene: Scene, distance: float) -> Figure:
    """Paints and places the person of the scene."""
    rng = scene.rng
    x = rng.uniform(0.05, 0.95) * SIZE
    height = rng.uniform(1.0, 1.2) * _PIXELS_PER_METRE / distance
    person = figure(rng, SIZE, x, scene.foot(distance), height)
    scene.place(np.any(person.parts, axis=0), distance, len(CLASSES) - 1)
    for part in person.parts[::-1]:
        scene.paint(part)
    return person


def _render_image(scene: Scene, *, noisy: bool) -> np.ndarray:
    """Adds haze with distance, uneven light and sensor noise to the scene's image."""
    rng = scene.rng
    haze = (1 - np.exp(-scene.depth / 12))[..., None]
    image = scene.image * (1 - haze) + rng.uniform(120, 220, 3) * haze
    image *= 0.65 + 0.6 * blotches(rng, SIZE, cells=3)[..., None]
    noise = rng.normal(0, rng.uniform(3, 10), image.shape)
    image += noise if noisy else 0
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _sensor_depth(scene: Scene) -> np.ndarray:
    """Returns the depth as a sensor measures it: 0 along edges and in a few blotches."""
    depth = scene.depth.copy()
    depth[:, 1:][scene.owner[:, 1:] != scene.owner[:, :-1]] = 0
    depth[blotches(scene.rng, SIZE, cells=12) > 0.93] = 0
    return depth


def _keypoints(person: Figure, visible: np.ndarray) -> np.ndarray:
    """Returns joints with visibility 2, or 1 if an object hides them, or 0 outside the image."""
    x, y = np.floor(person.joints + 0.5).astype(int).T
    inside = (x >= 0) & (x < SIZE) & (y >= 0) & (y < SIZE)
    is_visible = visible[np.clip(y, 0, SIZE - 1), np.clip(x, 0, SIZE - 1)]
    keypoints = np.column_stack([person.joints, 1 + is_visible])
    return np.where(inside[:, None], keypoints, 0).astype(np.float32)
