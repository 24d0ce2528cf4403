"""The machines that ``TF_CONFIG`` describes."""

import json
import re
from pathlib import Path

import pytest
import tensorflow as tf

from nas_tf.errors import ConfigError
from nas_tf.training import hardware, machines
from nas_tf.training.checkpoint import Checkpoints
from nas_tf.training.machines import Machines

TWO = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        ({}, Machines()),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, Machines()),
        ({"cluster": TWO, "task": {"type": "worker", "index": 1}}, Machines(2, 1)),
        ({"cluster": TWO, "task": {"type": "worker", "index": "1"}}, Machines(2, 1)),
        (
            {"cluster": {**TWO, "chief": ["c:1"]}, "task": {"type": "worker", "index": 0}},
            Machines(3, 1),
        ),
        (
            {"cluster": {**TWO, "chief": ["c:1"]}, "task": {"type": "chief", "index": 0}},
            Machines(3, 0),
        ),
    ],
)
def test_machines_are_counted(
    monkeypatch: pytest.MonkeyPatch, described: dict, expected: Machines
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(described))
    assert machines.machines() == expected
    assert expected.leads == (expected.number == 0)


def test_without_the_variable_there_is_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert machines.machines() == Machines()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        json.dumps({"cluster": TWO}),
        json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": TWO, "task": {"type": "worker", "index": "x"}}),
        json.dumps({"cluster": [1]}),
    ],
)
def test_a_malformed_variable_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=f"^TF_CONFIG is {re.escape(text)}, expected such as"):
        machines.machines()


def test_other_jobs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {**TWO, "ps": ["d:1"]}
    described = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(described))
    with pytest.raises(ConfigError, match=r"^TF_CONFIG has the job ps, expected chief and"):
        machines.machines()


def test_several_machines_need_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {"cluster": TWO, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(described))
    float(tf.constant(1.0))
    with pytest.raises(ConfigError, match=r"^TF_CONFIG has several machines, and TensorFlow has"):
        hardware.strategy()


def test_only_the_machine_that_leads_writes_checkpoints(tmp_path: Path) -> None:
    value = tf.Variable(1.0)
    leads = Checkpoints(tmp_path, {"value": value})
    Checkpoints(tmp_path, {"value": value}, writes=False).save(1)
    assert list(tmp_path.iterdir()) == []
    leads.save(2)
    (tmp_path / "ckpt-3_temp").mkdir()
    value.assign(5.0)
    assert Checkpoints(tmp_path, {"value": value}, writes=False).restore()
    assert float(value) == 1.0
    assert (tmp_path / "ckpt-3_temp").is_dir()
