"""What is kept of every finished trial, as JSON and as a row of the table."""

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from nas_tf.errors import DataError
from nas_tf.genotype import Genotype
from nas_tf.runs import layout

COLUMNS = (
    *("trial", "status", "stopped", "reward", "stage_one", "stage_two", "params", "madds"),
    *("seconds", "worker", "ended", "genotype"),
)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a trial: its reward, figures, first and last loss, and where its time went."""

    reward: float
    metrics: dict[str, float]
    losses: tuple[float, ...]
    steps: int
    seconds: dict[str, float]


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished trial.

    ``status`` is ``completed`` or ``failed``; ``stopped`` is ``gate`` or the reason of a failure.
    ``reward`` is what the oracle was told, ``score`` the task's own reward before any price on
    cost; ``seconds`` is the trial's whole time.
    """

    trial: str
    space: str
    genotype: str
    status: str
    reward: float
    score: float
    stages: tuple[Stage, ...] = ()
    stopped: str | None = None
    params: int = 0
    madds: int = 0
    latency_ms: float | None = None
    seed: int = 0
    seconds: float = 0.0
    worker: str = ""
    started: str = ""
    ended: str = ""

    @property
    def parsed(self) -> Genotype:
        """The genotype as a value."""
        return Genotype.of(self.space, msgspec.json.decode(self.genotype))

    def row(self) -> dict[str, Any]:
        """The trial as a row of the table."""
        rewards = [round(stage.reward, 6) for stage in self.stages]
        stages = dict(zip(("stage_one", "stage_two"), rewards, strict=False))
        own = {name: getattr(self, name) for name in COLUMNS if hasattr(self, name)}
        return own | stages | {"reward": round(self.reward, 6), "seconds": round(self.seconds, 2)}


def write(folder: Path, record: TrialRecord) -> None:
    """Keeps a trial: its file first, then its row."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1).decode()
    layout.write_whole(path_of(folder, record.trial), f"{text}\n")
    with FileLock(folder / layout.LOCK):
        _write_table(folder, read_all(folder))


def path_of(folder: Path, trial: str) -> Path:
    """Where a trial is kept."""
    return folder / layout.TRIALS / f"{trial}.json"


def read(path: Path) -> TrialRecord:
    """Reads a trial back."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=TrialRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no record of a trial, {error}; delete it, and going on with the run "
            "makes it anew if its trial is still to be run"
        ) from error


def read_all(folder: Path) -> list[TrialRecord]:
    """All trials of a run, in the order in which they ended."""
    records = [read(path) for path in (folder / layout.TRIALS).glob("*.json")]
    return sorted(records, key=lambda record: (record.ended, record.trial))


def _write_table(folder: Path, records: list[TrialRecord]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(record.row() for record in records)
    layout.write_whole(folder / layout.TABLE, text.getvalue())
