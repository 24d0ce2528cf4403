"""A user's own dataset: images/, labels/ and a dataset.yaml that says what labels mean."""

import hashlib
import re
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec
import tensorflow_datasets as tfds

from nas_tf.data.builder import DenseBuilder
from nas_tf.data.files import IMAGE_SUFFIXES, list_files, read_lines, with_suffix
from nas_tf.data.info import DatasetInfo
from nas_tf.data.items import Item, labelled
from nas_tf.data.labels import LabelMap
from nas_tf.data.palettes import colours
from nas_tf.errors import DataError, meant

Pair = tuple[str, Path, Path]

PREFIX = "folder:"
SETTINGS = "dataset.yaml"
_UNKNOWN = re.compile(r"unknown field `(.*)`")
HOW_TO_GET = (
    "make DIR/images/SPLIT/x.jpg, DIR/labels/SPLIT/x.png for SPLIT train and val, and "
    "DIR/dataset.yaml with a list `classes`, then use the name folder:DIR"
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What dataset.yaml may say; ``splits`` maps a split to a list file of image names."""

    classes: list[str]
    ignore_label: int = 255
    label_map: dict[int, int] | None = None
    splits: dict[str, str] = {}
    palette: str = "voc"


def folder_builder(name: str) -> type[DenseBuilder]:
    """The builder class of ``folder:DIR``; its prepared copy is tied to the files' state."""
    root = Path(name.removeprefix(PREFIX)).expanduser().resolve()
    settings = _settings(root / SETTINGS)
    try:
        colours(settings.palette, len(settings.classes))
        labels = LabelMap(len(settings.classes), settings.ignore_label, settings.label_map)
    except DataError as error:
        raise DataError(f"{root / SETTINGS}: {error}") from error
    info = DatasetInfo(
        name=name,
        title=f"Folder {root.name}",
        targets=("label",),
        splits=dict.fromkeys(settings.splits or _sub_folders(root)),
        how_to_get=HOW_TO_GET,
        classes=tuple(settings.classes),
        ignore_label=settings.ignore_label,
        palette=settings.palette,
    )
    return _bind(root, settings, labels, info)


def _bind(
    root: Path, settings: Settings, labels: LabelMap, info: DatasetInfo
) -> type[DenseBuilder]:
    """A builder class that reads this folder and no other."""

    class Folder(DenseBuilder, skip_registration=True):
        """Pairs images and labels by name."""

        VERSION = tfds.core.Version("1.0.0")
        INFO = info
        name = f"folder_{_slug(root.name)}_{_state(root)}"
        source = root

        @classmethod
        def items(cls, source: Path, split: str) -> list[Item] | None:
            """The pairs of a split; a label that no image asks for is a broken one, too."""
            listing = settings.splits.get(split)
            pairs = _listed(root, root / listing) if listing else _paired(root, split)
            found = [labelled(name, image, label, labels) for name, image, label in pairs]
            return found if listing else [*found, *_orphans(root, split)]

    return Folder


def _settings(path: Path) -> Settings:
    """Reads dataset.yaml strictly."""
    try:
        settings = msgspec.yaml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {HOW_TO_GET}") from error
    except msgspec.MsgspecError as error:
        keys = Settings.__struct_fields__
        unknown = _UNKNOWN.search(str(error))
        near = meant(unknown[1], keys) if unknown else ""
        raise DataError(
            f"{path} is not accepted: {error}; keys are {', '.join(keys)}{near}"
        ) from error
    if not settings.classes:
        raise DataError(f"{path} has an empty list `classes`: name at least one class")
    return settings


def _sub_folders(root: Path) -> list[str]:
    """The splits that are folders of images/, train first."""
    names = [path.name for path in list_files(root / "images", suffixes=("",)) if path.is_dir()]
    if not names:
        raise DataError(
            f"{root / 'images'} holds no split: "
            f"make sub-folders train and val, or list files under `splits` in {SETTINGS}"
        )
    return sorted(names, key=lambda name: (name != "train", name))


def _listed(root: Path, listing: Path) -> list[Pair]:
    """Pairs named line by line, relative to images/ and labels/, with or without suffix."""
    listed = [" ".join(words) for words in read_lines(_inside(root, listing, SETTINGS))]
    for name in listed:
        _inside(root, Path(name), listing.name)
    names = [str(Path(n).with_suffix("")) if n.endswith(IMAGE_SUFFIXES) else n for n in listed]
    images, labels = root / "images", root / "labels"
    return [(name, with_suffix(images, name), labels / f"{name}.png") for name in names]


def _inside(root: Path, path: Path, where: str) -> Path:
    """The path, if it leads nowhere else: a folder that came from others shows only itself."""
    outside = ".." in path.parts or not (root / path).is_relative_to(root)
    if outside or "\0" in str(path):
        raise DataError(f"{root / where} names {str(path)!r}, expected a place in {root}")
    return path


def _paired(root: Path, split: str) -> list[Pair]:
    """Every image of a split's folder with the label of its name."""
    images, labels = root / "images" / split, root / "labels" / split
    pictures = list_files(images)
    return [(f"{split}/{image.stem}", image, labels / f"{image.stem}.png") for image in pictures]


def _orphans(root: Path, split: str) -> list[Item]:
    """Labels of a split's folder whose image is absent; to load one says so."""
    images = root / "images" / split
    known = {path.stem for path in list_files(images)}
    labels = {label.stem: label for label in list_files(root / "labels" / split)}
    return [
        Item(f"{split}/{name}", partial(_refuse, label, images))
        for name, label in labels.items()
        if name not in known
    ]


def _refuse(label: Path, images: Path) -> NoReturn:
    raise DataError(f"label {label} has no image in {images}: add the image or remove the label")


def _slug(name: str) -> str:
    """A folder's name as tfds accepts it."""
    return re.sub(r"\W+", "_", name.lower()).strip("_") or "data"


def _state(root: Path) -> str:
    """Changes with the path and with any file's name, size or time, so a copy is never stale."""
    lines = [str(root)]
    for path in sorted(root.rglob("*")):
        if path.is_file():
            stat = path.stat()
            lines.append(f"{path.relative_to(root)} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:10]
