"""Small shipments of every space and task, with random weights and statistics."""

import random
from dataclasses import replace

import numpy as np

from benchmarks.deploy import random_arrays
from nas_tf import networks, spaces
from nas_tf.networks.state import Arrays
from nas_tf.tasks import Depth, Detection, Pose, Segmentation, Task
from serving import graph, images
from serving.shipment import Shipment

SIZE = (64, 96)
SPACES = ("auxcell", "template", "dpc")
"""The spaces whose networks compute one map."""
CLASSES = ("road", "sky", "car", "person", "pole")
TASKS: dict[str, Task] = {
    "segmentation": Segmentation(len(CLASSES), names=CLASSES),
    "depth": Depth(),
    "pose": Pose(3),
}
PALETTE = [[10 * n, 20 * n, 255 - 30 * n] for n in range(len(CLASSES))]


def shipment(
    space: str = "auxcell", task: str = "segmentation", seed: int = 0, genotype: str | None = None
) -> Shipment:
    chosen = TASKS[task]
    blueprint = networks.blueprint_of(
        spaces.resolve(genotype) if genotype else spaces.get(space).sample(random.Random(seed)),
        chosen.head,
        input_size=SIZE,
        settings=networks.settings.search(space, width=8, alpha=0.35),
    )
    facts = {"genotype": [1, 2], "origin": {"kind": "test"}}
    if task == "segmentation":
        facts |= {"classes": list(CLASSES), "palette": PALETTE}
    network = Shipment(f"{space}-{task}", chosen, blueprint, random_arrays(blueprint), facts)
    return replace(network, arrays=_spread(network)) if task == "depth" else network


def with_classes_alike(item: Shipment) -> Shipment:
    """Returns a segmentation network whose classes are alike in number, so masks hold several."""
    logits = graph.network(item.blueprint, item.arrays)(images.normalised(pictures(8)))["logits"]
    head = next(layer.name for layer in reversed(item.shipped.layers) if layer.kind == "conv")
    bias = item.arrays[head, "bias"] - np.median(logits, axis=(0, 1, 2))
    return replace(item, arrays=item.arrays | {(head, "bias"): bias.astype(np.float32)})


def detector(classes: int = 3) -> Shipment:
    """Returns a portable detector whose classes are as likely as not.

    Those of a search begin unlikely.
    """
    task = Detection(classes)
    space = spaces.get({"name": "fcos", "search": "fpn", "ops": "portable"})
    blueprint = networks.blueprint_of(
        space.sample(random.Random(1)),
        task.head,
        input_size=SIZE,
        settings=networks.settings.search("fcos", width=32, alpha=0.35),
    )
    arrays = random_arrays(blueprint)
    for (layer, role), value in arrays.items():
        if layer.endswith("classes.predictor"):
            arrays[layer, role] = 100 * value if role == "kernel" else np.zeros_like(value)
        if layer.endswith("boxes.predictor") and role == "bias":
            arrays[layer, role] = np.full_like(value, 2.0)
    return Shipment("fcos-detection", task, blueprint, arrays, {"origin": {"kind": "test"}})


def _spread(network: Shipment) -> Arrays:
    """Returns weights whose depths are those of rooms: random ones are all below the minimum."""
    function = graph.network(network.blueprint, network.arrays)
    logits = function(images.normalised(pictures(8)))["logits"].numpy()
    low, high = np.percentile(logits, (2, 98))
    factor = np.float32(9 / (high - low))
    head = next(layer.name for layer in reversed(network.shipped.layers) if layer.kind == "conv")
    kernel, bias = (network.arrays[head, role] for role in ("kernel", "bias"))
    spread = {(head, "kernel"): factor * kernel, (head, "bias"): factor * (bias - low) + 1}
    return network.arrays | spread


def pictures(count: int = 3, seed: int = 4, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Returns random pixels whose neighbours are alike, as in photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


def is_distinctive(depth: np.ndarray) -> bool:
    """Returns whether depths can distinguish networks: they differ, and few are clipped."""
    task = TASKS["depth"]
    cut = (depth <= task.least) | (depth >= task.most)
    return bool(np.ptp(np.percentile(depth, (5, 95))) > 4 and cut.mean() < 0.01)


def check_alike(given: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Checks that two runtimes' answers have the same form, and the same values except at ties."""
    assert given.keys() == wanted.keys()
    assert "depth" not in wanted or is_distinctive(wanted["depth"])
    for name, values in given.items():
        assert (values.shape, values.dtype) == (wanted[name].shape, wanted[name].dtype)
        near = np.abs(values.astype(float) - wanted[name]) <= 1e-3 * np.abs(wanted[name]).max()
        assert near.mean() > (0.8 if name == "keypoints" else 0.995)
