"""Arrays that layers share, auxiliary heads and named outputs, wherever they are computed."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint, Layer
from nas_tf.networks.cost import cost
from nas_tf.networks.draft import Draft
from nas_tf.networks.functional import Functional
from nas_tf.networks.fused import fuse
from nas_tf.networks.keras_model import realise
from nas_tf.networks.model_files import read_model
from nas_tf.networks.state import Arrays, arrays_of_model, fill_model, from_arrays
from serving import graph
from tests.networks.kind_cases import check, distinct_arrays

SIZE, WIDTH = (32, 48), 8
LEVELS = ("large", "middle", "small")
IMAGES = tf.random.stateless_uniform((2, *SIZE, 3), (1, 2), -1, 1)


def tower(draft: Draft, x: Layer, name: str) -> Layer:
    """Adds every kind of layer that can be shared, and some that have no arrays."""
    x = draft.conv(x, f"{name}.conv", WIDTH, kernel=3, bias=True)
    x = draft.relu(draft.group_norm(x, f"{name}.norm", groups=2), f"{name}.relu")
    x = draft.deformable(draft.depthwise(x, f"{name}.depthwise", kernel=3), f"{name}.dcn", WIDTH)
    x = draft.scale(draft.conv(x, f"{name}.pairs", 4, groups=4), f"{name}.scale")
    return draft.exp(draft.scale(x, f"{name}.scalar", scalar=True), f"{name}.exp")


def towers(*, shared: bool = True, auxiliary: bool = False) -> Blueprint:
    """Maps of three sizes, each with a tower and an output, and with an auxiliary head or not."""
    draft = Draft(SIZE)
    draft.start_part("decoder", epsilon=1e-3, momentum=0.9)
    x = draft.conv(draft.image(), "stem", WIDTH, kernel=3)
    for level in LEVELS:
        x = draft.max_pool(x, f"{level}.pool", kernel=3, stride=2)
        with draft.sharing(level, "large") if shared and level != "large" else nullcontext():
            y = tower(draft, x, f"{level}.tower")
        draft.output(y, level)
        if auxiliary:
            with draft.auxiliary("early"):
                draft.output(draft.conv(y, f"{level}.early", 2), level)
    return draft.finish()


def as_unshared(arrays: Arrays) -> Arrays:
    """Returns the same weights for towers that do not share them."""
    copies = {
        (name.replace("large", level), role): value
        for level in LEVELS
        for (name, role), value in arrays.items()
    }
    return arrays | copies


def gradients(blueprint: Blueprint, arrays: Arrays) -> tuple[dict, dict]:
    """Returns the outputs, and the gradient of a function of all by layer and role."""
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    vector = tf.constant(state.trainable["decoder"])
    with tf.GradientTape() as tape:
        tape.watch(vector)
        outputs = network(IMAGES, {"decoder": vector}, state.statistics).outputs
        loss = tf.add_n([tf.reduce_sum(tf.sin(y)) for y in outputs.values()])
    gradient = tape.gradient(loss, vector).numpy()
    return outputs, network.parts["decoder"].trainable.arrays(gradient)


def test_shared_arrays_are_counted_and_saved_once() -> None:
    blueprint, alone = towers(), towers(shared=False)
    stem = 9 * 3 * WIDTH
    assert cost(blueprint).params - stem == (cost(alone).params - stem) / 3
    assert cost(blueprint).madds == cost(alone).madds
    slots = layouts(blueprint)["decoder"].trainable.slots
    assert {slot.layer.partition(".")[0] for slot in slots} == {"stem", "large"}
    assert sum(slot.size for slot in slots) == cost(blueprint).params


def test_shared_arrays_train_by_the_sum_of_their_gradients() -> None:
    arrays = distinct_arrays(towers())
    outputs, shared = gradients(towers(), arrays)
    others, alone = gradients(towers(shared=False), as_unshared(arrays))
    check(outputs, others)
    summed: dict = {}
    for (name, role), value in alone.items():
        level, dot, rest = name.partition(".")
        key = f"large.{rest}" if dot else level, role
        summed[key] = summed.get(key, 0) + value
    check(shared, summed, near=2e-5)


def test_a_model_has_shared_layers_once_and_is_saved_so(tmp_path: Path) -> None:
    blueprint = towers()
    arrays = distinct_arrays(blueprint)
    model = realise(blueprint, name="towers")
    fill_model(model, arrays)
    check(arrays_of_model(model), arrays, near=0)
    outputs, _ = gradients(blueprint, arrays)
    check(model(IMAGES), outputs)
    model.save(tmp_path / "towers.keras")
    again = read_model(tmp_path / "towers.keras")
    check(arrays_of_model(again), arrays, near=0)
    check(again(IMAGES), outputs)


@pytest.mark.parametrize("shared", [True, False])
def test_outputs_are_named_and_shipped_without_auxiliaries(shared: bool) -> None:
    blueprint = towers(shared=shared, auxiliary=True)
    arrays = distinct_arrays(blueprint)
    network = Functional(blueprint)
    state = from_arrays(network.parts, arrays)
    found = network(IMAGES, state.trainable, state.statistics)
    assert list(found.outputs) == list(LEVELS)
    assert {head: list(y) for head, y in found.auxiliaries.items()} == {"early": list(LEVELS)}
    model = realise(blueprint, name="towers")
    fill_model(model, arrays)
    heads = {f"early.{name}": y for name, y in found.auxiliaries["early"].items()}
    check(model(IMAGES), {**found.outputs, **heads})
    assert list(blueprint.deployed().outputs) == list(LEVELS)
    assert cost(blueprint).params_aux == 3 * 4 * 2
    assert cost(blueprint.deployed()).params == cost(blueprint).params
    assert not [layer for layer in blueprint.deployed().layers if layer.auxiliary]
    check(graph.network(blueprint, arrays, for_conversion=False)(IMAGES), found.outputs)


def test_the_only_output_of_an_auxiliary_head_has_its_name() -> None:
    draft = Draft(SIZE)
    x = draft.conv(draft.image(), "conv", 2)
    with draft.auxiliary("aux1"):
        draft.output(draft.conv(x, "other", 2), "logits")
    draft.output(x, "logits")
    assert draft.finish().auxiliaries == {"aux1": {"logits": "aux1"}}
    assert draft.finish().output("aux1").name == "aux1"
    assert draft.finish().output().name == "logits"


def normalised_each() -> Blueprint:
    """Two maps with one kernel, each normalised by itself."""
    draft = Draft(SIZE)
    draft.start_part("decoder", epsilon=1e-3, momentum=0.9)
    image = draft.image()
    for level in LEVELS[:2]:
        x = draft.max_pool(image, f"{level}.pool", kernel=3, stride=2)
        with draft.sharing("middle.conv", "large.conv"):
            x = draft.conv(x, f"{level}.conv", WIDTH)
        draft.output(draft.relu(draft.batch_norm(x, f"{level}.bn"), f"{level}.relu"), level)
    return draft.finish()


def test_statistics_are_not_folded_into_a_shared_kernel() -> None:
    blueprint = normalised_each()
    kinds = [(node.op.kind, node.most) for node in fuse(blueprint)]
    assert kinds.count(("conv", None)) == kinds.count(("affine", 0)) == 2
    arrays = distinct_arrays(blueprint)
    model = realise(blueprint, name="each")
    fill_model(model, arrays)
    check(graph.network(blueprint, arrays)(IMAGES), model(IMAGES))


def test_arrays_of_a_layer_that_nothing_reads_are_there_if_others_share_them() -> None:
    draft = Draft(SIZE)
    image = draft.image()
    draft.conv(image, "a.conv", 4)
    with draft.sharing("b", "a"):
        draft.output(draft.conv(image, "b.conv", 4), "logits")
    blueprint = draft.finish()
    arrays = distinct_arrays(blueprint.deployed())
    assert list(arrays) == [("a.conv", "kernel")]
    counted = cost(blueprint.deployed())
    assert (counted.params, counted.madds) == (12, 12 * SIZE[0] * SIZE[1])
    assert [node.layers[0].name for node in fuse(blueprint)] == ["b.conv"]
    model = realise(blueprint.deployed(), name="one")
    fill_model(model, arrays)
    check({"logits": model(IMAGES)}, graph.network(blueprint, arrays)(IMAGES))
    wanted = tf.nn.conv2d(IMAGES, arrays["a.conv", "kernel"], 1, "SAME")
    check(graph.network(blueprint, arrays)(IMAGES), {"logits": wanted})


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (
            lambda draft, x: draft.conv(x, "b.conv", 6),
            r"b.conv and a.conv have arrays of \[\(1, 1, 4, 6\)\] and \[\(1, 1, 4, 4\)\]",
        ),
        (
            lambda draft, x: draft.depthwise(x, "b.conv", kernel=1),
            "b.conv and a.conv differ in kind: depthwise and conv",
        ),
        (
            lambda draft, x: draft.conv(x, "b.conv", 4, stride=2),
            "b.conv and a.conv differ in options: .*'stride': 2.* and .*'stride': 1.*",
        ),
        (
            lambda draft, x: draft.scale(x, "b.scale"),
            "b.scale shares the arrays of a.scale, which is not there",
        ),
    ],
)
def test_wrong_sharing_is_refused(add: Callable[[Draft, Layer], Layer], message: str) -> None:
    draft = Draft(SIZE)
    x = draft.conv(draft.image(), "stem", 4)
    draft.conv(x, "a.conv", 4)
    with draft.sharing("b", "a"), pytest.raises(ValueError, match=f"^{message}$"):
        add(draft, x)


def test_a_shipped_layer_cannot_share_the_arrays_of_an_auxiliary() -> None:
    draft = Draft(SIZE)
    x = draft.image()
    with draft.auxiliary("aux"):
        draft.conv(x, "a.conv", 4)
    with draft.sharing("b", "a"), pytest.raises(ValueError, match="differ in auxiliary"):
        draft.conv(x, "b.conv", 4)


def test_a_shared_tower_has_normalisations_of_its_own() -> None:
    draft = Draft(SIZE)
    draft.start_part("decoder", epsilon=1e-3, momentum=0.9)
    image = draft.image()
    for level in ("p1", "p2", "p20"):
        with draft.sharing("p2", "p1"):
            x = draft.conv(image, f"{level}.conv", 4)
            draft.output(draft.batch_norm(x, f"{level}.bn"), level)
    blueprint = draft.finish()
    owned = [name for name in ("p1", "p2", "p20") if not blueprint.by_name[f"{name}.conv"].owner]
    assert owned == ["p1", "p20"]
    assert not any(blueprint.by_name[f"{level}.bn"].owner for level in ("p1", "p2", "p20"))


def test_an_output_that_another_reads_is_not_fused_into_it() -> None:
    draft = Draft(SIZE)
    x = draft.conv(draft.image(), "conv", 4)
    draft.output(x, "raw")
    draft.output(draft.relu(x, "relu"), "active")
    blueprint = draft.finish()
    arrays = distinct_arrays(blueprint)
    model = realise(blueprint, name="two")
    fill_model(model, arrays)
    check(graph.network(blueprint, arrays)(IMAGES), model(IMAGES))


def test_several_outputs_stay_in_memory_together() -> None:
    draft = Draft(SIZE)
    image = draft.image()
    for number in range(3):
        draft.output(draft.conv(image, f"conv{number}", 4), f"output{number}")
    assert cost(draft.finish()).peak_activation_bytes == 4 * (3 + 3 * 4) * SIZE[0] * SIZE[1]


@pytest.mark.parametrize("add", [lambda draft, x: draft.zero(x, "none"), lambda draft, x: x])
def test_an_output_that_computes_nothing_is_refused(add: Callable[[Draft, Layer], Layer]) -> None:
    draft = Draft(SIZE)
    draft.output(add(draft, draft.image()), "logits")
    with pytest.raises(ConfigError, match=r"^output logits is (none|image), expected"):
        fuse(draft.finish())


def test_layers_of_other_names_share_nothing() -> None:
    draft = Draft(SIZE)
    x = draft.image()
    with draft.sharing("b", "a"):
        assert draft.conv(x, "c.conv", 4).owner == ""
        assert draft.relu(x, "b.relu").owner == ""
    assert np.all([layer.owner == "" for layer in draft.finish().layers])
