"""Writes the files that deploy an export with Docker, Compose and Kubernetes."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from nas_tf import files
from nas_tf.errors import ConfigError

FILES = (
    *("models.config", "batching.config", "monitoring.config"),
    *("Dockerfile", "compose.yaml", "kubernetes.yaml"),
)
_METADATA = "assets/metadata.json"
_NEEDED = (
    "saved_model.pb",
    "variables/variables.index",
    "variables/variables.data-*",
    _METADATA,
)
SERVER = "tensorflow/serving:2.15.1"
_LONGEST_NAME = 42
_HASH = 12
_NAME = re.compile(rf"[a-z]([-a-z0-9]{{0,{_LONGEST_NAME - 2}}}[a-z0-9])?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*")


def versions(folder: Path) -> list[int]:
    """Returns the versions in the ``savedmodel`` folder of an export, oldest first."""
    found = sorted(
        int(path.name) for path in (folder / "savedmodel").glob("*") if path.name.isdigit()
    )
    if not found:
        raise ConfigError(
            f"{folder} holds no version in savedmodel, expected a folder that nas-tf export wrote"
        )
    return found


def check_complete(folder: Path, version: int) -> None:
    """Raises if a version is missing a file that a server or a client's overlay needs."""
    place = folder / "savedmodel" / str(version)
    missing = [
        name for name in _NEEDED if not any(path.stat().st_size for path in place.glob(name))
    ]
    if missing:
        fault = f"{missing[0].rstrip('-*')} is missing"
    elif fault := _unreadable(place / _METADATA):
        fault = f"{_METADATA} is damaged ({fault})"
    else:
        return
    raise ConfigError(
        f"{place} is not a complete version: {fault}; delete this folder and export the network "
        "again, or name another version"
    )


def _unreadable(path: Path) -> str | None:
    """Returns the fault of a file that must hold a JSON object, if it has one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return str(error)
    return None if isinstance(found, dict) else "it is not a JSON object"


def name_of(text: str) -> str:
    """Turns any text into a name that TF Serving, Docker and Kubernetes all accept."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"model-{name}"
    return name[:_LONGEST_NAME].strip("-")


def named(name: str) -> str:
    """Returns the name, or raises if TF Serving, Docker or Kubernetes would not accept it."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"name is {name!r}, expected at most {_LONGEST_NAME} lower-case letters, digits and "
            f"hyphens such as {name_of(name)}"
        )
    return name


@dataclass(frozen=True)
class Release:
    """The versions that are served, by their labels.

    Args:
        stable: The version that clients request by the label ``stable``.
        canary: A version that is tried next to it, by the label ``canary``.
    """

    stable: int
    canary: int | None = None

    @property
    def labels(self) -> dict[str, int]:
        """The versions by their labels."""
        labels = {"stable": self.stable, "canary": self.canary}
        return {label: number for label, number in labels.items() if number is not None}

    @property
    def numbers(self) -> list[int]:
        """The versions that the server loads, in ascending order."""
        return sorted(set(self.labels.values()))

    def __str__(self) -> str:
        return "-".join(f"{label}{number}" for label, number in self.labels.items())


def tag(folder: Path, release: Release) -> str:
    """Returns the tag of a release's image, such as ``stable1-canary2-0a1b2c3d4e5f``.

    It has the labels, and a hash of the versions' files: whatever changes them gives the image
    another name, which Kubernetes rolls out, also if another export has the same numbers.
    """
    digest = hashlib.sha256()
    for number in release.numbers:
        place = folder / "savedmodel" / str(number)
        for path in sorted(path for path in place.rglob("*") if path.is_file()):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(place.parent)} {content}\n".encode())
    return f"{release}-{digest.hexdigest()[:_HASH]}"


def write(
    folder: Path, name: str, release: Release, *, image: str | None = None, threads: int = 2
) -> list[Path]:
    """Writes all files into ``folder/deploy``; the image repository is ``image`` or ``name``."""
    _check(folder, named(name), release, image)
    numbers = release.numbers
    values = {
        "name": name,
        "server": SERVER,
        "image": f"{image or name}:{tag(folder, release)}",
        "versions": " ".join(f"versions: {number}" for number in numbers),
        "labels": "\n    ".join(
            f'version_labels {{ key: "{label}" value: {number} }}'
            for label, number in release.labels.items()
        ),
        "copies": "\n".join(
            f"COPY savedmodel/{number} /models/{name}/{number}" for number in numbers
        ),
        "threads": str(threads),
    }
    written = []
    for file in FILES:
        text = (resources.files("serving") / "deploy" / file).read_text(encoding="utf-8")
        path = folder / "deploy" / file
        files.write(path, Template(text).substitute(values))
        written.append(path)
    return written


def _check(folder: Path, name: str, release: Release, image: str | None) -> None:
    found = versions(folder)
    for label, number in release.labels.items():
        if number not in found:
            raise ConfigError(
                f"{label} is {number}, expected a version in {folder / 'savedmodel'}: "
                f"{', '.join(map(str, found))}"
            )
    for number in release.numbers:
        check_complete(folder, number)
    if release.canary == release.stable:
        raise ConfigError(
            f"canary is {release.canary}, the same as stable, expected another version"
        )
    if image is not None and not _REPOSITORY.fullmatch(image):
        raise ConfigError(
            f"image is {image!r}, expected a repository without a tag such as "
            f"registry.example.com/{name}: the tag names the versions"
        )


def write_jetson(path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Path:
    """Writes, next to an ONNX model, the script that builds engines from it on a Jetson.

    Args:
        path: The path of the model.
        shapes: The ``min``, ``opt`` and ``max`` shape of the image of a model that takes any
            height and width; None if they are fixed.
    """
    given = " ".join(
        f"--{name}Shapes=image:{'x'.join(map(str, shape))}"
        for name, shape in (shapes or {}).items()
    )
    text = (resources.files("serving") / "deploy" / "jetson.sh").read_text(encoding="utf-8")
    script = path.with_suffix(".jetson.sh")
    script.write_text(text.replace('shapes=""', f'shapes="{given}"'), encoding="utf-8")
    script.chmod(0o755)
    return script


def compose_command(folder: Path) -> list[str]:
    """Returns the Docker Compose command that serves the release that ``write`` wrote."""
    return ["docker", "compose", "-f", str((folder / "deploy" / "compose.yaml").resolve()), "up"]


def docker_command(folder: Path, name: str) -> list[str]:
    """Returns the Docker command that serves the newest version, on loopback ports only."""
    return [
        *("docker", "run", "--rm", "-p", "127.0.0.1:8500:8500", "-p", "127.0.0.1:8501:8501"),
        *("-v", f"{(folder / 'savedmodel').resolve()}:/models/{name}:ro"),
        *("-e", f"MODEL_NAME={name}", SERVER),
    ]
