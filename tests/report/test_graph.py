import itertools
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from nas_tf import networks, spaces
from nas_tf.genotype import Genotype
from nas_tf.report import graph
from nas_tf.report.diagrams import panels
from nas_tf.report.graph import HALF_HEIGHT, half_width, routes

GENOTYPES = st.builds(
    lambda space, seed: spaces.get(space).sample(random.Random(seed)),
    st.sampled_from(list(spaces.SPACES)),
    st.integers(0, 2**32),
)


@given(GENOTYPES)
def test_every_arrow_joins_two_boxes_and_goes_right(genotype: Genotype) -> None:
    for panel in panels(genotype):
        where = {node.name: node for node in panel.nodes}
        assert len(where) == len(panel.nodes)
        assert all(where[start].x < where[end].x for start, end in panel.arrows)


@given(GENOTYPES)
def test_boxes_do_not_overlap_and_no_arrow_runs_through_one(genotype: Genotype) -> None:
    for panel in panels(genotype):
        for first, other in itertools.combinations(panel.nodes, 2):
            assert first.x != other.x or abs(first.y - other.y) >= 2 * HALF_HEIGHT
        for (start, end), way in zip(panel.arrows, routes(panel), strict=True):
            for node in panel.nodes:
                if node.name in (start, end):
                    continue
                inside = [y for x, y in way if abs(x - node.x) < half_width(node)]
                assert all(abs(y - node.y) >= HALF_HEIGHT for y in inside)


@given(st.integers(0, 2**32), st.sampled_from(["auxcell", "template"]))
@hypothesis_settings(max_examples=30)
def test_rows_are_the_strides_of_the_network(seed: int, space: str) -> None:
    genotype = spaces.get(space).sample(random.Random(seed))
    panel = panels(genotype)[0]
    blueprint = networks.blueprint_of(genotype, 3, input_size=(512, 512))
    for node in panel.nodes:
        if node.name.startswith("block"):
            ours = [n for n in blueprint.by_name if n.startswith(f"{node.name}.")]
            joined = [n for n in ours if n.count(".") == 1 or ".repeat" in n]
            last = blueprint.by_name[joined[-1]]
            assert panel.rows[node.y] == f"1/{last.stride}"


def test_boxes_speak_the_names_of_the_layers() -> None:
    decoder, cell = panels(spaces.resolve("arch0"))
    names = networks.blueprint_of(spaces.resolve("arch0"), 3, input_size=(64, 64)).by_name
    for node in decoder.nodes:
        assert any(name.startswith(f"{node.name}.") for name in names), node.name
    for node in cell.nodes:
        if node.name not in ("input", "output"):
            assert any(name.startswith(f"block1.left.{node.name}") for name in names), node.name


@pytest.mark.parametrize("name", spaces.PUBLISHED)
def test_published_genotypes_are_saved_as_pictures(name: str, tmp_path: Path) -> None:
    svg, png, dot = graph.save(spaces.resolve(name), tmp_path / name, title=name)
    assert ET.parse(svg).getroot().tag.endswith("svg")
    with Image.open(png) as picture:
        picture.load()
        assert min(picture.size) > (250 if name == "deeplabv3" else 300)
    edges = dot.read_text().count("->")
    assert edges == sum(len(panel.arrows) for panel in panels(spaces.resolve(name)))
    assert dot.read_text().startswith(f'digraph "{name}" {{')


def test_pictures_are_reproducible(tmp_path: Path) -> None:
    save = graph.save(spaces.resolve("arch1"), tmp_path / "one", title="arch1")
    other = graph.save(spaces.resolve("arch1"), tmp_path / "other", title="arch1")
    for a, b in zip(save, other, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_pyramid_is_drawn_with_its_operations_and_levels() -> None:
    pyramid, towers = panels(spaces.resolve("nas-fcos"))
    where = {node.name: node for node in pyramid.nodes}
    assert where["block4"].label == "block 4 concat\ndeformable3x3\nskip"  # stride 8 is on top
    strides = {name: pyramid.rows[where[name].y] for name in ("P3", "P4", "P5")}
    assert strides == {"P3": "1/8", "P4": "1/16", "P5": "1/32"}
    ends = [arrow for arrow in pyramid.arrows if arrow[1] in strides]
    last = {"P5": "block5", "P4": "block6", "P3": "block7"}
    assert set(ends) == {*((last[p], p) for p in strides), *(("block3", p) for p in strides)}
    assert [node.label for node in towers.nodes[1:3]] == [
        "deformable3x3\nshared",
        "conv3x3\nshared",
    ]
