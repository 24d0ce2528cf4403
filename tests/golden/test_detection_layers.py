"""NAS-FCOS pyramids and heads, put together by a draft, compute what the released code does."""

import json
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.functional import Functional
from nas_tf.networks.keras_model import realise
from nas_tf.networks.state import fill_model, from_arrays, initial_arrays

LEVELS = ("P3", "P4", "P5", "P6", "P7")
SEPARABLE = {"sep3": (3, 1), "sep3_rate3": (3, 3), "sep5_rate6": (5, 6)}
PYRAMID_OPS = ("sep3", "sep3_rate3", "sep5_rate6", "skip", "deformable")
HEAD_OPS = ("conv1", "conv3", "sep3", "sep3_rate3", "skip", "deformable")


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "detection" / "nasfcos_numeric.npz") as file:
        return dict(file)


def records(kind: str) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in json.loads(bytes(golden()["index"]))[kind]}


def operation(draft: Draft, x: Layer, name: str, op: str, *, groups: int = 0) -> Layer:
    """Adds an operation, normalised by the batch or in groups, then ReLU; a skip adds nothing."""
    if op == "skip":
        return x
    if op == "deformable":
        x = draft.deformable(x, name, x.channels, groups=2)
    elif op in SEPARABLE:
        kernel, rate = SEPARABLE[op]
        x = draft.depthwise(x, f"{name}.dw", kernel=kernel, rate=(rate, rate))
        x = draft.conv(x, f"{name}.pw", x.channels)
    else:
        x = draft.conv(x, name, x.channels, kernel=int(op[-1]))
    norm = f"{name}.norm"
    x = draft.group_norm(x, norm, groups=groups) if groups else draft.batch_norm(x, norm)
    return draft.relu(x, f"{name}.relu")


def aggregated(draft: Draft, x: Layer, y: Layer, name: str, *, concat: bool) -> Layer:
    large = max(x, y, key=lambda layer: layer.size)
    x, y = draft.resize(x, large, f"{name}.left"), draft.resize(y, large, f"{name}.right")
    if not concat:
        return draft.weighted_sum(x, y, name)
    z = draft.batch_norm(draft.concat([x, y], f"{name}.concat"), f"{name}.norm")
    return draft.conv(draft.relu(z, f"{name}.relu"), name, x.channels, groups=x.channels)


def pyramid(record: dict[str, Any]) -> Blueprint:
    height, width = record["sizes"][0]
    draft = Draft((4 * height, 4 * width))
    image = draft.image()
    inputs = [
        draft.conv(image, f"C{n}", channels, stride=2**n)
        for n, channels in enumerate(record["in_channels"], 2)
    ]
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    maps = []
    for n, x in enumerate(inputs):
        x = draft.batch_norm(draft.conv(x, f"adapt{n}", record["width"]), f"adapt{n}.norm")
        maps.append(draft.relu(x, f"adapt{n}.relu"))
    for n, (left, right, op1, op2, concat) in enumerate(record["blocks"]):
        x = operation(draft, maps[left], f"block{n}.op1", PYRAMID_OPS[op1])
        y = operation(draft, maps[right], f"block{n}.op2", PYRAMID_OPS[op2])
        maps.append(aggregated(draft, x, y, f"block{n}.agg", concat=bool(concat)))
    consumed = {side for block in record["blocks"] for side in block[:2]}
    loose = [n for n in range(4, len(maps)) if n not in consumed]
    for level, like, n in zip(("P5", "P4", "P3"), reversed(inputs), loose[-3:], strict=False):
        x = maps[n]
        for extra in loose[:-3]:
            fitting = draft.resize(maps[extra], x, f"{level}.resize{extra}")
            x = draft.add(x, fitting, f"{level}.add{extra}")
        x = draft.resize(x, like, f"{level}.resize")
        draft.output(x, level)
        if level == "P5":
            deepest = x
    options = dict(kernel=3, stride=2, bias=True, symmetric=True)
    x = draft.conv(deepest, "p6", record["width"], **options)
    draft.output(x, "P6")
    draft.output(draft.conv(draft.relu(x, "p7.relu"), "p7", record["width"], **options), "P7")
    return draft.finish().decoder(["C2", "C3", "C4", "C5"])


