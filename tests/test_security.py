"""The promises of SECURITY.md: unsafe code, files in folders that are refused, and open ports.

Model files are in ``networks/test_model_files.py``.
"""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from nas_tf.errors import DataError
from tests.e2e import processes

ROOT = Path(__file__).parents[1]
PACKAGES = ("nas_tf", "tuner_oracles", "serving")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
    *("keras.models.load_model", "tf.keras.models.load_model", "tf.saved_model.load"),
    *("pandas.read_pickle", "tarfile.open", "shutil.unpack_archive"),
}
READER = ROOT / "nas_tf" / "networks" / "model_files.py"


def unsafe(source: str) -> Iterator[str]:
    """Yields the unsafe constructs of a source, which this repository must not use."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.module or ""
        elif isinstance(node, (ast.Attribute, ast.Name)):
            name = ast.unparse(node)
            if re.fullmatch(r"yaml\.(C?(Full|Unsafe))?Loader", name):
                yield name
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if name in CALLS:
                yield name
            if given.get("shell", "False") != "False":
                yield f"{name}(shell=...)"
            if name == "np.load" and given.get("allow_pickle") != "False":
                yield "np.load without allow_pickle=False"
            if given.get("safe_mode", "True") != "True":
                yield f"{name}(safe_mode=...)"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_data_are_never_run_as_code(path: Path) -> None:
    found = set(unsafe(path.read_text(encoding="utf-8")))
    if path == READER:
        assert found == {"keras.models.load_model", "tf.saved_model.load"}
    else:
        assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from joblib import load", "eval(text)", "exec(text)"),
        *("yaml.load(text)", "x = yaml.UnsafeLoader", "subprocess.run(line, shell=True)"),
        *("np.load(path)", "np.load(path, allow_pickle=True)", "os.system(line)"),
        *("tf.saved_model.load(folder)", "load(path, safe_mode=False)"),
    ],
)
def test_the_rule_finds(line: str) -> None:
    assert list(unsafe(f"def f():\n    {line}"))


def test_weights_files_of_objects_are_refused(tmp_path: Path) -> None:
    from nas_tf.runs import filenames, saved_arrays

    (tmp_path / filenames.WEIGHTS).mkdir()
    np.savez(saved_arrays.arrays_path(tmp_path, "0"), **{"a|kernel": np.array([{}], dtype=object)})
    with pytest.raises(DataError, match=r"0\.npz is damaged") as error:
        saved_arrays.read_arrays(tmp_path, "0")
    assert "allow_pickle=False" in str(error.value.__cause__)


@pytest.mark.parametrize(
    ("name", "line"),
    [("../../elsewhere", "is no record of a trial"), ("1", "it is of trial '1'; delete it")],
)
def test_a_trial_is_of_the_name_of_its_file(name: str, line: str, tmp_path: Path) -> None:
    """The name determines the path of the weights, so that a path in it would be followed."""
    from nas_tf.runs import record

    moment = "2026-01-01T00:00:00+00:00"
    content = {"trial": name, "space": "dpc", "genotype": "[]", "status": "completed", "reward": 1}
    content |= {"score": 1, "started": moment, "ended": moment}
    path = tmp_path / "0.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=line):
        record.read(path)
    path.write_text(json.dumps(content | {"trial": "0"}), encoding="utf-8")
    assert record.read(path).trial == "0"


def test_a_controller_is_read_from_its_own_folder(tmp_path: Path) -> None:
    from tuner_oracles.ppo import PRESETS, PPOSearcher

    (tmp_path / "run").mkdir()
    for name in ("elsewhere.npz", "run/own.npz"):
        np.savez(tmp_path / name, np.zeros(3))
    loaded = {}
    for name in (str(tmp_path / "elsewhere.npz"), "../elsewhere.npz", "own.npz"):
        digest = hashlib.sha256((tmp_path / "run" / name).read_bytes()).hexdigest()
        searcher = PPOSearcher(PRESETS["fast"])
        searcher.recover(tmp_path / "run", [{"file": name, "sha256": digest, "version": 1}])
        loaded[name] = searcher._checkpoint is not None
    assert list(loaded.values()) == [False, False, True]


def test_a_list_of_images_stays_in_its_folder(tmp_path: Path) -> None:
    from nas_tf.data.registry import builder_class

    (tmp_path / "own" / "images").mkdir(parents=True)
    (tmp_path / "own" / "train.txt").write_text("../../secret.png\n", encoding="utf-8")
    settings = tmp_path / "own" / "dataset.yaml"
    for listing, line in (
        ("train.txt", "names '../../secret.png', expected a path in"),
        ("../train.txt", r"splits.train is ../train.txt, expected a list file .* inside the data"),
    ):
        settings.write_text(f"classes: [one]\nsplits: {{train: {listing}}}\n", encoding="utf-8")
        with pytest.raises(DataError, match=line):  # noqa: PT012
            builder = builder_class(f"folder:{tmp_path / 'own'}")
            builder.items(builder.source, "train")


def test_a_huge_image_of_a_data_folder_is_refused_by_its_header(tmp_path: Path) -> None:
    from nas_tf.data.files import read_image

    for width in (9000, 90000):
        header = b"IHDR" + width.to_bytes(4, "big") + (8000).to_bytes(4, "big") + b"\x08\2\0\0\0"
        check = zlib.crc32(header).to_bytes(4, "big")
        path = tmp_path / f"{width}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + check + b"\0\0\0\0IDAT\0\0\0\0")
        with pytest.raises(DataError, match="pixels, expected at most 67,108,864: scale it"):
            read_image(path)


@pytest.mark.slow
def test_the_chief_listens_at_loopback_alone(tmp_path: Path) -> None:
    """``python -m tuner_oracles`` and ``nas-tf search --workers`` start it in the same way."""
    cluster = subprocess.Popen(
        [
            *(sys.executable, "-m", "tuner_oracles", "--workers", "1"),
            *(str(processes.SCRIPT), str(tmp_path), "500", "0.05"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        processes.wait_for(lambda: processes.results(tmp_path), 120)
        first = psutil.Process(cluster.pid)
        addresses = [
            ip_address(connection.laddr.ip)
            for process in (first, *first.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    finally:
        cluster.terminate()
        cluster.wait(60)
    assert len(addresses) == 1
    assert (getattr(addresses[0], "ipv4_mapped", None) or addresses[0]).is_loopback


def test_ports_of_servers_are_published_at_loopback() -> None:
    from serving import deployment

    command = deployment.docker_command(Path("exports/one"), "one")
    published = [item for before, item in pairwise(command) if before == "-p"]
    compose = (ROOT / "serving" / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    published += re.findall(r'"([\d.:]*\d+:\d+)"', compose)
    assert len(published) >= 3
    assert all(item.startswith("127.0.0.1:") for item in published)


@pytest.mark.parametrize(
    "file",
    [
        *("docs/how-to/cluster.yaml", "docs/how-to/cluster-data.yaml"),
        "serving/deploy/kubernetes.yaml",
    ],
)
def test_containers_may_do_no_more_than_they_need(file: str) -> None:
    parts = yaml.safe_load_all((ROOT / file).read_text(encoding="utf-8"))
    pods = [part["spec"]["template"]["spec"] for part in parts if "template" in part["spec"]]
    assert pods
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= container["resources"].keys()
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_images_and_compose_run_without_root_or_on_a_root_that_is_read_only() -> None:
    deploy = ROOT / "serving" / "deploy"
    lines = (deploy / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert lines.index("RUN chmod -R a+rX /models /config") < lines.index("USER 65534:65534")
    assert not [line for line in lines[lines.index("USER 65534:65534") :] if "RUN" in line]
    (service,) = yaml.safe_load((deploy / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_pages_state_that_the_port_is_open() -> None:
    for page in ("docs/how-to/cluster.md", "SECURITY.md"):
        assert "neither authenticated nor encrypted" in (ROOT / page).read_text(encoding="utf-8")
