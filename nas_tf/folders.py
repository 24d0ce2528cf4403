"""The folders that a user names by environment variables; every room takes them from here."""

import os
from pathlib import Path


def cache(kind: str) -> Path:
    """Where what can be computed again is kept: $NAS_TF_CACHE/KIND, else ~/.cache/nas_tf/KIND."""
    root = os.environ.get("NAS_TF_CACHE") or Path.home() / ".cache" / "nas_tf"
    return Path(root) / kind


def data() -> Path | None:
    """The files of data sets and ImageNet weights: $NAS_TF_DATA, None where it is not set."""
    root = os.environ.get("NAS_TF_DATA")
    return Path(root) if root else None
