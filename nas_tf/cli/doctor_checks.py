"""What ``nas-tf doctor`` finds without TensorFlow: packages, machine, folders, tools."""

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
_ROOM = (
    "make room (what is in the caches is made anew when it is asked for), or set NAS_TF_CACHE to "
    "another disk"
)
_LITTLE_MEMORY = 4 * GIB
_LITTLE_DISK, _NO_DISK = 10 * GIB, GIB
_TOOLS = {
    "Docker": (("docker",), "nas-tf serve --start"),
    "TF Serving": (("tensorflow_model_server",), "serving exports without Docker"),
    "Chromium": (
        ("chromium", "google-chrome", "chrome"),
        "the tests that look at reports in a browser",
    ),
}

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how it is, and what to do where it should be otherwise."""

    subject: str
    state: State
    told: str
    remedy: str = ""


def python() -> Finding:
    """Whether this interpreter is one that the package asks for."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = _own_metadata()["Requires-Python"] if installed() else ">=3.11,<3.12"
    if version in SpecifierSet(wanted):
        return Finding("Python", "ok", f"{version}, {sys.executable}")
    return Finding(
        "Python",
        "problem",
        f"{version}, expected {wanted}",
        "make a virtual environment with Python 3.11: make PYTHON=python3.11 test",
    )


def installed() -> bool:
    """Whether nas-tf has been installed, so that it can say what it asks for."""
    try:
        _own_metadata()
    except metadata.PackageNotFoundError:
        return False
    return True


def packages() -> Iterator[Finding]:
    """Every package that is pinned or bounded from above, and those of the others that are off."""
    if not installed():
        yield Finding(OWN, "problem", "not installed: its requirements are not known", _INSTALL)
        return
    core = [requirement for requirement in _requirements() if requirement.marker is None]
    fine = 0
    for requirement in core:
        wrong = next(_lacking(requirement), None)
        bounded = any(one.operator in ("==", "<", "<=", "~=") for one in requirement.specifier)
        if wrong:
            yield Finding(
                requirement.name, "problem", wrong, f"pip install '{requirement}', or {_INSTALL}"
            )
        elif bounded:
            yield Finding(requirement.name, "ok", metadata.version(requirement.name))
        else:
            fine += 1
    yield Finding("other packages", "ok", f"{fine} as asked for")


def extras() -> Iterator[Finding]:
    """Which of the optional parts can be used."""
    if not installed():
        return
    for extra in _own_metadata().get_all("Provides-Extra"):
        wanted = [
            requirement
            for requirement in _requirements()
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra})
        ]
        lacking = [text for one in wanted for text in _lacking(one)]
        if lacking:
            remedy = f"if you need it: pip install '{OWN}[{extra}]'"
            yield Finding(f"extra {extra}", "note", _few(lacking), remedy)
        else:
            names = ", ".join(one.name for one in wanted)
            yield Finding(f"extra {extra}", "ok", names)


def memory() -> Finding:
    """What is free of the machine's memory; a container may have less."""
    told = psutil.virtual_memory()
    line = f"{told.available / GIB:.1f} of {told.total / GIB:.1f} GiB available"
    if told.available >= _LITTLE_MEMORY:
        return Finding("memory", "ok", line)
    return Finding("memory", "note", line, "a search of one worker is safe from 4 GiB on")


def caches() -> Iterator[Finding]:
    """Whether prepared data and features can be written, and what room there is."""
    for kind in ("data", "features"):
        folder = folders.cache(kind)
        there = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=there):
                free = shutil.disk_usage(there).free
        except OSError as error:
            yield Finding(
                f"cache of {kind}",
                "problem",
                f"{folder} cannot be written: {error.strerror}",
                "set NAS_TF_CACHE to a folder that can",
            )
            continue
        line = f"{folder}, {_used(folder) / GIB:.1f} GiB used, {free / GIB:.1f} GiB free"
        state: State = "problem" if free < _NO_DISK else "note" if free < _LITTLE_DISK else "ok"
        remedy = "" if state == "ok" else _ROOM
        yield Finding(f"cache of {kind}", state, line, remedy)


def data_folder() -> Finding:
    """Whether NAS_TF_DATA names a folder."""
    root = folders.data()
    if root is None:
        return Finding(
            "NAS_TF_DATA",
            "note",
            "not set",
            "set it to the folder with data sets, or give nas-tf data prepare a --source",
        )
    if root.is_dir():
        return Finding("NAS_TF_DATA", "ok", str(root))
    return Finding(
        "NAS_TF_DATA",
        "problem",
        f"{root} is no folder",
        "set it to the folder with data sets, or unset it",
    )


def cores() -> Finding:
    """How many this process may use."""
    usable = len(os.sched_getaffinity(0))
    return Finding("cores", "ok", f"{usable} of {os.cpu_count()}")


def tools() -> Iterator[Finding]:
    """Programs that some commands call."""
    for name, (programs, use) in _TOOLS.items():
        found = next(filter(None, map(shutil.which, programs)), None)
        if found and name == "Docker" and not answers(found):
            yield Finding(
                name, "note", f"{found}, its daemon does not answer", f"start it for {use}"
            )
        elif found:
            yield Finding(name, "ok", found)
        else:
            yield Finding(name, "note", "not found", f"needed for {use} only")


def answers(docker: str) -> bool:
    """Whether there is a daemon behind the program."""
    try:
        return not subprocess.run([docker, "info"], capture_output=True, timeout=10).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


def _own_metadata() -> metadata.PackageMetadata:
    return metadata.metadata(OWN)


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in metadata.requires(OWN) or ()]


def _lacking(requirement: Requirement) -> Iterator[str]:
    """What is absent or of another version, with the packages of the requirement's own extras."""
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
        if inner.marker and _is_of(inner, requirement.extras):
            yield from _lacking(inner)


def _is_of(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    assert marker is not None
    return not marker.evaluate({"extra": ""}) and any(
        marker.evaluate({"extra": extra}) for extra in extras
    )


def _few(texts: list[str]) -> str:
    more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
    return ", ".join(texts[:2]) + more


def _used(folder: Path) -> int:
    """What lies below a folder; others may take files away meanwhile."""
    used = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                used += os.lstat(os.path.join(place, name)).st_size
    return used


def _nearest(folder: Path) -> Path:
    """The folder itself, or the innermost above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())