def head(record: dict[str, Any]) -> Blueprint:
    sizes, width = record["sizes"], record["width"]
    draft = Draft(sizes[0])
    image, taps = draft.conv(draft.image(), "widened", width), {}
    for level, size in zip(LEVELS, sizes, strict=True):
        kernel = tuple(large - small + 1 for large, small in zip(sizes[0], size, strict=True))
        taps[level] = draft.average_pool(image, level, kernel=kernel, stride=(1, 1))
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9)
    for n, level in enumerate(LEVELS):
        tower = {}
        for name in ("cls", "box"):
            x = taps[level]
            for place, op in enumerate(record["ops"]):
                at = f"{name}.layer{place}.level"
                is_shared = n > 0 and place >= record["share"]
                with draft.sharing(f"{at}{n}", f"{at}0") if is_shared else nullcontext():
                    x = operation(draft, x, f"{at}{n}", HEAD_OPS[op], groups=32)
            tower[name] = x
        for name, source, channels in (
            *(("cls", "cls", record["classes"]), ("box", "box", 4), ("ctr", "cls", 1)),
        ):
            at = f"{name}_pred.level"
            with draft.sharing(f"{at}{n}", f"{at}0") if n else nullcontext():
                y = draft.conv(tower[source], f"{at}{n}", channels, kernel=3, bias=True)
            if name == "box":
                y = draft.exp(draft.scale(y, f"scale{n}", scalar=True), f"scale{n}.exp")
            draft.output(y, f"{name}/{level}")
    return draft.finish().decoder(LEVELS)


def arrays_of(case: str, blueprint: Blueprint) -> dict:
    """Returns the golden weights; those of layers that levels share have no number of a level."""
    values, found = golden(), {}
    names = {"kernel": "w", "bias": "b", "mean": "mean", "variance": "var"}
    for (name, role), initial in initial_arrays(blueprint, seed=0).items():
        place = f"{case}/{name.replace('.', '/').removesuffix('/norm')}"
        key = f"{place}/{names.get(role, role)}"
        if place.endswith("/offsets"):
            key = key.replace("offsets/", "off_")
        if blueprint.by_name[name].kind == "scale":
            key = place.replace("/first", "/a").replace("/second", "/b")
        options = key, key.replace("/level0", "/shared"), key.replace("/level0", "")
        value = next(values[key] for key in options if key in values)
        if value.ndim == 4:
            depthwise = blueprint.by_name[name].kind == "depthwise"
            value = value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        found[name, role] = value.reshape(initial.shape)
    return found


def last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def inputs_of(case: str, names: tuple[str, ...]) -> dict[str, tf.Tensor]:
    values = [tf.constant(last(golden()[f"{case}/{name}"])) for name in names]
    return {f"tap{n}": value for n, value in enumerate(values)}


def check(found: tf.Tensor, key: str, near: float = 1e-4) -> None:
    wanted = last(golden()[key])
    limit = near * max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, atol=limit, err_msg=key)


@pytest.mark.parametrize("case", records("fpn"))
def test_a_pyramid_and_its_gradient(case: str) -> None:
    blueprint = pyramid(records("fpn")[case])
    arrays = arrays_of(case, blueprint)
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    taps = inputs_of(case, ("C2", "C3", "C4", "C5"))
    for level, y in network(taps, state.trainable, state.statistics).outputs.items():
        check(y, f"{case}/eval/{level}")
    with tf.GradientTape() as tape:
        tape.watch(taps)
        training = frozenset({"decoder"})
        found = network(taps, state.trainable, state.statistics, training=training).outputs
        total = tf.add_n(
            [
                tf.reduce_sum(y * last(golden()[f"{case}/cot/{level}"]))
                for level, y in found.items()
            ]
        )
    for level, y in found.items():
        check(y, f"{case}/train/{level}")
    gradients = tape.gradient(total, taps, unconnected_gradients="zero")
    for n, gradient in enumerate(gradients.values(), 2):
        check(gradient, f"{case}/train/dC{n}", near=1e-3)


@pytest.mark.parametrize("case", records("head"))
def test_a_head_whose_levels_share_layers(case: str) -> None:
    blueprint = head(records("head")[case])
    arrays = arrays_of(case, blueprint)
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    taps = inputs_of(case, LEVELS)
    found = network(taps, state.trainable, state.statistics).outputs
    for name, y in found.items():
        check(y, f"{case}/{name}")
    model = realise(blueprint, name="head")
    fill_model(model, arrays)
    for name, y in model(taps, training=False).items():
        check(y, f"{case}/{name}")
