"""Predicts the latency of networks on a device from its operations, each timed there once.

A table is a JSON file that ``nas-tf profile-ops`` writes. The latency of a network is the sum of
its operations' times; an operation that differs from timed ones in channels alone is scaled from
the nearest.
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
"""The largest ratio of the work of an operation to that of the one it is scaled from."""
_SHOWN = 3


class NotMeasured(ConfigError):
    """Operations of which a table has neither a time nor a similar one to scale from."""


class _File(msgspec.Struct, kw_only=True):
    """The content of a table's file; times are medians in milliseconds."""

    schema: int
    device: str
    threads: int
    tensorflow: str
    ops: dict[str, float]


@dataclass(frozen=True)
class Table:
    """Times of operations in milliseconds, and the machine that they were measured on.

    Args:
        device: Name of the processor.
        threads: Number of threads per operation.
        tensorflow: Version of the interpreter.
        times: Medians by operation.
        name: Name of the table in errors: its path.
    """

    device: str
    threads: int
    tensorflow: str
    times: Mapping[Op, float]
    name: str = "the latency table"

    def predict(self, blueprint: Blueprint) -> float:
        """Returns the milliseconds of an exported network."""
        counted = ops(blueprint)
        self.check(counted)
        return sum(count * self.time(op) for op, count in counted.items())

    def check(self, counted: Iterable[Op]) -> None:
        """Raises ``NotMeasured`` with the operations that have no time."""
        unknown = sorted({str(op) for op in counted if self.time(op) is None})
        if not unknown:
            return
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise NotMeasured(
            f"{self.name} is missing {len(unknown)} operations "
            f"({'; '.join(unknown[:_SHOWN])}{more}): nas-tf profile-ops with the same "
            f"configuration and --out {self.name} adds them, on its device ({self.device})"
        )

    def time(self, op: Op) -> float | None:
        """Returns an operation's milliseconds, timed or scaled from the nearest similar one."""
        if op in self.times:
            return self.times[op]
        nearest = min(
            self._similar.get(op.without_channels, ()),
            key=lambda o: _distance(o, op),
            default=None,
        )
        if nearest is None or _distance(nearest, op) > math.log(SCALED_BY):
            return None
        return self.times[nearest] * op.work / nearest.work

    def missing(self, wanted: Iterable[Op]) -> list[Op]:
        """Returns the operations without a time, sorted."""
        return sorted({op for op in wanted if op not in self.times}, key=str)

    def adding(self, times: Mapping[Op, float]) -> "Table":
        """Returns a table with more operations."""
        return replace(self, times={**self.times, **times})

    def to_json(self) -> str:
        """Returns the content of the table's file."""
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
    def _similar(self) -> dict[Op, list[Op]]:
        found: dict[Op, list[Op]] = {}
        for op in self.times:
            found.setdefault(op.without_channels, []).append(op)
        return found


def read(path: Path) -> Table:
    """Reads a table; raises ``ConfigError`` if the file is missing or is none."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
        times = {Op.parse(text): ms for text, ms in file.ops.items()}
    except FileNotFoundError:
        raise ConfigError(
            f"latency table {path} does not exist: nas-tf profile-ops CONFIG --out {path} makes it"
        ) from None
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, OSError) as error:
        raise ConfigError(
            f"{path} is not a latency table ({error}), expected one that nas-tf profile-ops wrote"
        ) from None
    if file.schema != SCHEMA:
        raise ConfigError(
            f"latency table {path} is of schema {file.schema}, expected {SCHEMA}: write it again "
            "with nas-tf profile-ops"
        )
    return Table(file.device, file.threads, file.tensorflow, times, str(path))


def _distance(first: Op, second: Op) -> float:
    return abs(math.log(first.work / second.work))
