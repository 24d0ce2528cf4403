"""The folders that a user names, by environment variables or as the place of what is made."""

import os
from collections.abc import Collection
from pathlib import Path

from nas_tf.errors import ConfigError


def cache(kind: str) -> Path:
    """Where what can be computed again is kept: $NAS_TF_CACHE/KIND, else ~/.cache/nas_tf/KIND."""
    root = os.environ.get("NAS_TF_CACHE") or Path.home() / ".cache" / "nas_tf"
    return Path(root) / kind


def data() -> Path | None:
    """The files of data sets and ImageNet weights: $NAS_TF_DATA, None where it is not set."""
    root = os.environ.get("NAS_TF_DATA")
    return Path(root) if root else None


def refuse_others(folder: Path, known: Collection[str]) -> None:
    """Raises where a folder holds files and none of those by which a run of ours is known."""
    names = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    if names and names.isdisjoint(known):
        raise ConfigError(
            f"{folder} holds {min(names)} and no run, expected a new folder, or one of a run"
        )
