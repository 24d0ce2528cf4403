"""Training on several machines: processes of this one, which know each other by their ports."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nas_tf.networks.model_files import read_model
from tests.e2e.processes import free_port, wait_for
from tests.e2e.warm import Warm
from tests.prepared import few_scenes
from tests.training.evaluated import SIMPLE

TRAIN = (
    *("train", str(SIMPLE), "--config", "shapes_auxcell", "--out", "run", "threads=1"),
    *("space={name: auxcell, blocks: 1, branches: 1}", "network.alpha=0.35"),
    *("network.width=8", "network.weights=null", "full_training.save_minutes=0.0001"),
    "full_training.stages=[{epochs: 2, batch: 20, crop: [64, 64]}]",
)
FOLDERS = ("run", "run-machine2")
pytestmark = pytest.mark.slow


class Cluster:
    """Two machines with one command, which share a folder."""

    def __init__(self, folder: Path, *more: tuple[str, ...]) -> None:
        folder.mkdir(exist_ok=True)
        addresses = [f"127.0.0.1:{free_port()}" for _ in FOLDERS]
        self.machines = []
        for index in range(len(addresses)):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            env = {"TF_CONFIG": config, "NAS_TF_CACHE": str(few_scenes())}
            log = folder / f"{index}.log"
            own = more[index] if more else ()
            self.machines.append(Warm("command", folder, *TRAIN, *own, env=env, log=log))

    def wait(self) -> list[int]:
        return [machine.wait(300) for machine in self.machines]

    def kill(self) -> None:
        for machine in self.machines:
            machine.kill()


@pytest.fixture
def clusters() -> Iterator[list[Cluster]]:
    found: list[Cluster] = []
    yield found
    for cluster in found:
        cluster.kill()


def weights(folder: Path) -> list[np.ndarray]:
    return read_model(folder / "last.keras").get_weights()


def saved(folder: Path) -> bool:
    """True once a checkpoint is complete: this file names it."""
    return (folder / "run/checkpoints/stage1/checkpoint").exists()


def test_a_killed_training_on_two_machines_ends_as_if_undisturbed(
    tmp_path: Path, clusters: list[Cluster]
) -> None:
    clusters.append(Cluster(tmp_path / "calm"))
    assert clusters[0].wait() == [0, 0], clusters[0].machines[0].errors
    clusters.append(Cluster(tmp_path / "killed"))
    wait_for(lambda: saved(tmp_path / "killed"))
    clusters[1].kill()
    assert not (tmp_path / "killed/run/last.keras").exists()
    clusters.append(Cluster(tmp_path / "killed"))
    assert clusters[2].wait() == [0, 0], clusters[2].machines[0].errors
    assert all("resuming after step" in machine.errors for machine in clusters[2].machines)
    expected = weights(tmp_path / "calm/run")
    for folder in (tmp_path / "calm/run-machine2", *(tmp_path / "killed" / x for x in FOLDERS)):
        for found, value in zip(weights(folder), expected, strict=True):
            np.testing.assert_array_equal(found, value)
    assert not (tmp_path / "calm/run-machine2/checkpoints").exists()


def test_the_death_of_a_machine_ends_the_others_with_a_line(
    tmp_path: Path, clusters: list[Cluster]
) -> None:
    clusters.append(Cluster(tmp_path))
    wait_for(lambda: saved(tmp_path))
    leader, other = clusters[0].machines
    other.kill()
    assert leader.wait(120) == 4
    last = leader.errors.strip().splitlines()[-1]
    assert last == (
        "nas-tf: another machine has ended or cannot be reached: give the same command on all "
        "machines, and the training resumes from its last checkpoint"
    )


def test_machines_with_different_commands_are_refused(
    tmp_path: Path, clusters: list[Cluster]
) -> None:
    clusters.append(Cluster(tmp_path, ("seed=1",), ("seed=2",)))
    assert clusters[0].wait() == [2, 2]
    for number, machine in enumerate(clusters[0].machines, 1):
        last = machine.errors.strip().splitlines()[-1]
        assert last.startswith(f"nas-tf: machine {number} of 2 differs from the others in config")
    assert not os.path.exists(tmp_path / "run/history.csv")
