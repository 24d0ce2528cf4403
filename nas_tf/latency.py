"""How long networks take on a device, told from its operations, each timed there once.

A table is a JSON file that ``nas-tf profile-ops`` writes. The time of a network is the sum of its
operations'; one that differs from timed ones in channels alone is scaled from the nearest.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec

from nas_tf.errors import ConfigError
from nas_tf.networks import Blueprint
from nas_tf.networks.fused import Op, ops

SCHEMA = 1
SCALED_BY = 4.0
"""How many times more or less work an operation may be than the one it is scaled from."""
_SHOWN = 3


class NotMeasured(ConfigError):
    """Operations that a table neither has nor has the like of."""


class _File(msgspec.Struct, kw_only=True):
    """A table as it is written; times are medians in milliseconds."""

    schema: int
    device: str
    threads: int
    tensorflow: str
    ops: dict[str, float]


@dataclass(frozen=True)
class Table:
    """Times of operations in milliseconds, and of what machine they are.

    Args:
        device: The processor's name.
        threads: How many threads an operation was given.
        tensorflow: Version of the interpreter.
        times: Medians by operation.
        name: What errors call the table: its path.
    """

    device: str
    threads: int
    tensorflow: str
    times: Mapping[Op, float]
    name: str = "the latency table"

    def predict(self, blueprint: Blueprint) -> float:
        """Milliseconds of a network as shipped."""
        counted = ops(blueprint)
        self.check(counted)
        return sum(count * self.time(op) for op, count in counted.items())

    def check(self, counted: Iterable[Op]) -> None:
        """Raises ``NotMeasured`` naming what cannot be told."""
        unknown = sorted({str(op) for op in counted if self.time(op) is None})
        if not unknown:
            return
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise NotMeasured(
            f"{self.name} lacks {len(unknown)} operations ({'; '.join(unknown[:_SHOWN])}{more}): "
            f"nas-tf profile-ops with the same configuration and --out {self.name} adds them, on "
            f"the device it is of ({self.device})"
        )

    def time(self, op: Op) -> float | None:
        """Milliseconds of an operation: timed, or scaled from the nearest of its like."""
        if op in self.times:
            return self.times[op]
        near = min(self._alikes.get(op.alike, ()), key=lambda o: _apart(o, op), default=None)
        if near is None or _apart(near, op) > math.log(SCALED_BY):
            return None
        return self.times[near] * op.work / near.work

    def missing(self, wanted: Iterable[Op]) -> list[Op]:
        """Operations that were not timed, in a settled order."""
        return sorted({op for op in wanted if op not in self.times}, key=str)

    def adding(self, times: Mapping[Op, float]) -> "Table":
        """With more operations."""
        return replace(self, times={**self.times, **times})

    def to_json(self) -> str:
        """The file's content."""
        times = {str(op): round(self.times[op], 6) for op in sorted(self.times, key=str)}
        file = _File(
            schema=SCHEMA,
            device=self.device,
            threads=self.threads,
            tensorflow=self.tensorflow,
            ops=times,
        )
        return msgspec.json.format(msgspec.json.encode(file), indent=1).decode() + "\n"

    @cached_property
    def _alikes(self) -> dict[Op, list[Op]]:
        found: dict[Op, list[Op]] = {}
        for op in self.times:
            found.setdefault(op.alike, []).append(op)
        return found


def read(path: Path) -> Table:
    """Reads a table; anything else at its place is a ``ConfigError``."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
        times = {Op.parse(text): ms for text, ms in file.ops.items()}
    except FileNotFoundError:
        raise ConfigError(
            f"latency table {path} does not exist: nas-tf profile-ops CONFIG --out {path} makes it"
        ) from None
    except (msgspec.MsgspecError, ValueError, TypeError, OSError) as error:
        raise ConfigError(
            f"{path} is no latency table ({error}), expected one that nas-tf profile-ops wrote"
        ) from None
    if file.schema != SCHEMA:
        raise ConfigError(
            f"latency table {path} is of schema {file.schema}, expected {SCHEMA}: make it anew "
            "with nas-tf profile-ops"
        )
    return Table(file.device, file.threads, file.tensorflow, times, str(path))


def _apart(one: Op, other: Op) -> float:
    return abs(math.log(one.work / other.work))
