"""``nas-tf predict``: draws the predictions of an exported or served network on pictures."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from nas_tf import pictures
from nas_tf.cli import options
from nas_tf.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from serving.client import Client

_TIMEOUT_SECONDS = 10.0
"""The time to wait for a server; shorter than for programs, since a person waits."""


@click.command("predict")
@click.argument("places", nargs=-1, required=True, metavar="[MODEL] PICTURE|FOLDER...", type=Path)
@click.option("--endpoint", metavar="URL/NAME", help="Use a served model instead of a file.")
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="With --endpoint: an exported version with the same classes and colours.",
)
@options.VERSION
@options.LABEL
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Overlay to write (default: PICTURE-overlay.png); for several pictures, a folder.",
)
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    help="PNG file of the class indices, or of depths in 1/256 m; no overlay without --out.",
)
def command(
    places: tuple[Path, ...],
    endpoint: str | None,
    like: Path | None,
    version: int | None,
    label: str | None,
    out: Path | None,
    mask: Path | None,
) -> None:
    """Draw the predictions of a network on pictures of any size.

    MODEL is a TFLite file or a version of a SavedModel that `nas-tf export` wrote. A picture is
    resized as in training, and its prediction is resized to the picture's own size. A restored
    picture covers the degraded one.

    \b
    nas-tf predict exports/street/street-int8.tflite photo.jpg
    nas-tf predict exports/street/savedmodel/1 photos/ --out overlays/ --mask masks/
    nas-tf predict --endpoint grpc://localhost:8500/street photo.jpg --label stable
    """
    if not endpoint and (like, version, label) != (None, None, None):
        raise ConfigError("--like, --version or --label is given, expected --endpoint with it")
    inputs = places if endpoint else places[1:]
    if not inputs:
        raise ConfigError(
            f"the argument is {' '.join(map(str, places))}, expected "
            + ("a picture or a folder with --endpoint" if endpoint else "MODEL and a picture")
        )
    jobs = _jobs(inputs, out, mask)
    reader = _Pictures(len(jobs) > 1 or any(path.is_dir() for path in inputs))
    first = reader.read(jobs[0][0])
    from nas_tf.jobs import predictions

    waiting = f"waiting for {escape(endpoint or '')} for up to {_TIMEOUT_SECONDS:.0f} s ..."
    with ExitStack() as stack:
        if endpoint:
            client = stack.enter_context(_client(endpoint, version=version, label=label))
            predict = predictions.by_server(client, like)
        else:
            predict = predictions.by_file(places[0])
        for number, (path, overlay, values) in enumerate(jobs):
            picture = first if number == 0 else reader.read(path)
            if picture is None:
                continue
            with Console(stderr=True).status(waiting) if endpoint else nullcontext():
                about, answer = predict(path, picture)
            if overlay is not None:
                predictions.draw(picture, about, answer, overlay)
                click.echo(f"wrote {overlay}")
            if values is not None:
                predictions.write_values(about, answer, values)
                click.echo(f"wrote {values}")
    reader.finish(len(jobs))


def _client(endpoint: str, **which: Any) -> "Client":
    from serving.client import Client, RetryPolicy

    address, name = options.endpoint_and_model(endpoint, "--endpoint")
    return Client(address, name, retry=RetryPolicy(deadline=_TIMEOUT_SECONDS), **which)


Job = tuple[Path, Path | None, Path | None]
"""A picture, and the paths of its overlay and its values."""


def _jobs(places: Sequence[Path], out: Path | None, mask: Path | None) -> list[Job]:
    """Returns the pictures and output paths, checked before anything is computed."""
    if len(places) == 1 and not places[0].is_dir():
        (image,) = places
        overlay = out or (None if mask else image.with_name(f"{image.stem}-overlay.png"))
        targets = overlay and _checked(overlay), mask and _checked(mask, "--mask")
        _refuse_inputs(places, filter(None, targets))
        return [(image, *targets)]
    if out is not None and out.suffix.lower() in pictures.SUFFIXES:
        raise ConfigError(f"--out is {out}, a picture, expected a folder for several pictures")
    jobs: list[Job] = []
    for place in places:
        base = place if place.is_dir() else place.parent
        paths = _pictures_in(place) if place.is_dir() else [place]
        overlays = out or (None if mask else base.with_name(f"{base.resolve().name}-overlays"))
        for path in paths:
            name = path.relative_to(base).with_suffix(".png")
            jobs.append((path, overlays and overlays / name, mask and mask / name))
    targets = [target for _, *pair in jobs for target in pair if target is not None]
    if repeated := {str(target) for target in targets if targets.count(target) > 1}:
        raise ConfigError(
            f"two pictures would be written to {min(repeated)}, expected different names"
        )
    _refuse_inputs([path for path, *_ in jobs], targets)
    for folder in {target.parent for target in targets}:
        options.OUT_FOLDER.convert(folder, None, None)
    return jobs


def _refuse_inputs(images: Sequence[Path], targets: Iterable[Path]) -> None:
    """Raises if a picture would be replaced by what is found in it."""
    given = {path.resolve() for path in images}
    if replaced := sorted(target for target in targets if target.resolve() in given):
        raise ConfigError(f"{replaced[0]} would be overwritten, expected another folder or name")


def _pictures_in(folder: Path) -> list[Path]:
    suffixes = pictures.SUFFIXES + pictures.REFUSED_SUFFIXES
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not paths:
        accepted = ", ".join(pictures.SUFFIXES)
        raise DataError(f"{folder} holds no picture, expected files that end in {accepted}")
    return paths


def _checked(path: Path, option: str = "--out") -> Path:
    return options.OUT_FILE.convert(options.drawable(path, option), None, None)


class _Pictures:
    """Reads pictures; if there are several, skips unreadable ones and counts them."""

    def __init__(self, several: bool) -> None:
        self._several, self._skipped = several, 0

    def read(self, path: Path) -> "np.ndarray | None":
        """Returns upright RGB bytes, or None for a picture that was skipped."""
        try:
            return pictures.read(path)
        except DataError as error:
            if not self._several:
                raise
            self._skipped += 1
            click.echo(f"skipped: {error}", err=True)
            return None

    def finish(self, count: int) -> None:
        """Raises DataError if pictures were skipped."""
        if self._skipped:
            raise DataError(f"{self._skipped} of {count} pictures could not be read")
