"""Files to run an export by: for Docker, Compose and Kubernetes, filled in and ready."""

import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from nas_tf.errors import ConfigError
from nas_tf.runs.files import write_atomically

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
_MOST = 42
_NAME = re.compile(rf"[a-z]([-a-z0-9]{{0,{_MOST - 2}}}[a-z0-9])?")
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*")


def versions(folder: Path) -> list[int]:
    """The versions in the ``savedmodel`` folder of an export, oldest first."""
    found = sorted(
        int(one.name) for one in (folder / "savedmodel").glob("*") if one.name.isdigit()
    )
    if not found:
        raise ConfigError(
            f"{folder} holds no version in savedmodel, expected a folder that nas-tf export wrote"
        )
    return found


def check_complete(folder: Path, version: int) -> None:
    """Raises where a version lacks a file that a server, or a client's drawing, needs."""
    place = folder / "savedmodel" / str(version)
    lacks = [name for name in _NEEDED if not any(one.stat().st_size for one in place.glob(name))]
    if lacks:
        fault = f"it lacks {lacks[0].rstrip('-*')}"
    elif fault := _unreadable(place / _METADATA):
        fault = f"{_METADATA} is damaged ({fault})"
    else:
        return
    raise ConfigError(
        f"{place} is not a complete version: {fault}; delete this folder and export the network "
        "again, or name another version"
    )


def _unreadable(path: Path) -> str | None:
    """What is wrong with a file that must hold a JSON object, if anything is."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return str(error)
    return None if isinstance(found, dict) else "it is not an object"


def name_of(text: str) -> str:
    """A name that TF Serving, Docker and Kubernetes all accept, from any text."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    name = name if name[:1].isalpha() else f"model-{name}"
    return name[:_MOST].strip("-")


def named(name: str) -> str:
    """The name, if all of them accept it."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"name is {name!r}, expected at most {_MOST} lower-case letters, digits and hyphens "
            f"such as {name_of(name)}"
        )
    return name


@dataclass(frozen=True)
class Release:
    """Which versions are served.

    Args:
        stable: The one that clients ask for by the label ``stable``.
        canary: One that is tried beside it, by the label ``canary``.
    """

    stable: int
    canary: int | None = None

    @property
    def labels(self) -> dict[str, int]:
        """The versions by their labels."""
        given = {"stable": self.stable, "canary": self.canary}
        return {label: number for label, number in given.items() if number is not None}

    @property
    def numbers(self) -> list[int]:
        """Those that the server loads."""
        return sorted(set(self.labels.values()))

    @property
    def tag(self) -> str:
        """Of an image with it: another release has another, so that Kubernetes rolls it out."""
        return "-".join(f"{label}{number}" for label, number in self.labels.items())


def write(
    folder: Path, name: str, release: Release, *, image: str | None = None, threads: int = 2
) -> list[Path]:
    """Writes all files into ``folder/deploy``, for the image repository or one called ``name``."""
    _check(folder, named(name), release, image)
    numbers = release.numbers
    values = {
        "name": name,
        "server": SERVER,
        "image": f"{image or name}:{release.tag}",
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
        write_atomically(path, Template(text).substitute(values))
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
        raise ConfigError(f"canary is {release.canary} as stable is, expected another version")
    if image is not None and not _REPOSITORY.fullmatch(image):
        raise ConfigError(
            f"image is {image!r}, expected a repository without a tag such as "
            f"registry.example.com/{name}: the tag tells the versions"
        )


def write_jetson(path: Path) -> Path:
    """Writes, beside an ONNX model, the script that makes engines of it on a Jetson."""
    text = (resources.files("serving") / "deploy" / "jetson.sh").read_text(encoding="utf-8")
    script = path.with_suffix(".jetson.sh")
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


def compose_command(folder: Path) -> list[str]:
    """What starts, in Docker, the versions that ``write`` wrote files for."""
    return ["docker", "compose", "-f", str((folder / "deploy" / "compose.yaml").resolve()), "up"]


def docker_command(folder: Path, name: str) -> list[str]:
    """What starts the newest version in Docker, on ports of this machine alone."""
    return [
        *("docker", "run", "--rm", "-p", "127.0.0.1:8500:8500", "-p", "127.0.0.1:8501:8501"),
        *("-v", f"{(folder / 'savedmodel').resolve()}:/models/{name}:ro"),
        *("-e", f"MODEL_NAME={name}", SERVER),
    ]
