"""Checks of this environment, with remedies: packages, machine, folders, data and tools."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from nas_tf import files

OWN = "nas-tf"
GIB = 2**30
_INSTALL = "pip install -c constraints.txt -e . in the clone"
_FREE_SPACE = (
    "free some space (caches are rebuilt when they are needed), or set NAS_TF_CACHE to a folder "
    "on another disk"
)
_TIMEOUT_SECONDS = 300
_SYNTHETIC = "shapes"
_LITTLE_MEMORY = 4 * GIB
_LITTLE_DISK, _NO_DISK = 10 * GIB, GIB
_TOOLS = {
    "Docker": (("docker",), "nas-tf serve --start"),
    "TF Serving": (("tensorflow_model_server",), "serving exports without Docker"),
    "Chromium": (
        ("chromium", "google-chrome", "chrome"),
        "tests that open reports in a browser",
    ),
}

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """The result of one check, with a remedy if the state is not ``ok``."""

    subject: str
    state: State
    message: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Returns the entries that ``nas-tf doctor --json`` prints."""
        return {
            "subject": self.subject,
            "state": self.state,
            "told": self.message,
            "remedy": self.remedy,
        }


def findings() -> Iterator[Finding]:
    """Makes all checks; those of TensorFlow run in a process of their own, which may crash."""
    yield python()
    yield from packages()
    yield from extras()
    answers, fault = _probe()
    yield from _tensorflow(answers, fault)
    yield cores()
    yield memory()
    yield from caches()
    yield data_folder()
    yield from _data(answers)
    yield from tools()


def _probe() -> tuple[dict[str, dict[str, Any]], str]:
    """Returns the answers of the TensorFlow process by topic, and its fault if it failed."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "nas_tf.jobs.environment_probe"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {_TIMEOUT_SECONDS} s"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"topic"')]
    answers = {line["topic"]: line for line in lines}
    if done.returncode < 0:
        return answers, f"the process was ended by signal {-done.returncode}"
    errors = done.stderr.strip().splitlines() or ["no error message"]
    return answers, f"exit code {done.returncode}: {errors[-1]}" if done.returncode else ""


def _tensorflow(answers: dict[str, dict[str, Any]], fault: str) -> Iterator[Finding]:
    """Checks that TensorFlow and its companions can be imported; reports GPUs and arithmetic."""
    remedy = "fix the packages above first, then run nas-tf doctor again"
    failed = {topic: line["error"] for topic, line in answers.items() if "error" in line}
    failed.pop("data", None)
    for topic, reason in failed.items():
        yield Finding(f"import {topic}", "problem", reason, remedy)
    if fault:
        last = f" after {list(answers)[-1]}" if answers else ""
        yield Finding("import of TensorFlow", "problem", f"{fault}{last}", remedy)
    if "value" not in answers.get("tensorflow", {}):
        return
    if not failed and not fault:
        yield Finding("imports", "ok", "TensorFlow and the packages that need it")
    yield _gpus(answers["tensorflow"]["value"]["gpus"])
    if "value" in answers.get("arithmetic", {}):
        yield Finding("arithmetic", "ok", answers["arithmetic"]["value"])


def _gpus(names: list[str]) -> Finding:
    if names:
        return Finding("GPUs", "ok", ", ".join(names))
    if Path("/dev/nvidia0").exists():
        return Finding(
            "GPUs",
            "note",
            "TensorFlow finds none, although this machine has one",
            "pip install 'nas-tf[gpu]'; the driver must support CUDA 12.2 or newer",
        )
    return Finding("GPUs", "ok", "none; TensorFlow runs on the CPU")


def _data(answers: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Reports ImageNet weights and prepared data sets."""
    weights = answers.get("weights", {}).get("value", {})
    for name, path in weights.items():
        if path:
            yield Finding(f"ImageNet weights of {name}", "ok", path)
    if absent := [name for name, path in weights.items() if not path]:
        yield Finding(
            "ImageNet weights" if len(absent) == len(weights) else "other ImageNet weights",
            "note",
            f"not on this machine: {', '.join(absent)}",
            "they are downloaded when first used; without a network, copy them to "
            "$NAS_TF_DATA/weights; the quickstart does not need them",
        )
    line = answers.get("data")
    if line is None:
        return
    if "error" in line:
        yield Finding(
            "data sets",
            "problem",
            line["error"],
            "remove the folder that it names and run nas-tf data prepare again",
        )
        return
    for name, splits in line["value"].items():
        if splits:
            counts = ", ".join(f"{split} {count}" for split, count in splits.items())
            yield Finding(f"data set {name}", "ok", counts)
    absent = [name for name, splits in line["value"].items() if not splits and name != _SYNTHETIC]
    if absent:
        yield Finding(
            "other data sets",
            "note",
            f"not prepared: {', '.join(absent)}",
            "nas-tf data list names the source of each; shapes needs no files",
        )


