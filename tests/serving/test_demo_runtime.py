"""LiteRT for the web is found where it is, fetched by npm otherwise, and always checked."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from nas_tf.errors import ConfigError, EnvironmentFault
from serving import demo_runtime

NPM = """#!/bin/sh
[ "$1" = install ] || exit 9
echo "$@" >> "$LOG"
[ -z "$FAULT" ] || { echo "npm error $FAULT" >&2; exit 1; }
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules" && cp -r "$SOURCE/@litertjs" "$2/node_modules/"
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages with small files in place of the published ones, whose digests are expected."""
    folder = tmp_path / "node_modules"
    expected = {}
    for path, (source, _) in demo_runtime.FILES.items():
        target = folder / "@litertjs" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)
        expected[path] = (source, hashlib.sha256(path.encode()).hexdigest())
    monkeypatch.setattr(demo_runtime, "FILES", expected)
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def npm(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs a command npm that copies the packages; returns the log of its calls."""
    path = tmp_path / "bin" / "npm"
    path.parent.mkdir()
    path.write_text(NPM)
    path.chmod(0o755)
    log = tmp_path / "npm.log"
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(log))
    monkeypatch.setenv("SOURCE", str(packages))
    return log


def complete(found: Mapping[str, bytes]) -> bool:
    return found == {path: path.encode() for path in demo_runtime.FILES}


@pytest.mark.parametrize("place", [".", "node_modules", "node_modules/@litertjs"])
def test_a_folder_that_is_given_is_used(place: str, packages: Path) -> None:
    assert complete(demo_runtime.contents(packages.parent / place))


def test_npm_fetches_it_once(npm: Path) -> None:
    calls = []
    for _ in range(2):
        assert complete(demo_runtime.contents(on_fetch=lambda: calls.append("fetch")))
    assert calls == ["fetch"]
    (line,) = npm.read_text().splitlines()
    assert "--ignore-scripts" in line
    assert line.endswith("@litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3")


def test_a_changed_file_is_refused(packages: Path, npm: Path, tmp_path: Path) -> None:
    changed = packages / "@litertjs" / "core" / "wasm" / "litert_wasm_internal.js"
    changed.write_text("alert(1)")
    with pytest.raises(EnvironmentFault, match=r"is not the file of LiteRT 2.5.3 .* another"):
        demo_runtime.contents(packages)
    with pytest.raises(EnvironmentFault, match=r"SHA-256 differs.*: delete .*2.5.3, and"):
        demo_runtime.contents()
    changed.unlink()
    with pytest.raises(EnvironmentFault, match=r"litert_wasm_internal.js cannot be read: No such"):
        demo_runtime.contents(packages)


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--runtime is .*, expected a folder with @litertjs"):
        demo_runtime.contents(tmp_path)


def test_without_npm_a_line_says_what_to_do(
    packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EnvironmentFault, match="npm, which fetches it, is not installed") as error:
        demo_runtime.contents()
    assert "give --runtime its node_modules" in str(error.value)
    assert "\n" not in str(error.value)


def test_without_a_network_a_line_says_what_npm_said(
    npm: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAULT", "code ENOTFOUND")
    with pytest.raises(EnvironmentFault, match=r"npm could not fetch .*npm error code ENOTFOUND"):
        demo_runtime.contents()
    assert not list((tmp_path / "cache").rglob("*.js"))
