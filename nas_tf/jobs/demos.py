"""The page that runs networks in a browser, of trainings, searches, exports and model files."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nas_tf.errors import ConfigError
from nas_tf.jobs import exports, trained
from serving import demo_runtime, demo_site, lite_metadata
from serving.demo_site import DemoNetwork, Site

_KINDS = ("int8", "fp32", "fp16")
"""The kinds of models, in the order in which the page offers them."""
_EXPORTED = ("fp32", "int8")


def site(
    sources: Sequence[str],
    *,
    runtime: Path | None = None,
    on_step: Callable[[str], None] = lambda text: None,
) -> Site:
    """Returns the page for networks, side by side.

    Args:
        sources: TFLite files, folders of exports, or folders of trainings or searches. A network
            that was not exported is converted to float and int8 here.
        runtime: A folder with LiteRT for the web; None for the cache, which npm fills.
        on_step: Called with what is done next.
    """
    runtime_files = demo_runtime.contents(
        runtime, on_fetch=lambda: on_step("fetching LiteRT for the web by npm ...")
    )
    networks = [network for source in sources for network in _networks(source, on_step)]
    return demo_site.build(networks, runtime_files)


def _networks(source: str, on_step: Callable[[str], None]) -> list[DemoNetwork]:
    """Returns the networks of a file or a folder."""
    path = Path(source)
    if not path.exists():
        raise ConfigError(
            f"{source} does not exist, expected the folder of a training, a search or an export, "
            "or a TFLite file"
        )
    if not path.is_dir():
        return _of_files([path])
    if files := sorted(path.glob("*.tflite")):
        return _of_files(files)
    if (path / "savedmodel").is_dir():
        raise ConfigError(
            f"{source} holds no TFLite file, expected an export by nas-tf export --to tflite"
        )
    return [_of_run(source, on_step)]


def _of_files(paths: Sequence[Path]) -> list[DemoNetwork]:
    """Returns the networks of TFLite files, of which each may have several."""
    models: dict[str, dict[str, bytes]] = {}
    for path in paths:
        about = lite_metadata.read(path)
        models.setdefault(about["name"], {})[about.get("kind", "model")] = path.read_bytes()
    return [
        DemoNetwork(name, dict(sorted(kinds.items(), key=lambda item: _rank(item[0]))))
        for name, kinds in models.items()
    ]


def _of_run(source: str, on_step: Callable[[str], None]) -> DemoNetwork:
    """Returns the network of a training or a search, as it was exported, or converted here."""
    on_step(f"loading {source} ...")
    network = trained.find(source)
    shipment = network.shipment
    exported = _of_files(list(_exports_of(Path("exports") / shipment.name, shipment.digest)))
    if exported:
        return exported[0]
    with tempfile.TemporaryDirectory() as folder:
        written = exports.write(
            network,
            Path(folder) / "export",
            _EXPORTED,
            on_format=lambda kind: on_step(f"converting {shipment.name} to {kind} ..."),
        )
        return _of_files(list(written.values()))[0]


def _exports_of(folder: Path, digest: str) -> Iterator[Path]:
    """Yields the TFLite files in a folder that have these weights."""
    for path in sorted(folder.glob("*.tflite")):
        if lite_metadata.read(path).get("weights_sha256") == digest:
            yield path


def _rank(kind: str) -> int:
    return _KINDS.index(kind) if kind in _KINDS else len(_KINDS)
