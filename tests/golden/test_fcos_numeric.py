"""NAS-FCOS pyramids and heads compute what the released code does, gradients included."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.networks import fcos
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.draft import Draft
from nas_tf.networks.functional import Functional
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import Arrays, fill_model, from_arrays, initial_arrays
from nas_tf.spaces import FcosSpace
from nas_tf.spaces.fcos import FcosDesign, Head

TOWERS = {"classes": "cls", "boxes": "box", "centerness": "ctr"}
ROLES = {"kernel": "w", "bias": "b", "mean": "mean", "variance": "var"}


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "detection" / "nasfcos_numeric.npz") as file:
        return dict(file)


def records(kind: str) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in json.loads(bytes(golden()["index"]))[kind]}


def pyramid(record: dict[str, Any]) -> Blueprint:
    """The pyramid on maps of the golden sizes, which a convolution makes of the image."""
    height, width = record["sizes"][0]
    draft = Draft((4 * height, 4 * width))
    image = draft.image()
    taps = [
        draft.conv(image, f"C{n}", channels, stride=2**n)
        for n, channels in enumerate(record["in_channels"], 2)
    ]
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    design = FcosDesign.of(FcosSpace(search="fpn").parse(record["blocks"]))
    for level, x in fcos.add_pyramid(draft, taps, design, record["width"]).items():
        draft.output(x, level)
    return draft.finish().decoder(["C2", "C3", "C4", "C5"])


def heads(record: dict[str, Any]) -> Blueprint:
    """The heads on maps of the golden sizes, which pooling makes of one map."""
    sizes, width = record["sizes"], record["width"]
    draft = Draft(sizes[0])
    image, levels = draft.conv(draft.image(), "widened", width), {}
    for level, size in zip(fcos.LEVELS, sizes, strict=True):
        kernel = tuple(large - small + 1 for large, small in zip(sizes[0], size, strict=True))
        levels[level] = draft.average_pool(image, level, kernel=kernel, stride=(1, 1))
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    towers = Head(record["share"], tuple(record["ops"]))
    fcos.add_heads(draft, levels, towers, record["classes"], width)
    return draft.finish().decoder(fcos.LEVELS)


def place_of(name: str, shared_from: int) -> str:
    """The golden name of the arrays of a layer, without their role."""
    parts = name.split(".")
    if parts[0].startswith("tap"):
        return f"adapt{parts[0][3:]}"
    if parts[0] in ("p6", "p7"):
        return parts[0]
    if parts[0].startswith("block"):
        block = f"block{int(parts[0][5:]) - 1}"
        if parts[1] == "sum":
            return f"{block}/agg/{'a' if parts[2] == 'first' else 'b'}"
        return f"{block}/{ {'left': 'op1', 'right': 'op2'}.get(parts[1], 'agg') }"
    level = int(parts[1][1:]) - 3
    if parts[2] == "scale":
        return f"scale{level}"
    if parts[3] == "predictor":
        return f"{TOWERS[parts[2]]}_pred"
    layer = int(parts[3].removeprefix("layer")) - 1
    where = "shared" if layer >= shared_from else f"level{level}"
    return f"{TOWERS[parts[2]]}/layer{layer}/{where}"


def arrays_of(case: str, blueprint: Blueprint, shared_from: int = 0) -> Arrays:
    """The golden weights, by layer and role."""
    found = {}
    for (name, role), initial in initial_arrays(blueprint, seed=0).items():
        place, last = f"{case}/{place_of(name, shared_from)}", name.rpartition(".")[2]
        key = f"{place}/{ROLES.get(role, role)}"
        if last == "offsets":
            key = f"{place}/off_{ROLES[role]}"
        elif last in ("depthwise", "pointwise"):
            key = f"{place}/{ {'depthwise': 'dw', 'pointwise': 'pw'}[last] }/{ROLES[role]}"
        value = golden()[place if place in golden() else key]
        if value.ndim == 4:
            value = value.transpose((2, 3, 0, 1) if last == "depthwise" else (2, 3, 1, 0))
        found[name, role] = value.reshape(initial.shape)
    return found


def last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def inputs_of(case: str, names: tuple[str, ...], blueprint: Blueprint) -> dict[str, tf.Tensor]:
    read = {layer.name for layer in blueprint.live().layers}
    values = {f"tap{n}": last(golden()[f"{case}/{name}"]) for n, name in enumerate(names)}
    return {name: tf.constant(value, tf.float32) for name, value in values.items() if name in read}


def check(found: tf.Tensor, key: str, near: float = 1e-4) -> None:
    wanted = last(golden()[key])
    limit = near * max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, atol=limit, err_msg=key)


@pytest.mark.parametrize("case", records("fpn"))
def test_a_pyramid_and_its_gradient(case: str) -> None:
    blueprint = pyramid(records("fpn")[case])
    network = Functional(blueprint)
    state = from_arrays(layouts(blueprint), arrays_of(case, blueprint))
    taps = inputs_of(case, ("C2", "C3", "C4", "C5"), blueprint)
    for level, y in network(taps, state.trainable, state.statistics).outputs.items():
        check(y, f"{case}/eval/{level.upper()}")
    with tf.GradientTape() as tape:
        tape.watch(taps)
        training = frozenset({"decoder"})
        found = network(taps, state.trainable, state.statistics, training=training).outputs
        total = tf.add_n(
            [
                tf.reduce_sum(y * last(golden()[f"{case}/cot/{level.upper()}"]))
                for level, y in found.items()
            ]
        )
    for level, y in found.items():
        check(y, f"{case}/train/{level.upper()}")
    for name, gradient in tape.gradient(total, taps).items():
        check(gradient, f"{case}/train/dC{int(name[3:]) + 2}", near=1e-3)


@pytest.mark.parametrize("case", records("head"))
def test_heads_whose_levels_share_layers(case: str) -> None:
    record = records("head")[case]
    blueprint = heads(record)
    arrays = arrays_of(case, blueprint, record["share"])
    network = Functional(blueprint)
    state = from_arrays(layouts(blueprint), arrays)
    levels = inputs_of(case, tuple(name.upper() for name in fcos.LEVELS), blueprint)
    found = network(levels, state.trainable, state.statistics).outputs
    model = realise(blueprint, name="heads")
    fill_model(model, arrays)
    for outputs in (found, model(levels, training=False)):
        for name, y in outputs.items():
            level, _, kind = name.partition(".")
            check(y, f"{case}/{TOWERS[kind]}/{level.upper()}")