def python() -> Finding:
    """Checks that the package supports this interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = _own_metadata()["Requires-Python"] if installed() else ">=3.11,<3.12"
    if version in SpecifierSet(wanted):
        return Finding("Python", "ok", f"{version}, {sys.executable}")
    return Finding(
        "Python",
        "problem",
        f"{version}, expected {wanted}",
        "create a virtual environment with Python 3.11: make PYTHON=python3.11 test",
    )


def installed() -> bool:
    """Returns whether nas-tf is installed, so that its requirements are known."""
    try:
        _own_metadata()
    except metadata.PackageNotFoundError:
        return False
    return True


def packages() -> Iterator[Finding]:
    """Checks required packages; lists those with a pinned or upper version, and all faults."""
    if not installed():
        yield Finding(OWN, "problem", "not installed, so its requirements are unknown", _INSTALL)
        return
    core = [requirement for requirement in _requirements() if requirement.marker is None]
    count = 0
    for requirement in core:
        fault = next(_unmet(requirement), None)
        bounded = any(part.operator in ("==", "<", "<=", "~=") for part in requirement.specifier)
        if fault:
            yield Finding(
                requirement.name, "problem", fault, f"pip install '{requirement}', or {_INSTALL}"
            )
        elif bounded:
            yield Finding(requirement.name, "ok", metadata.version(requirement.name))
        else:
            count += 1
    yield Finding("other packages", "ok", f"{count} installed as required")


def extras() -> Iterator[Finding]:
    """Checks which optional extras are installed."""
    if not installed():
        return
    for extra in _own_metadata().get_all("Provides-Extra"):
        required = [
            requirement
            for requirement in _requirements()
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra})
        ]
        faults = [text for requirement in required for text in _unmet(requirement)]
        if faults:
            remedy = f"if you need it: pip install '{OWN}[{extra}]'"
            yield Finding(f"extra {extra}", "note", _first_two(faults), remedy)
        else:
            names = ", ".join(requirement.name for requirement in required)
            yield Finding(f"extra {extra}", "ok", names)


def memory() -> Finding:
    """Checks the machine's available memory; a container may have less."""
    usage = psutil.virtual_memory()
    line = f"{usage.available / GIB:.1f} of {usage.total / GIB:.1f} GiB available"
    if usage.available >= _LITTLE_MEMORY:
        return Finding("memory", "ok", line)
    return Finding("memory", "note", line, "a search with one worker needs up to 4 GiB")


def caches() -> Iterator[Finding]:
    """Checks that prepared data and features can be written, and the space that is left."""
    for kind in ("data", "features"):
        folder = files.cache(kind)
        existing = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=existing):
                free = shutil.disk_usage(existing).free
        except OSError as error:
            yield Finding(
                f"cache of {kind}",
                "problem",
                f"{folder} cannot be written: {error.strerror}",
                "set NAS_TF_CACHE to a writable folder",
            )
            continue
        line = f"{folder}, {_used(folder) / GIB:.1f} GiB used, {free / GIB:.1f} GiB free"
        state: State = "problem" if free < _NO_DISK else "note" if free < _LITTLE_DISK else "ok"
        remedy = "" if state == "ok" else _FREE_SPACE
        yield Finding(f"cache of {kind}", state, line, remedy)


def data_folder() -> Finding:
    """Checks that NAS_TF_DATA names a folder."""
    root = files.data()
    if root is None:
        return Finding(
            "NAS_TF_DATA",
            "note",
            "not set",
            "set it to the folder with your data sets, or use nas-tf data prepare --source",
        )
    if root.is_dir():
        return Finding("NAS_TF_DATA", "ok", str(root))
    return Finding(
        "NAS_TF_DATA",
        "problem",
        f"{root} is not a folder",
        "set it to the folder with your data sets, or unset it",
    )


def cores() -> Finding:
    """Reports the number of processor cores that this process may use."""
    usable = len(os.sched_getaffinity(0))
    return Finding("cores", "ok", f"{usable} of {os.cpu_count()}")


def tools() -> Iterator[Finding]:
    """Checks programs that some commands call."""
    for name, (programs, use) in _TOOLS.items():
        found = next(filter(None, map(shutil.which, programs)), None)
        if found and name == "Docker" and not daemon_answers(found):
            yield Finding(
                name, "note", f"{found}, but its daemon does not answer", f"start it for {use}"
            )
        elif found:
            yield Finding(name, "ok", found)
        else:
            yield Finding(name, "note", "not found", f"needed only for {use}")


def daemon_answers(docker: str) -> bool:
    """Returns whether the Docker daemon answers the client program ``docker``."""
    try:
        return not subprocess.run([docker, "info"], capture_output=True, timeout=10).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def _own_metadata() -> metadata.PackageMetadata:
    return metadata.metadata(OWN)


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in metadata.requires(OWN) or ()]


def _unmet(requirement: Requirement) -> Iterator[str]:
    """Yields each package, those of the requirement's extras included, that does not meet it."""
    name, wanted = requirement.name, requirement.specifier
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        yield f"{name} is not installed"
        return
    if not wanted.contains(version, prereleases=True):
        yield f"{name} is {version}, expected {wanted}"
    for line in metadata.requires(name) or () if requirement.extras else ():
        inner = Requirement(line)
        if inner.marker and _is_in_extras(inner, requirement.extras):
            yield from _unmet(inner)


def _is_in_extras(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    assert marker is not None
    return not marker.evaluate({"extra": ""}) and any(
        marker.evaluate({"extra": extra}) for extra in extras
    )


def _first_two(texts: list[str]) -> str:
    more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
    return ", ".join(texts[:2]) + more


def _used(folder: Path) -> int:
    """Returns the bytes of all files below a folder; others may delete files meanwhile."""
    used = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                used += os.lstat(os.path.join(parent, name)).st_size
    return used


def _nearest(folder: Path) -> Path:
    """Returns the folder itself, or the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
