"""Restoration networks and super-nets compute what the released code of HiNAS does."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nas_tf import networks
from nas_tf.networks import heads
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.functional import Functional
from nas_tf.networks.kinds import KINDS
from nas_tf.networks.state import Arrays, from_arrays
from nas_tf.networks.supernet import supernet_of
from nas_tf.networks.wide import WideFunctional
from nas_tf.spaces import RestorationSpace
from nas_tf.spaces.derivation import edges_of
from nas_tf.spaces.restoration import VARIANTS
from nas_tf.tasks.restoration_metrics import ssim_map

OPS = {"con": "conv", "sep": "sep", "dil": "dil", "ski": "skip"}
PLACES: dict[str, Callable[..., str]] = {
    r"stem(\d)": lambda n: f"stem{n}",
    r"reduce": lambda: "reduce",
    r"wider(\d)": lambda n: f"wider{n - 1}",
    r"router(\d)\.level(\d)\.(\w+)": lambda n, k, move: f"router_l{n}_h{k}/{move}",
    r"cell(\d)\.level(\d)\.node(\d)\.source(\d)\.(\w+)": lambda n, k, node, source, op: (
        f"cell_l{n}_h{k}/edge{edges_of(4).index((node - 1, source))}"
        f"/op{VARIANTS['public'].ops.index(op)}"
    ),
    r"cell(\d)\.source(\d)": lambda n, k: f"cell{n - 1}/{('in_prevprev', 'in_prev')[k]}",
    r"cell(\d)\.node(\d)\.(\w+)": lambda n, node, side: (
        f"cell{n - 1}/op{2 * node - (side == 'first') - 1}"
    ),
    r"decoder\.level(\d)\.(\w+)": lambda n, part: (
        f"dec_aspp{n}/{ {'plain': 'conv1x1', 'joined': 'last'}.get(part, part) }"
    ),
    r"decoder\.plain": lambda: "dec_pre/conv1x1",
    r"decoder\.rate(\d)": lambda n: f"dec_pre/atrous{n // 2 - 1}",
    r"decoder\.main": lambda: "dec_pre",
    r"decoder\.skip": lambda: "dec_proj",
    r"decoder\.separable(\d)": lambda n: f"dec_sep{n - 1}",
    r"decoder": lambda: "dec_conv",
    r"output": lambda: "dec_out",
}
"""The positions of layers, and the golden names of their arrays."""
ROLES = {"kernel": "w", "bias": "b", "mean": "mean", "variance": "var"}


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "restoration" / "hinas_numeric.npz") as file:
        return dict(file)


def records(kind: str) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in json.loads(bytes(golden()["index"]))[kind]}


def place_of(name: str) -> str:
    for pattern, place in PLACES.items():
        if match := re.match(rf"{pattern}(?=\.|$)", name):
            found = place(*(int(n) if n.isdigit() else n for n in match.groups()))
            return found
    raise AssertionError(name)


def arrays_of(case: str, blueprint: Blueprint) -> Arrays:
    """The golden weights; convolutions and normalisations are numbered in their order."""
    found, counted = {}, Counter()
    is_super = "architecture" in layouts(blueprint)
    for layer in blueprint.layers:
        slots = KINDS[layer.kind].slots(layer, blueprint.source(layer) or layer)
        if layer.kind == "table":
            value = golden()[f"{case}/{layer.name}"]
            found[layer.name, "table"] = value.reshape(-1, value.shape[-1])
        elif slots:
            place = place_of(layer.name)
            place = f"{case}/{place}{'1' if place == 'reduce' and is_super else ''}"
            if f"{place}/last/conv0/w" in golden():
                place += "/last"
            kind = "bn" if layer.kind == "batch_norm" else "conv"
            for slot in slots:
                role = ROLES.get(slot.role, slot.role)
                value = golden()[f"{place}/{kind}{counted[place, kind]}/{role}"]
                if slot.role == "kernel":
                    axes = (2, 3, 0, 1) if layer.kind == "depthwise" else (2, 3, 1, 0)
                    value = value.transpose(axes)
                assert value.shape == slot.shape, slot
                found[layer.name, slot.role] = value
            counted[place, kind] += 1
    return found


def last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def check(found: Any, key: str, near: float = 1e-4, least: float = 1.0) -> None:
    wanted = golden()[key]
    limit = near * max(least, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, atol=limit, err_msg=key)


def loss_of(record: dict[str, Any], restored: tf.Tensor, target: np.ndarray) -> tf.Tensor:
    ssim = tf.reduce_mean(ssim_map(restored, target, padded=True))
    error = tf.reduce_mean(tf.square(restored - target))
    return (error - record["lambda"] * tf.math.log(ssim) / np.log(10)) / 2


def check_all(
    blueprint: Blueprint,
    record: dict[str, Any],
    tables: tuple[str, ...] = (),
    kind: type[Functional] = Functional,
) -> None:
    """Compares both modes, the loss, and its gradients by the first and last kernel and tables."""
    case, parts = record["id"], layouts(blueprint)
    state = from_arrays(parts, arrays_of(case, blueprint))
    network = kind(blueprint)
    grey, target = (last(golden()[f"{case}/{name}"]) for name in ("image", "target"))
    image = np.repeat(2 * grey - 1, 3, axis=-1)
    restored = network(image, state.trainable, state.statistics).outputs["logits"]
    check(np.moveaxis(restored, -1, 1), f"{case}/eval/pred")
    vectors = {part: tf.constant(vector) for part, vector in state.trainable.items()}
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        training = frozenset({"decoder"})
        computed = network(image, vectors, state.statistics, training=training)
        loss = loss_of(record, computed.outputs["logits"], target)
    check(np.moveaxis(computed.outputs["logits"], -1, 1), f"{case}/train/pred")
    check(loss, f"{case}/train/loss", near=1e-5)
    slopes: Arrays = {}
    for part, vector in tape.gradient(loss, vectors).items():
        slopes |= parts[part].trainable.arrays(vector.numpy())
    for name, key in (("stem1.conv", "stem1"), ("output.conv", "dec_out")):
        slope = slopes[name, "kernel"].transpose((3, 2, 0, 1))
        check(slope, f"{case}/train/d_{key}_conv0_w", near=1e-2, least=0)
    for name in tables:
        wanted = golden()[f"{case}/train/d_{name}"]
        slope = slopes[name, "table"].reshape(wanted.shape)
        check(slope, f"{case}/train/d_{name}", near=1e-3, least=0)


@pytest.mark.parametrize("case", records("derived"))
def test_a_derived_network(case: str) -> None:
    record, ops = records("derived")[case], VARIANTS["public"].ops
    cells = []
    for cell in record["cells"]:
        names = [(OPS[op[:3]] + "".join(re.findall(r"\dx\d", op)), source) for op, source in cell]
        cells.append([[ops.index(op), source] for op, source in names])
    genotype = RestorationSpace(nodes=2).parse([cells, record["path"]])
    settings = networks.settings.published("restoration", width=4, aspp=record["aspp"])
    size = golden()[f"{case}/image"].shape[2:]
    blueprint = networks.blueprint_of(
        genotype, heads.restoration(1), input_size=size, settings=settings
    )
    check_all(blueprint, record)


@pytest.mark.parametrize("kind", [Functional, WideFunctional])
@pytest.mark.parametrize("case", records("supernet"))
def test_a_super_net_and_the_gradient_of_its_architecture(
    case: str, kind: type[Functional]
) -> None:
    record = records("supernet")[case]
    variant = replace(
        VARIANTS["public"],
        factors=tuple(record["factors"]),
        tied=record["tied"],
        slope=0.2 if record["activation"] == "Leaky" else 0,
        residual=record["residual"],
    )
    size = golden()[f"{case}/image"].shape[2:]
    head = heads.restoration(1)
    blueprint = supernet_of(
        variant, head, record["layers"], record["nodes"], record["W"], input_size=size
    )
    check_all(blueprint, record, ("alpha", "beta"), kind)
