"""Configuration files and overrides are read correctly, or refused in a line."""

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import strategies as st

from nas_tf.config import load
from nas_tf.config.load import dump, names
from nas_tf.errors import ConfigError
from nas_tf.runs.load import dotted
from tests.fuzz.fuzzed import SCALARS, VALUES, another, hold, mangled, often, refused_at_most

COMPLETE = dump(load("camvid_auxcell", ["space.blocks=4"]))
KEYS = sorted({"space", *dotted(COMPLETE)})


def understood(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with refused_at_most():
        config = load(path)
        path.write_text(dump(config), encoding="utf-8")
        assert load(path) == config


@often
def test_a_file_is_read_right_or_refused(times: int, tmp_path: Path) -> None:
    spoilt = another(yaml.safe_load(COMPLETE)).map(lambda value: yaml.safe_dump(value).encode())
    contents = mangled(COMPLETE.encode()) | spoilt | st.text().map(str.encode) | st.binary()
    path = tmp_path / "config.yaml"
    hold(times, 150, lambda content: understood(path, content), content=contents)


@often
def test_overrides_are_taken_or_refused(times: int) -> None:
    values = SCALARS.map(str) | VALUES.map(lambda value: yaml.safe_dump(value)) | st.text()
    keys = (
        st.sampled_from(KEYS)
        | st.text(max_size=20)
        | st.sampled_from(["full_training", "stage_one"])
    )
    overrides = st.lists(st.builds("{}={}".format, keys, values) | st.text(), max_size=3)

    def taken(name: str, given: list[str]) -> None:
        with refused_at_most():
            load(name, given)

    hold(times, 150, taken, name=st.sampled_from(names()), given=overrides)


LAUGHS = "a: &a [1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [*{old},*{old},*{old},*{old},*{old},*{old}]\n"
    for old, new in pairwise("abcdefghijklmnop")
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        LAUGHS + "full_training: {stages: *p}",
        "space: &s [*s]",
        "space: &s {name: *s}",
        "space: {name: [auxcell], blocks: 4}\ndata: {name: camvid}",
        "space: {? [name] : auxcell}\ndata: {name: camvid}",
        "full_training: &s {stages: [*s]}",
        "x: " + "[" * 100_000,
        "space: " + "9" * 1_000_000,
        "seed: " + "9" * 1_000_000,
        "!!python/object/apply:os.system ['true']",
        "? " * 5000,
    ],
)
def test_texts_made_to_harm_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert len(str(error.value)) < 1500
