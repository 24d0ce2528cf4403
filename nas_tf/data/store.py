"""Writes, finds and opens the prepared records of the datasets.

A lock file for each dataset makes processes that prepare the same one wait for each other.
"""

import logging
import shlex
import shutil
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import tensorflow_datasets as tfds
from filelock import FileLock
from google.protobuf.json_format import ParseError

from nas_tf import files
from nas_tf.data.builder import DenseBuilder, available
from nas_tf.data.folder import PREFIX
from nas_tf.data.joined_splits import parts
from nas_tf.data.registry import builder_class
from nas_tf.data.shapes import Shapes, ShapesBoxes, ShapesClean
from nas_tf.errors import ConfigError, DataError

_LOG = logging.getLogger("nas_tf")

# tfds warns about every dataset that is not prepared yet, which is normal.
logging.getLogger("absl").addFilter(lambda line: not str(line.msg).startswith("Variant folder"))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared dataset: its folder, its examples in each split, and what was left out.

    ``absent`` names published splits without files, ``broken`` the reasons of skipped examples,
    ``left_out`` the faults of boxes that are in no example, ``without_boxes`` the splits that
    should have boxes and have none.
    """

    name: str
    folder: Path
    splits: Mapping[str, int]
    absent: tuple[str, ...]
    broken: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    without_boxes: tuple[str, ...] = ()


def data_dir() -> Path:
    """Returns the folder of all prepared data: $NAS_TF_CACHE/data, else ~/.cache/nas_tf/data."""
    return files.cache("data")


def resolve_source(name: str, source: Path | None) -> Path:
    """Returns the folder to read a dataset from: ``source``, else $NAS_TF_DATA/NAME.

    The embedded dataset needs no folder, and the name of a user's folder contains it.
    """
    builder = builder_class(name)
    if _prepares_itself(name):
        if source is not None and builder.source.resolve() != source.resolve():
            raise ConfigError(f"--source is {source}, expected none: {name} has its own files")
        return builder.source
    if source is not None:
        return source
    root = files.data()
    if root is None:
        raise DataError(f"no source of {name} given; {builder.INFO.how_to_get}")
    folders = [root / folder for folder in (name, *builder.FOLDERS)]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def prepare(
    name: str, source: Path | None = None, *, skip_broken: bool = False, again: bool = False
) -> Prepared:
    """Writes a dataset's records, unless they exist; each file is read, decoded and checked.

    Safe in several processes at once: one of them prepares, the others wait.
    """
    folder, builder = resolve_source(name, source), _builder(name)
    with _lock(builder.name):
        if again and builder.is_prepared():
            available(type(builder), folder)  # raises before anything is lost
            shutil.rmtree(builder.data_dir)
        builder = _builder(name)
        builder.source, builder.skip_broken = folder, skip_broken
        if not builder.is_prepared():
            tfds.disable_progress_bar()
            # tfds announces a download that does not happen
            with redirect_stdout(StringIO()), files.reporting_full_disk(data_dir()):
                builder.download_and_prepare(file_format=tfds.core.FileFormat.ARRAY_RECORD)
    return _prepared(builder)


def prepared(name: str) -> Prepared | None:
    """Returns the prepared dataset, or None if it is not prepared."""
    builder = _builder(name)
    return _prepared(builder) if builder.is_prepared() else None


def open_builder(name: str) -> DenseBuilder:
    """Returns the builder of a prepared dataset; one without a source is prepared on first use."""
    builder = _builder(name)
    if not builder.is_prepared():
        if not _prepares_itself(name):
            raise DataError(
                f"{name} is not prepared in {data_dir()}: "
                f"run nas-tf data prepare {name} --source DIR; {builder.INFO.how_to_get}"
            )
        _LOG.info("preparing %s in %s", name, data_dir())
        prepare(name)
        builder = _builder(name)
    return builder


def opened(name: str) -> Prepared:
    """Returns the prepared dataset; one without a source is prepared on first use."""
    return _prepared(open_builder(name))


def open_split(name: str, split: str) -> DenseBuilder:
    """Returns the builder of a prepared dataset; raises if it does not have the split."""
    builder = open_builder(name)
    names = parts(split)
    for part in names:
        if part in builder.info.splits:
            continue
        accepted = ", ".join(builder.info.splits)
        if part not in builder.INFO.splits:
            raise DataError(f"split of {name} is {part!r}, expected one of {accepted}")
        raise DataError(
            f"split {part!r} of {name} is not prepared: {accepted} are accepted; add its "
            f"files and run nas-tf data prepare {shlex.quote(name)} --again"
        )
    if len({*names}) < len(names):
        raise DataError(f"split of {name} is {split!r}, expected each part once")
    return builder


def count(name: str, split: str) -> int:
    """Returns the number of examples in a split of a prepared dataset, without reading any."""
    splits = open_split(name, split).info.splits
    return sum(splits[part].num_examples for part in parts(split))


def _prepares_itself(name: str) -> bool:
    """Returns whether the dataset's name is enough to find or to render its files."""
    drawn = [builder.INFO.name for builder in (Shapes, ShapesBoxes, ShapesClean)]
    return name in drawn or name.startswith(PREFIX)


def _lock(name: str) -> FileLock:
    """Returns the lock with which one process prepares a dataset and the others wait for it."""
    data_dir().mkdir(parents=True, exist_ok=True)
    return FileLock(data_dir() / f"{name}.lock")


def _builder(name: str) -> DenseBuilder:
    """Returns the tfds builder on the data folder; raises if a preparation's notes are damaged."""
    builder = builder_class(name)
    try:
        opened = builder(data_dir=data_dir())
        opened.info.metadata  # noqa: B018
    except (ParseError, ValueError) as error:
        folder = data_dir() / builder.name
        raise DataError(
            f"prepared copy of {name} is damaged: {error}; delete {folder} and run nas-tf "
            f"data prepare {shlex.quote(name)}"
        ) from error
    return opened


def _prepared(builder: DenseBuilder) -> Prepared:
    """Returns the record of a preparation from tfds's own metadata."""
    splits = {name: split.num_examples for name, split in builder.info.splits.items()}
    return Prepared(
        name=builder.INFO.name,
        folder=Path(builder.data_dir),
        splits=splits,
        absent=tuple(name for name in builder.INFO.splits if name not in splits),
        broken=tuple(builder.info.metadata["broken"]),
        left_out=tuple(builder.info.metadata.get("left_out", ())),
        without_boxes=tuple(builder.info.metadata.get("without_boxes", ())),
    )
