"""A space of the user's own, with what it need not define."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nas_tf import networks, spaces
from nas_tf.config import load
from nas_tf.errors import ConfigError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.networks import auxcell
from nas_tf.networks import settings as builders
from nas_tf.report import graph
from nas_tf.training import from_config


class Deep(spaces.SearchSpace):
    """The depth of a decoder."""

    name = "deep"
    taps = (4, 8)
    tokens = (spaces.Token("depth", 3, "layers minus one"), spaces.Token("op", 2, "operations"))

    def _layout(self, tokens: Sequence[int]) -> Any:
        return list(tokens)

    def _flatten(self, brackets: Any) -> list[Any]:
        return list(brackets)

    def canonical(self, genotype: Genotype) -> Genotype:
        return genotype

    def rewrites(self, genotype: Genotype) -> Iterator[Genotype]:
        return iter(())


@pytest.fixture
def deep(monkeypatch: pytest.MonkeyPatch) -> Genotype:
    """A genotype of the space, which has a name and a builder."""
    for registry in (spaces.SPACES, builders._BUILDERS):
        monkeypatch.setitem(registry, "deep", None)  # so that it is undone
    assert spaces.register(Deep) is Deep

    def add_network(draft: Any, genotype: Genotype, head: Any, settings: Any) -> None:
        shallow = Genotype.of("auxcell", [[[0, 1]] * (1 + genotype.parts[0]), [0, [0, 0, 0, 0]]])
        auxcell.add_network(draft, shallow, head, settings)

    small = networks.Settings(width=4, auxiliary="none")
    networks.register(
        "deep",
        networks.Builder(add_network=add_network, published=small, search=small),
    )
    return spaces.get("deep").sample(random.Random(3))


def test_it_is_used_by_its_name(deep: Genotype) -> None:
    assert spaces.resolve(str(deep), "deep") == deep
    assert spaces.describe(deep) == (
        f"depth: {deep.parts[0]} (layers minus one)\nop: {deep.parts[1]} (operations)"
    )
    blueprint = networks.blueprint_of(deep, 3, input_size=(64, 64))
    assert f"block{1 + deep.parts[0]}.sum" in blueprint.by_name
    example = spaces.example(spaces.get("deep"))
    assert (example.genotype.space, example.num_classes) == ("deep", 21)


@pytest.mark.usefixtures("deep")
def test_a_configuration_names_it() -> None:
    config = load("shapes_auxcell", ["space=deep", "stage_one.crop=[8, 8]"])
    assert config.space == "deep"
    assert from_config.encoder_options(config)["strides"] == (4, 8)
    with pytest.raises(ConfigError, match="expected 8 or more either way, as the encoder of"):
        load("shapes_auxcell", ["space=deep", "stage_one.crop=[7, 8]"])


def test_it_is_drawn_plainly_without_a_diagram(deep: Genotype, tmp_path: Path) -> None:
    paths = graph.save(deep, tmp_path / "deep", title="deep")
    assert paths[2].read_text().count("->") == 2


def test_its_shape_alone_does_not_say_its_space(deep: Genotype) -> None:
    with pytest.raises(GenotypeError, match=r"has the shape of no space, expected .*, deep$"):
        spaces.resolve(str(deep))


def test_a_space_without_a_builder_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        networks.settings.search("deep")
    accepted = "expected one of auxcell, template, dpc, fcos, restoration, baseline"
    assert str(caught.value) == f"space 'deep' has no builder of networks, {accepted}"
