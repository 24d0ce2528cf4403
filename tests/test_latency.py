"""Latency tables: sums, scaled operations, errors and the file."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tf import latency
from nas_tf.errors import ConfigError
from nas_tf.latency import NotMeasured, Table
from nas_tf.networks import fused
from nas_tf.networks.fused import Op
from tests.networks.test_fused import SEEDS, SPACES, blueprint_of

TIMES = st.floats(0, 1e3)


def conv(channels: int) -> Op:
    return Op("conv", ((45, 60, 48),), (45, 60, channels), (3, 3))


def table(times: dict[Op, float]) -> Table:
    return Table("a processor", 1, "2.15.1", times, "here.json")


@given(SPACES, SEEDS, st.randoms())
def test_a_network_takes_the_sum_of_its_operations(space: str, seed: int, rng) -> None:
    blueprint = blueprint_of(space, seed)
    counted = fused.ops(blueprint)
    known = table({op: rng.uniform(0, 5) for op in counted})
    total = sum(known.times[op] * count for op, count in counted.items())
    assert known.predict(blueprint) == pytest.approx(total)
    assert known.missing(counted) == []


@given(st.dictionaries(st.integers(1, 500).map(conv), TIMES, max_size=5))
def test_tables_come_back_from_their_files(tmp_path_factory, times: dict[Op, float]) -> None:
    path = tmp_path_factory.mktemp("table") / "here.json"
    path.write_text(table(times).to_json())
    read = latency.read(path)
    assert read.times == pytest.approx(times, abs=1e-6)
    assert (read.device, read.threads, read.tensorflow) == ("a processor", 1, "2.15.1")
    assert read.name == str(path)


def test_operations_that_differ_in_channels_are_scaled_from_the_nearest() -> None:
    known = table({conv(16): 1.0, conv(64): 10.0})
    assert known.time(conv(64)) == 10.0
    assert known.time(conv(60)) == pytest.approx(10.0 * conv(60).work / conv(64).work)
    assert known.time(conv(20)) == pytest.approx(conv(20).work / conv(16).work)
    assert known.time(conv(2)) is None
    assert known.time(Op("conv", ((45, 60, 48),), (45, 60, 64), (1, 1))) is None
    assert known.missing([conv(16), conv(20), conv(20)]) == [conv(20)]
    assert known.adding({conv(20): 3.0}).time(conv(20)) == 3.0


def test_operations_without_a_time_are_named_with_the_command() -> None:
    unknown = [Op("add", ((n, n, 8),) * 2, (n, n, 8)) for n in range(1, 6)]
    with pytest.raises(NotMeasured) as caught:
        table({}).check(unknown)
    assert str(caught.value) == (
        "here.json is missing 5 operations (add: 1x1x8 1x1x8 > 1x1x8; add: 2x2x8 2x2x8 > 2x2x8; "
        "add: 3x3x8 3x3x8 > 3x3x8 and 2 more): nas-tf profile-ops with the same configuration and "
        "--out here.json adds them, on its device (a processor)"
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "latency table T does not exist: nas-tf profile-ops CONFIG --out T makes it"),
        ("{", r"T is not a latency table \(.*\), expected one that nas-tf profile-ops wrote"),
        ("[]", r"T is not a latency table \(.*\), expected one that nas-tf profile-ops wrote"),
        (
            table({}).to_json().replace("{}", '{"conv": 1.0}'),
            r"T is not a latency table \(.*\), expected one that nas-tf profile-ops wrote",
        ),
        (
            table({}).to_json().replace("{}", '{"conv: 1x1x8 > 1x1x8": 1.0}'),
            r"T is not a latency table \(.*\), expected one that nas-tf profile-ops wrote",
        ),
        (
            table({}).to_json().replace('"schema": 1', '"schema": 9'),
            "latency table T is of schema 9, expected 1: write it again with nas-tf profile-ops",
        ),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path: Path, content: str | None, line: str) -> None:
    path = tmp_path / "here.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        latency.read(path)
    assert re.fullmatch(line.replace("T", re.escape(str(path))), str(caught.value))
