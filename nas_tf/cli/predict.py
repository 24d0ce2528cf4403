"""``nas-tf predict``: what an exported network answers to a picture, drawn over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from nas_tf.cli import endpoint as endpoints
from nas_tf.cli import options
from nas_tf.errors import ConfigError, full_disk

if TYPE_CHECKING:
    import numpy as np

_PATIENCE = 10.0
"""Seconds that a person waits for a server that may not be there; programs wait longer."""


@click.command("predict")
@click.argument("places", nargs=-1, required=True, metavar="[MODEL] IMAGE", type=Path)
@click.option("--endpoint", metavar="URL/NAME", help="Ask a server's model instead of a file.")
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="With --endpoint: the exported version whose classes and colours it has.",
)
@endpoints.VERSION
@endpoints.LABEL
@click.option("--out", type=options.OUT_FILE, help="IMAGE-overlay.png.")
def command(
    places: tuple[Path, ...],
    endpoint: str | None,
    like: Path | None,
    version: int | None,
    label: str | None,
    out: Path | None,
) -> None:
    """Draw what a network sees in IMAGE, a JPEG or PNG file.

    MODEL is a TFLite file or a SavedModel's version that `nas-tf export` wrote.

    \b
    nas-tf predict exports/street/street-int8.tflite photo.jpg
    nas-tf predict exports/street/savedmodel/1 photo.jpg --out seen.png
    nas-tf predict --endpoint grpc://localhost:8500/street photo.jpg --label stable
    """
    wanted = 1 if endpoint else 2
    if len(places) != wanted:
        raise ConfigError(
            f"given: {' '.join(map(str, places))}; expected "
            + ("IMAGE alone with --endpoint" if endpoint else "MODEL and IMAGE")
        )
    if not endpoint and (like, version, label) != (None, None, None):
        raise ConfigError("--like, --version or --label is given, expected --endpoint with it")
    image = places[-1]
    out = options.drawable(out or image.with_name(f"{image.stem}-overlay.png"))
    from serving import picture_file

    picture = picture_file.read(image)
    from nas_tf import quiet

    quiet.load("tensorflow")
    from serving import overlay

    if endpoint:
        about, answer = _asked(endpoint, like, image, picture, version=version, label=label)
    else:
        about, answer = _computed(places[0], picture)
    _save(overlay.draw(picture, answer, about), out)


def _computed(model: Path, picture: "np.ndarray") -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a model in a file says of itself, and what it answers."""
    from nas_tf.cli import exported
    from serving import picture_file

    about, ask = exported.read(model)
    answer = ask(picture_file.fitted(picture, tuple(about["input"]["size"]))[None])
    return about, {name: one[0] for name, one in answer.items()}


def _asked(
    endpoint: str, like: Path | None, image: Path, picture: "np.ndarray", **which: Any
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a server answers to the file itself, at the file's own size."""
    from serving import picture_file, saved_model
    from serving.client import Client, Patience

    address, name = endpoints.parts(endpoint, "--endpoint")
    told = Console(stderr=True).status(
        f"asking {escape(endpoint)} for up to {_PATIENCE:.0f} s ..."
    )
    with told, Client(address, name, patience=Patience(deadline=_PATIENCE), **which) as client:
        given = client.predict_files([image.read_bytes()])
    answer = {key: picture_file.maps(one[0]) for key, one in given.items()}
    about = saved_model.about(like) if like else {}
    return {**about, "input": {"size": list(picture.shape[:2])}}, answer


def _save(drawn: "np.ndarray", path: Path) -> None:
    from PIL import Image

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(path)
    except OSError as error:
        where = error.filename or path
        raise full_disk(error, path) or ConfigError(
            f"{path} cannot be written: {error.strerror or error} ({where})"
        ) from error
    click.echo(f"wrote {path}")
