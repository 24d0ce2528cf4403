"""Training on several machines: processes of this one, which know each other by their ports."""

import json
import signal
import socket
import time
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
    """Two machines with one command, or the first of them alone, which share a folder."""

    def __init__(
        self, folder: Path, *more: tuple[str, ...], port: int = 0, started: int = 2
    ) -> None:
        folder.mkdir(exist_ok=True)
        addresses = [f"127.0.0.1:{port or free_port()}", f"127.0.0.1:{free_port()}"]
        self.machines = []
        for index in range(started):
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_a_machine_ends_the_others_with_a_line(
    tmp_path: Path, clusters: list[Cluster], number: int
) -> None:
    clusters.append(Cluster(tmp_path))
    wait_for(lambda: saved(tmp_path))
    leader, other = clusters[0].machines
    other.send_signal(number)
    assert other.wait(60) == -number
    assert leader.wait(120) == 4
    last = leader.errors.strip().splitlines()[-1]
    assert last == (
        "nas-tf: another machine has ended or cannot be reached: give the same command on all "
        "machines, and the training resumes from its last checkpoint"
    )


def test_a_machine_that_waits_for_others_can_be_stopped(
    tmp_path: Path, clusters: list[Cluster]
) -> None:
    clusters.append(Cluster(tmp_path, started=1))
    (machine,) = clusters[0].machines
    wait_for(lambda: machine.errors == "machine 1 of 2 waits for the others\n")
    time.sleep(1)  # TensorFlow waits now
    machine.send_signal(signal.SIGINT)
    assert machine.wait(30) == -signal.SIGINT


def test_an_address_in_use_is_one_line(tmp_path: Path, clusters: list[Cluster]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        clusters.append(Cluster(tmp_path, port=other.getsockname()[1], started=1))
        (machine,) = clusters[0].machines
        assert machine.wait(60) == 4
    assert machine.errors.splitlines()[-1] == (
        "nas-tf: TF_CONFIG: machine 1 of 2 cannot open its own address, or cannot reach the "
        "first machine: Could not start gRPC server"
    )


@pytest.mark.parametrize("others", [("seed=2",), ("network.width=12",)])
def test_machines_with_different_commands_are_refused(
    tmp_path: Path, clusters: list[Cluster], others: tuple[str, ...]
) -> None:
    clusters.append(Cluster(tmp_path, (), others))
    assert clusters[0].wait() == [2, 2], clusters[0].machines[0].errors
    for number, machine in enumerate(clusters[0].machines, 1):
        last = machine.errors.strip().splitlines()[-1]
        assert last.startswith(f"nas-tf: machine {number} of 2 differs from the others in config")
    assert not any((tmp_path / folder).exists() for folder in FOLDERS)
