"""Files to run an export by: for Docker, Compose and Kubernetes, filled in and ready."""

import re
from importlib import resources
from pathlib import Path
from string import Template

from nas_tf.errors import ConfigError

FILES = (
    *("models.config", "batching.config", "monitoring.config"),
    *("Dockerfile", "compose.yaml", "kubernetes.yaml"),
)
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?")


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


def name_of(text: str) -> str:
    """A name that TF Serving, Docker and Kubernetes all accept, from any text."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    return name if _NAME.fullmatch(name) else f"model-{name}".strip("-")


def write(folder: Path, name: str, *, threads: int = 2) -> list[Path]:
    """Writes all files into ``folder/deploy``; the newest version is the canary.

    Of several versions the one before the newest is called stable.
    """
    found = versions(folder)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"name is {name!r}, expected lower-case letters, digits and hyphens such as "
            f"{name_of(name)}"
        )
    served = found[-2:]
    values = {
        "name": name,
        "versions": " ".join(f"versions: {number}" for number in served),
        "stable": str(served[0]),
        "canary": str(served[-1]),
        "threads": str(threads),
    }
    deploy = folder / "deploy"
    deploy.mkdir(exist_ok=True)
    written = []
    for file in FILES:
        text = (resources.files("serving") / "deploy" / file).read_text(encoding="utf-8")
        path = deploy / file
        path.write_text(Template(text).substitute(values), encoding="utf-8")
        written.append(path)
    return written


def write_jetson(path: Path) -> Path:
    """Writes, beside an ONNX model, the script that makes engines of it on a Jetson."""
    text = (resources.files("serving") / "deploy" / "jetson.sh").read_text(encoding="utf-8")
    script = path.with_suffix(".jetson.sh")
    script.write_text(Template(text).substitute(name=path.stem), encoding="utf-8")
    script.chmod(0o755)
    return script


def docker_command(folder: Path, name: str) -> list[str]:
    """What starts the newest version in Docker, on ports of this machine alone."""
    return [
        *("docker", "run", "--rm", "-p", "127.0.0.1:8500:8500", "-p", "127.0.0.1:8501:8501"),
        *("-v", f"{(folder / 'savedmodel').resolve()}:/models/{name}:ro"),
        *("-e", f"MODEL_NAME={name}", "tensorflow/serving:2.15.1"),
    ]
