"""LiteRT for the web, which runs TFLite files in browsers: found, or fetched once by npm.

It is not part of this package. Every file is compared with its SHA-256, wherever it comes from.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from nas_tf import files
from nas_tf.errors import ConfigError, EnvironmentFault

VERSION = "2.5.3"
PACKAGES = (f"@litertjs/core@{VERSION}", f"@litertjs/wasm-utils@{VERSION}")
_SCOPE = "@litertjs"
_SECONDS = 600.0
_WASM = {
    "litert_wasm_internal.js": "68efb69f770e3f76aff36a377de629ca496c131b86ac0f0f4b592a1543a898eb",
    "litert_wasm_internal.wasm": (
        "7280cf4471774867e385e6c3cd53e2b45e2975b80fea338fff4ef359b0865614"
    ),
    "litert_wasm_compat_internal.js": (
        "4d8f894b7883654fd6e8439730aa41e79ceaab7d19184fc4f1f0b0f1a2a2c8a5"
    ),
    "litert_wasm_compat_internal.wasm": (
        "5255c8ad06eabdbd2522cdebf6b22fc10faf74625c23a49b9e072570cd1fa41c"
    ),
    "litert_wasm_jspi_internal.js": (
        "e685a3ed86f447c1feb8f5414319539c5e94d1cfc0eb49c3c5e6a788a6f5541b"
    ),
    "litert_wasm_jspi_internal.wasm": (
        "a103e14db26cdbda9ba1a93633e59f3bf604d082fa7ab0c30ca730838e3faa69"
    ),
    "litert_wasm_threaded_internal.js": (
        "92fe7a720c6deedaa1194c011c79a005ea4f6fc98f533b661cf7900760ab4849"
    ),
    "litert_wasm_threaded_internal.wasm": (
        "b5e54eca10f043497edf9a02186332707cae260c550d7ea22b2cae55669596cf"
    ),
}
FILES: Mapping[str, tuple[str, str]] = {
    "runtime/core.js": (
        "core/dist/index.js",
        "e7daccc3a31eef890848a737ccb863ded5f046a6b40c3fdc0556495adeb5d9b3",
    ),
    "runtime/wasm-utils.js": (
        "wasm-utils/dist/bundle.js",
        "c9c6c95a4e8692dd8a01f5d2d19dbe741b59c95c29d51bed19a22496760a9c62",
    ),
    **{f"runtime/wasm/{name}": (f"core/wasm/{name}", digest) for name, digest in _WASM.items()},
}
"""The files on the page: their paths within the packages, and their SHA-256."""


def contents(
    folder: Path | None = None, *, on_fetch: Callable[[], None] = lambda: None
) -> Mapping[str, bytes]:
    """Returns the runtime's files by their paths on the page.

    Args:
        folder: The folder with the packages, such as ``node_modules``; None for the cache, which
            npm fills.
        on_fetch: Called before npm fetches the packages.
    """
    if folder is not None:
        return _read(_scope_in(folder), "give --runtime another folder")
    cached = files.cache("litert-web") / VERSION
    if not (cached / _SCOPE).is_dir():
        on_fetch()
        _fetch(cached)
    return _read(cached / _SCOPE, f"delete {cached}, and run the same again")


def _scope_in(folder: Path) -> Path:
    """Returns the folder with the packages, of which the folder given may be one above."""
    for place in (folder, folder / _SCOPE, folder / "node_modules" / _SCOPE):
        if (place / "core").is_dir():
            return place
    raise ConfigError(
        f"--runtime is {folder}, expected a folder with {' and '.join(PACKAGES)}, such as the "
        "node_modules that npm install makes"
    )


def _read(scope: Path, remedy: str) -> Mapping[str, bytes]:
    """Returns the files; raises if one is missing or is not the one that was published."""
    found = {}
    for path, (source, digest) in FILES.items():
        try:
            content = (scope / source).read_bytes()
        except OSError as error:
            raise EnvironmentFault(
                f"{scope / source} cannot be read: {error.strerror}, expected the file of "
                f"{PACKAGES[0]}: {remedy}"
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise EnvironmentFault(
                f"{scope / source} is not the file of LiteRT {VERSION} (its SHA-256 differs), "
                f"expected {digest[:12]}…: {remedy}"
            )
        found[path] = content
    return found


def _fetch(target: Path) -> None:
    """Fetches the packages by npm, as its own configuration says, into a folder of the cache."""
    npm = shutil.which("npm")
    command = f"npm install --ignore-scripts {' '.join(PACKAGES)}"
    if npm is None:
        raise EnvironmentFault(
            f"the demo needs LiteRT {VERSION} for the web, and npm, which fetches it, is not "
            f"installed: install npm, or run {command} elsewhere and give --runtime its "
            "node_modules"
        )
    try:
        with files.reporting_full_disk(target), files.stage(target.parent) as staging:
            _install(npm, staging, command)
            with suppress(FileExistsError):
                files.publish(staging / "node_modules", target)
    except OSError as error:
        if (target / _SCOPE).is_dir():  # another process was faster
            return
        raise EnvironmentFault(
            f"{target} cannot be written: {error.strerror or error}, expected another "
            "NAS_TF_CACHE, or --runtime"
        ) from error


def _install(npm: str, folder: Path, command: str) -> None:
    arguments = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", folder)
    try:
        done = subprocess.run(
            [npm, "install", *arguments, *PACKAGES],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        fault = (lines or [f"exit code {done.returncode}"])[0] if done.returncode else None
    except subprocess.TimeoutExpired:
        fault = f"no answer within {_SECONDS:.0f} s"
    if fault is not None:
        raise EnvironmentFault(
            f"npm could not fetch LiteRT {VERSION} for the web ({fault[:200]}): connect to its "
            f"registry, or run {command} elsewhere and give --runtime its node_modules"
        )
