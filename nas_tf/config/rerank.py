"""A run's configuration with longer training of its candidates, for reranking."""

from collections.abc import Sequence
from pathlib import Path

from nas_tf.config.load import load_saved
from nas_tf.config.schema import Config


def for_rerank(source: Path, times: int, overrides: Sequence[str] = ()) -> Config:
    """Returns a run's configuration with ``times`` its epochs and an open gate, then overrides."""
    config = load_saved(source)
    changes = [f"stage_one.epochs={times * config.stage_one.epochs}", "threads=null"]
    if config.stage_two is not None:
        changes.append(f"stage_two.epochs={times * config.stage_two.epochs}")
    if config.limits.seconds is not None:
        changes.append(f"limits.seconds={times * config.limits.seconds}")
    return load_saved(source, [*changes, "gate.policy=open", *overrides])
