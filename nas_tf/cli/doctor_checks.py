"""The checks of ``nas-tf doctor`` that need no TensorFlow: packages, machine, folders, tools."""

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
from typing import Literal

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from nas_tf import folders

OWN = "nas-tf"
GIB = 2**30
_INSTALL = "pip install -c constraints.txt -e . in the clone"
_FREE_SPACE = (
    "free some space (caches are rebuilt when they are needed), or set NAS_TF_CACHE to a folder "
    "on another disk"
)
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
        folder = folders.cache(kind)
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
    root = folders.data()
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
