"""The page that runs exported networks in a browser: its files, by their paths on the server.

The page is static. Any web server can host what ``write`` writes, and ``demo_server`` serves the
same from memory.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from nas_tf import files
from nas_tf.errors import ConfigError
from nas_tf.pictures import max_pixels

PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".tflite": "application/octet-stream",
}
_INLINE = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_ALLOWED = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
}


@dataclass(frozen=True)
class DemoNetwork:
    """A network on the page.

    Args:
        name: The name that the page shows.
        models: The contents of its TFLite files by their kinds, such as ``int8``; the page opens
            with the first.
    """

    name: str
    models: Mapping[str, bytes]


@dataclass(frozen=True)
class Site:
    """The files of the page by their paths, and the policy that restricts it to them."""

    contents: Mapping[str, bytes]
    policy: str

    def content_type(self, path: str) -> str:
        """Returns the type by which a browser reads a file."""
        return _TYPES[Path(path).suffix]


def build(networks: Sequence[DemoNetwork], runtime: Mapping[str, bytes]) -> Site:
    """Returns the files of the page for networks, side by side.

    Args:
        networks: The networks.
        runtime: The files of the runtime by their paths, as ``demo_runtime`` finds them.
    """
    page = {
        item.name: item.read_bytes()
        for item in (resources.files("serving") / "demo").iterdir()
        if Path(item.name).suffix in _TYPES
    }
    text = page[PAGE].decode()
    policy = _policy(text)
    models, entries = {}, []
    for number, network in enumerate(_distinct(networks), 1):
        paths = {kind: f"models/{number}-{kind}.tflite" for kind in network.models}
        models |= {paths[kind]: content for kind, content in network.models.items()}
        listed = [{"kind": kind, "path": path} for kind, path in paths.items()]
        entries.append({"name": network.name, "models": listed})
    listing = {"networks": entries, "max_pixels": max_pixels()}
    contents = {
        **page,
        PAGE: text.replace("POLICY", policy).encode(),
        "networks.json": (json.dumps(listing, indent=1) + "\n").encode(),
        **models,
        **runtime,
    }
    return Site(contents, policy)


def write(site: Site, folder: Path) -> None:
    """Writes the files of a page into a new or an empty folder, all of them or none."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} holds something, expected a new or an empty folder for --out")
    try:
        with files.reporting_full_disk(folder), files.stage(folder.absolute().parent) as staging:
            for path, content in site.contents.items():
                target = staging / folder.name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            files.publish(staging / folder.name, folder)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror or error}, expected another --out"
        ) from error


def _policy(page: str) -> str:
    """Returns the content security policy, which allows the inline script by its hash."""
    found = _INLINE.findall(page)
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
    allowed = dict(_ALLOWED)
    allowed["script-src"] += "".join(f" 'sha256-{digest}'" for digest in hashes)
    return "; ".join(f"{name} {sources}" for name, sources in allowed.items())


def _distinct(networks: Sequence[DemoNetwork]) -> list[DemoNetwork]:
    """Returns the networks with a number after names that occur before."""
    named: list[DemoNetwork] = []
    for network in networks:
        count = sum(other.name == network.name for other in networks[: len(named)])
        name = f"{network.name} ({count + 1})" if count else network.name
        named.append(DemoNetwork(name, network.models))
    return named
