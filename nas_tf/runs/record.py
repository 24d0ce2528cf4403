"""Defines the record of a finished trial, stored as JSON and as a row of the table."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from nas_tf.errors import DataError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.runs import files

COLUMNS = (
    *("trial", "status", "stopped", "reward", "score", "stage_one", "stage_two"),
    *("params", "madds", "latency_ms", "seconds", "worker", "ended", "genotype"),
)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a trial: its score, metrics, losses, and its time by activity."""

    score: float = msgspec.field(name="reward")
    metrics: dict[str, float]
    losses: tuple[float, ...]
    steps: int
    seconds: dict[str, float]


class Decision(msgspec.Struct, frozen=True):
    """One decision of the gate, and the gate's state after it: a line of ``gate.jsonl``."""

    trial: str
    score: float = msgspec.field(name="reward")
    admitted: bool = msgspec.field(name="goes_on")
    state: dict[str, int | float | str]


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished trial.

    ``status`` is ``completed`` or ``failed``; ``stopped`` is ``gate`` or the reason of a failure.
    ``reward`` is the value reported to the oracle, ``score`` the task's own figure before any
    penalty on cost; of a failed trial both are ``limits.failure_score``, by which nothing is
    ranked. ``seconds`` is the trial's total time.
    """

    trial: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+$")]
    space: str
    genotype: str
    status: Literal["completed", "failed"]
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
    started: str
    ended: str

    def __post_init__(self) -> None:
        """Raises if a time has no zone: times are compared and subtracted."""
        for time in (self.started, self.ended):
            if datetime.fromisoformat(time).tzinfo is None:
                raise ValueError(f"{time!r} is a time without its zone")

    def __repr__(self) -> str:
        """Returns one line: the losses of the stages would fill screens."""
        reward = "" if self.status == "failed" else f", reward {self.reward:#.4g}"
        return f"<TrialRecord {self.trial}: {self.status}{reward}, {self.genotype}>"

    @property
    def parsed(self) -> Genotype:
        """The genotype as a ``Genotype``."""
        return Genotype.of(self.space, msgspec.json.decode(self.genotype))

    def row(self) -> dict[str, Any]:
        """Returns the trial as a row of the table; a failed one has neither reward nor score."""
        scores = [_rounded(stage.score) for stage in self.stages]
        stages = dict(zip(("stage_one", "stage_two"), scores, strict=False))
        own = {name: getattr(self, name) for name in COLUMNS if hasattr(self, name)}
        latency = None if self.latency_ms is None else round(self.latency_ms, 3)
        own |= {"latency_ms": latency, "seconds": round(self.seconds, 2)}
        for name in ("reward", "score"):
            own[name] = None if self.status == "failed" else _rounded(own[name])
        return own | stages


def _rounded(value: float) -> float:
    """Returns a value to six decimals; a tiny one, to six digits."""
    return round(value, 6) if abs(value) >= 0.001 else float(f"{value:.6g}")


def path_of(folder: Path, trial: str) -> Path:
    """Returns the path of a trial's record."""
    return folder / files.TRIALS / f"{trial}.json"


def read(path: Path) -> TrialRecord:
    """Reads a trial's record; raises ``DataError`` if it is damaged."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=TrialRecord)
        found.parsed  # noqa: B018
        if found.trial != path.stem:  # its other files are found by its name
            raise msgspec.ValidationError(f"it is of trial {found.trial!r}")
    except (msgspec.MsgspecError, UnicodeDecodeError, GenotypeError, RecursionError) as error:
        raise DataError(
            f"{path} is no record of a trial, {error}; delete it, and resuming the run "
            "writes it again if its trial is still to be run"
        ) from error
    return found
