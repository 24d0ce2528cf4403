"""The files of docs/how-to that start a search on Kubernetes or Slurm."""

import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import psutil
import pytest
import yaml

from nas_tf.config import load
from serving import deployment
from tests.e2e import processes

PLACE = processes.ROOT / "docs" / "how-to"
KUBERNETES = "1.34"
SRUN = """#!/bin/bash
# Starts as many tasks as srun would, on this machine; the first that fails ends all.
while [[ $1 == --* ]]; do shift; done
for ((task = 0; task < SLURM_NTASKS; task++)); do SLURM_PROCID=$task "$@" & done
for ((task = 0; task < SLURM_NTASKS; task++)); do
  wait -n || { code=$?; kill $(jobs -p); exit $code; }
done
"""


def parts(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((PLACE / name).read_text(encoding="utf-8")))


def containers(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    pod = job["spec"]["template"]["spec"]
    yield from (*pod.get("initContainers", ()), *pod["containers"])


def jobs(name: str) -> list[dict[str, Any]]:
    return [part for part in parts(name) if part["kind"] == "Job"]


@pytest.mark.parametrize("name", ["cluster.yaml", "cluster-data.yaml"])
def test_kubernetes_accepts_the_manifests(name: str) -> None:
    for part in parts(name):
        kubernetes_validate.validate(part, KUBERNETES, strict=True)


def test_kubernetes_accepts_the_manifest_of_an_export(tmp_path: Path) -> None:
    for file in ("saved_model.pb", "assets/metadata.json", "variables/variables.index"):
        path = tmp_path / "savedmodel" / "1" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (path.parent / "variables.data-00000-of-00001").write_text("x")
    deployment.write(tmp_path, "street", deployment.Release(1))
    text = (tmp_path / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")
    for part in yaml.safe_load_all(text):
        kubernetes_validate.validate(part, KUBERNETES, strict=True)


def test_what_is_prepared_is_what_the_search_reads() -> None:
    (prepared,), searching = jobs("cluster-data.yaml"), jobs("cluster.yaml")
    (claim,) = (part for part in parts("cluster-data.yaml") if part not in [prepared])
    images, caches = set(), set()
    for job in (prepared, *searching):
        *_, volume = job["spec"]["template"]["spec"]["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        for container in containers(job):
            images.add(container["image"])
            variables = {item["name"]: item.get("value") for item in container["env"]}
            if container["name"] != "fetch":
                caches.add((variables["NAS_TF_CACHE"], variables["HOME"]))
    assert (len(images), len(caches)) == (1, 1)
    _, prepare, weights = (container["command"] for container in containers(prepared))
    config = load(weights[2])
    assert prepare == ["nas-tf", "data", "prepare", config.data.name]
    searched = {each["command"][2] for job in searching for each in containers(job)}
    assert searched == {weights[2]}


def test_an_archive_is_fetched_once(tmp_path: Path) -> None:
    """The command of the manifest, with a folder of this machine instead of the claim."""
    picture = tmp_path / "camvid" / "a.png"
    picture.parent.mkdir()
    picture.write_bytes(b"picture")
    with tarfile.open(tmp_path / "camvid.tar", "w") as archive:
        archive.add(picture.parent, "camvid")
    (prepared,) = jobs("cluster-data.yaml")
    *shell, script = next(containers(prepared))["command"]
    claim = tmp_path / "claim"
    variables = {
        "ARCHIVE": (tmp_path / "camvid.tar").as_uri(),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }

    def fetch() -> int:
        command = [*shell, script.replace("/runs", str(claim))]
        return subprocess.run(command, env=variables, check=False).returncode

    assert fetch() == 0
    assert (claim / "source" / "camvid" / "a.png").read_bytes() == b"picture"
    assert not list(claim.rglob("*.tar"))
    (tmp_path / "camvid.tar").unlink()
    assert fetch() == 0, "a second start fetches nothing"
    (claim / "source" / "complete").unlink()
    assert fetch() != 0
    (tmp_path / "camvid.tar").write_bytes(b"cut off")
    assert fetch() not in (0, 2, 3), "the Job fetches again"


def test_the_image_installs_what_setup_offers() -> None:
    text = (PLACE / "cluster.Dockerfile").read_text(encoding="utf-8")
    named = set(re.findall(r"EXTRAS=(\w+)", text))
    assert named
    assert named <= set(metadata("nas-tf").get_all("Provides-Extra"))
    assert (processes.ROOT / "constraints.txt").exists()
    (job, *_) = jobs("cluster.yaml")
    user = job["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in text
    (image,) = {each["image"].partition(":")[0] for each in containers(job)}
    assert f"-t {image} -f docs/how-to/cluster.Dockerfile ." in text


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a batch script, with stand-ins for the commands of Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", "#!/bin/sh\necho 127.0.0.1\necho other\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "KERASTUNER_ORACLE_PORT": str(processes.free_port()),
        "PYTHONPATH": str(processes.ROOT),
    }


def submitted(slurm: dict[str, str], tasks: int, *command: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", PLACE / "cluster.slurm", *map(str, command)],
        env=os.environ | slurm | {"SLURM_NTASKS": str(tasks)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_slurm_starts_a_chief_and_workers_and_a_mistake_ends_them(slurm: dict[str, str]) -> None:
    line = 'echo "$KERASTUNER_TUNER_ID $KERASTUNER_ORACLE_IP:$KERASTUNER_ORACLE_PORT $0"'
    output, _ = submitted(slurm, 3, "bash", "-c", line, "two words").communicate(timeout=60)
    address = f"127.0.0.1:{slurm['KERASTUNER_ORACLE_PORT']}"
    names = ("chief", "worker-0", "worker-1")
    assert sorted(output.splitlines()) == [f"{name} {address} two words" for name in names]
    mistake = submitted(slurm, 2, "bash", "-c", "echo started; exit 2")
    output, _ = mistake.communicate(timeout=60)
    assert mistake.returncode == 2
    assert output.count("started") <= 2
    without = submitted(slurm, 2)
    assert "expected the command of the search" in without.communicate(timeout=60)[0]
    assert without.returncode != 0


@pytest.mark.slow
def test_a_search_on_slurm_survives_the_death_of_a_worker(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "search"
    processes.hold(folder, "worker-0", "worker-1")  # else one might run all trials
    job = submitted(slurm, 3, sys.executable, processes.SCRIPT, folder, 12, 0.1)
    try:
        processes.wait_until_held(folder, "worker-0")
        victims = [
            process
            for process in psutil.Process(job.pid).children(recursive=True)
            if process.name().startswith("python")
            and process.environ().get("KERASTUNER_TUNER_ID") == "worker-0"
        ]
        victims[0].kill()
        processes.release(folder)
        output, _ = job.communicate(timeout=300)
    finally:
        with suppress(ProcessLookupError):  # all that it started, if it has not ended
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode == 0, output
    assert [trial[2] for trial in processes.trials(folder)] == ["COMPLETED"] * 12
