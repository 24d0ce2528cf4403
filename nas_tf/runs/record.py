"""Defines the records of a run, stored as JSON: its own, its trials', the gate's decisions."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import msgspec

from nas_tf.errors import DataError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.runs import filenames

SCHEMA = 1
COLUMNS = (
    *("trial", "status", "stopped", "reward", "score", "stage_one", "stage_two"),
    *("params", "madds", "latency_ms", "seconds", "worker", "ended", "genotype"),
)


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The provenance of a run: the content of ``run.json``.

    Entries that 0.1.0 did not write have a default. A reranking has the last five: the name of its
    search, the numbers of trials asked for, the names of the best and of the sampled ones, and the
    genotype of the network with nothing that was searched, if the space has one.
    """

    schema: int
    nas_tf: str = "unknown"
    space: str | dict[str, Any]
    data: str
    task: str | None = None
    outputs: int | None = None
    input: tuple[int, int] | None = None
    oracle: str
    max_trials: int | None = None
    seed: int
    created: str = ""
    command: str = ""
    python: str | None = None
    machine: str | None = None
    versions: dict[str, str] = {}
    of: str | None = None
    asked: dict[str, int] = {}
    top: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()
    baseline: str | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a trial: its score, metrics, losses, and its time by activity.

    ``seconds`` has ``build`` (blueprint, weights, optimisers), ``trace`` (the part of the first
    step that exceeds a mean step: tracing and optimising its graph), ``input`` (waiting for
    batches), ``steps``, ``validate``, and ``validate_trace`` (like ``trace``).
    """

    score: float = msgspec.field(name="reward")
    metrics: dict[str, float]
    losses: tuple[float, ...]
    steps: int
    seconds: dict[str, float]

    @property
    def other_metric(self) -> str | None:
        """The name of the task's first metric, if the score is computed from the loss instead."""
        is_loss = "loss" in self.metrics
        return next((name for name in self.metrics if is_loss and name != "loss"), None)


class Decision(msgspec.Struct, frozen=True):
    """One decision of the gate, and the gate's state after it: a line of ``gate.jsonl``."""

    trial: str
    score: float = msgspec.field(name="reward")
    admitted: bool = msgspec.field(name="goes_on")
    state: dict[str, int | float | str]


class TrialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluated candidate: what its evaluation found, and once it has ended, its trial.

    ``score`` is the task's own figure after the last stage that was reached, ``reward`` the value
    reported to the oracle: the score with ``search.pricing``'s penalties on cost. ``stopped`` is
    ``gate`` or the reason of a failure. Of a failed candidate both figures are
    ``limits.failure_score``, by which nothing is ranked; ``refused`` marks one that was not worth
    a training: beyond a limit, or without a network. ``repeats`` names the trial whose network was
    trained again here, with another ``seed``. ``output_stride`` is the stride of the network's
    output, if it has a single one. ``seconds`` is the trial's total time.
    """

    trial: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+$")] = ""
    space: str
    genotype: str
    status: Literal["completed", "failed"]
    reward: float
    score: float
    stages: tuple[Stage, ...] = ()
    stopped: str | None = None
    refused: bool | msgspec.UnsetType = msgspec.UNSET
    params: int = 0
    madds: int = 0
    latency_ms: float | None = None
    output_stride: int | msgspec.UnsetType = msgspec.UNSET
    seed: int = 0
    repeats: str | msgspec.UnsetType = msgspec.UNSET
    seconds: float = 0.0
    worker: str = ""
    started: str = ""
    ended: str = ""

    @classmethod
    def of(
        cls,
        genotype: Genotype,
        score: float,
        *,
        failed: bool = False,
        refused: bool = False,
        **found: Any,
    ) -> "TrialRecord":
        """Returns the record of an evaluation, which is not yet a trial and has no penalties."""
        return cls(
            space=genotype.space,
            genotype=str(genotype),
            status="failed" if failed or refused else "completed",
            refused=refused or msgspec.UNSET,
            reward=score,
            score=score,
            **found,
        )

    def __repr__(self) -> str:
        """Returns one line: the losses of the stages would fill screens."""
        reward = "" if self.failed else f", reward {self.reward:#.4g}"
        return f"<TrialRecord {self.trial}: {self.status}{reward}, {self.genotype}>"

    @property
    def parsed(self) -> Genotype:
        """The genotype as a ``Genotype``."""
        return Genotype.of(self.space, msgspec.json.decode(self.genotype))

    @property
    def failed(self) -> bool:
        """True if there is no score."""
        return self.status == "failed"

    def row(self) -> dict[str, Any]:
        """Returns the trial as a row of the table; a failed one has neither reward nor score."""
        scores = [_rounded(stage.score) for stage in self.stages]
        stages = dict(zip(("stage_one", "stage_two"), scores, strict=False))
        own = {name: getattr(self, name) for name in COLUMNS if hasattr(self, name)}
        latency = None if self.latency_ms is None else round(self.latency_ms, 3)
        own |= {"latency_ms": latency, "seconds": round(self.seconds, 2)}
        for name in ("reward", "score"):
            own[name] = None if self.failed else _rounded(own[name])
        return own | stages


def ranked(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Returns the completed trials, best first; of equals the earlier comes first.

    A trial that repeats another is left out: that one ranks by the mean of both rewards.
    """
    means = mean_rewards(trials)
    firsts = [trial for trial in trials if trial.trial in means]
    return sorted(firsts, key=lambda trial: -means[trial.trial])


def mean_rewards(trials: Sequence[TrialRecord]) -> dict[str, float]:
    """Returns the reward of each completed trial, or the mean of its own and its repeats'."""
    completed = [trial for trial in trials if not trial.failed]
    rewards = {trial.trial: [trial.reward] for trial in completed if not trial.repeats}
    for trial in completed:
        if trial.repeats in rewards:
            rewards[trial.repeats].append(trial.reward)
    return {name: fmean(found) for name, found in rewards.items()}


def _rounded(value: float) -> float:
    """Returns a value to six decimals; a tiny one, to six digits."""
    return round(value, 6) if abs(value) >= 0.001 else float(f"{value:.6g}")


def text(content: RunInfo | TrialRecord) -> str:
    """Returns a record as it is written to its file."""
    return msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n"


def decisions(path: Path, lines: bytes) -> list[Decision]:
    """Reads complete lines of the gate's log; raises ``DataError`` if one is damaged."""
    try:
        return [msgspec.json.decode(line, type=Decision) for line in lines.splitlines()]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise damaged_log(path, error) from error


def damaged_log(path: Path, why: object) -> DataError:
    """Returns the error to raise for a damaged log of the gate."""
    return DataError(
        f"{path} is damaged: {why}; put back a copy, or delete it, and the gate starts from "
        "scratch"
    )


def path_of(folder: Path, trial: str) -> Path:
    """Returns the path of a trial's record."""
    return folder / filenames.TRIALS / f"{trial}.json"


def read(path: Path) -> TrialRecord:
    """Reads a trial's record; raises ``DataError`` if it is damaged."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=TrialRecord)
        found.parsed  # noqa: B018
        if found.trial != path.stem:  # its other files are found by its name
            raise ValueError(f"it is of trial {found.trial!r}")
        for time in (found.started, found.ended):  # times are compared and subtracted
            if datetime.fromisoformat(time).tzinfo is None:
                raise ValueError(f"{time!r} is a time without its zone")
    except (msgspec.MsgspecError, ValueError, GenotypeError, RecursionError) as error:
        raise DataError(
            f"{path} is no record of a trial, {error}; delete it, and resuming the run "
            "writes it again if its trial is still to be run"
        ) from error
    return found
