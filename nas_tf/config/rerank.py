"""A run's configuration, made to train its candidates longer."""

from collections.abc import Sequence
from pathlib import Path

from nas_tf.config.load import load
from nas_tf.config.schema import Config


def for_rerank(source: Path, times: int, overrides: Sequence[str] = ()) -> Config:
    """A configuration with so many times its epochs and everybody let through, then overrides."""
    own = load(source)
    changes = [f"stage_one.epochs={times * own.stage_one.epochs}", "threads=null"]
    if own.stage_two is not None:
        changes.append(f"stage_two.epochs={times * own.stage_two.epochs}")
    if own.limits.seconds is not None:
        changes.append(f"limits.seconds={times * own.limits.seconds}")
    return load(source, [*changes, "gate.policy=open", *overrides])
