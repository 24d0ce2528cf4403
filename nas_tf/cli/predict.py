"""``nas-tf predict``: what an exported network answers to pictures, drawn over them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from nas_tf import pictures
from nas_tf.cli import options
from nas_tf.errors import ConfigError, DataError, full_disk

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_SENT = (".jpg", ".jpeg", ".png")
_PATIENCE = 10.0
"""Seconds that a person waits for a server that may not be there; programs wait longer."""

About = Mapping[str, Any]
Answer = Mapping[str, Any]
Predict = Callable[[Path, "np.ndarray"], tuple[About, Answer]]


@click.command("predict")
@click.argument("places", nargs=-1, required=True, metavar="[MODEL] PICTURE|FOLDER...", type=Path)
@click.option("--endpoint", metavar="URL/NAME", help="Use a served model instead of a file.")
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="With --endpoint: the exported version whose classes and colours it has.",
)
@options.VERSION
@options.LABEL
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Overlay to write (default: PICTURE-overlay.png), or a folder for several pictures.",
)
@click.option(
    "--mask",
    type=click.Path(path_type=Path),
    help="Write the class indices, or the depths in 1/256 m, as PNG; overlays only with --out.",
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
    """Draw the predictions of a network over pictures of any size.

    MODEL is a TFLite file or a SavedModel's version that `nas-tf export` wrote. A picture is
    resized as in training, and its prediction is returned at the picture's own size.

    \b
    nas-tf predict exports/street/street-int8.tflite photo.jpg
    nas-tf predict exports/street/savedmodel/1 photos/ --out seen/ --mask masks/
    nas-tf predict --endpoint grpc://localhost:8500/street photo.jpg --label stable
    """
    if not endpoint and (like, version, label) != (None, None, None):
        raise ConfigError("--like, --version or --label is given, expected --endpoint with it")
    given = places if endpoint else places[1:]
    if not given:
        raise ConfigError(
            f"given: {' '.join(map(str, places))}; expected "
            + ("a picture or a folder with --endpoint" if endpoint else "MODEL and a picture")
        )
    jobs = _jobs(given, out, mask)
    reader = _Pictures(len(jobs) > 1 or any(place.is_dir() for place in given))
    first = reader.read(jobs[0][0])
    from nas_tf import quiet

    quiet.load("tensorflow")
    with ExitStack() as stack:
        if endpoint:
            predict = _by_server(stack, endpoint, like, version=version, label=label)
        else:
            predict = _by_file(places[0])
        for number, (path, overlay, values) in enumerate(jobs):
            picture = first if number == 0 else reader.read(path)
            if picture is not None:
                _write(path, picture, predict, overlay, values)
    reader.finish(len(jobs))


Job = tuple[Path, Path | None, Path | None]
"""A picture, and where its overlay and its values go."""


def _jobs(places: Sequence[Path], out: Path | None, mask: Path | None) -> list[Job]:
    """What is read and what is written, checked before anything is computed."""
    if len(places) == 1 and not places[0].is_dir():
        (image,) = places
        overlay = out or (None if mask else image.with_name(f"{image.stem}-overlay.png"))
        return [(image, overlay and _file(overlay), mask and _file(mask))]
    jobs: list[Job] = []
    for place in places:
        base = place if place.is_dir() else place.parent
        found = _listed(place) if place.is_dir() else [place]
        overlays = out or (None if mask else base.with_name(f"{base.resolve().name}-overlays"))
        for path in found:
            name = path.relative_to(base).with_suffix(".png")
            jobs.append((path, overlays and overlays / name, mask and mask / name))
    targets = [target for _, *pair in jobs for target in pair if target is not None]
    if twice := {str(target) for target in targets if targets.count(target) > 1}:
        raise ConfigError(
            f"two pictures would be written to {min(twice)}, expected pictures of different names"
        )
    for folder in {target.parent for target in targets}:
        options.OUT_FOLDER.convert(folder, None, None)
    return jobs


def _listed(folder: Path) -> list[Path]:
    named = pictures.SUFFIXES + pictures.REFUSED_SUFFIXES
    found = sorted(one for one in folder.rglob("*") if one.suffix.lower() in named)
    if not found:
        accepted = ", ".join(pictures.SUFFIXES)
        raise DataError(f"{folder} holds no picture, expected files of {accepted}")
    return found


def _file(path: Path) -> Path:
    return options.OUT_FILE.convert(options.drawable(path), None, None)


class _Pictures:
    """Reads pictures; of several, one that cannot be read costs only itself."""

    def __init__(self, several: bool) -> None:
        self._several, self._unread = several, 0

    def read(self, path: Path) -> "np.ndarray | None":
        """Upright RGB bytes, or None for a picture that was named as unreadable."""
        try:
            return pictures.read(path)
        except DataError as error:
            if not self._several:
                raise
            self._unread += 1
            click.echo(f"skipped: {error}", err=True)
            return None

    def finish(self, count: int) -> None:
        """Ends with an error where pictures were skipped."""
        if self._unread:
            raise DataError(f"{self._unread} of {count} pictures could not be read")


def _by_file(model: Path) -> Predict:
    """Predicts by an exported model in a file."""
    from serving import whole_picture

    about, ask = options.read_exported(model)
    return lambda path, picture: (about, whole_picture.answer(ask, about, picture))


def _by_server(stack: ExitStack, endpoint: str, like: Path | None, **which: Any) -> Predict:
    """Predicts by a server, which is sent the file itself."""
    from serving import images, saved_model
    from serving.client import Client, Patience

    address, name = options.endpoint_and_model(endpoint, "--endpoint")
    about = saved_model.about(like) if like else {}
    client = stack.enter_context(
        Client(address, name, patience=Patience(deadline=_PATIENCE), **which)
    )

    def predict(path: Path, picture: "np.ndarray") -> tuple[About, Answer]:
        content = path.read_bytes() if path.suffix.lower() in _SENT else _png(picture)
        asking = f"asking {escape(endpoint)} for up to {_PATIENCE:.0f} s ..."
        with Console(stderr=True).status(asking):
            given = client.predict_files([content])
        return about, {key: images.maps(parts[0]) for key, parts in given.items()}

    return predict


def _png(picture: "np.ndarray") -> bytes:
    """A picture as a file that a server reads, where its own is of another format."""
    import io

    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, "png", compress_level=1)
    return content.getvalue()


def _write(
    path: Path, picture: "np.ndarray", predict: Predict, overlay: Path | None, values: Path | None
) -> None:
    from PIL import Image

    from serving import overlay as drawing

    about, answer = predict(path, picture)
    at_own_size = {**about, "input": {"size": list(picture.shape[:2])}}
    if overlay is not None:
        _save(Image.fromarray(drawing.draw(picture, answer, at_own_size)), overlay)
    if values is not None:
        _save(drawing.values(answer, about), values)


def _save(picture: "Image.Image", path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    except OSError as error:
        where = error.filename or path
        raise full_disk(error, path) or ConfigError(
            f"{path} cannot be written: {error.strerror or error} ({where})"
        ) from error
    click.echo(f"wrote {path}")
