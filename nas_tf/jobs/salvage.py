"""Repairs a search whose ledger is damaged, so that it can be resumed."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from nas_tf import files
from nas_tf.errors import DataError
from nas_tf.jobs.search import reporting_errors
from nas_tf.runs import filenames, record, saved_arrays
from tuner_oracles.ledger import COMPLETE, NAME, salvaging

_ENDED = ("COMPLETED", "FAILED")


@dataclass(frozen=True)
class Salvaged:
    """The outcome of a repair.

    ``records`` is the number of records that the ledger keeps, ``kept`` and ``lost`` are the names
    of the trials that have ended in it and of those that are run again. ``folder`` has the files
    of the lost trials; None if they had none.
    """

    records: int
    kept: tuple[str, ...]
    lost: tuple[str, ...]
    folder: Path | None


def salvage(run: Path) -> Salvaged:
    """Cuts a damaged ledger before its first damaged line; resuming then runs the lost trials.

    The files of the lost trials are moved into a folder of the run, where nothing reads them, so
    that no trial counts twice: their records, weights and folders, the table of trials, and a copy
    of the gate's log, which forgets its decisions on them. The damaged ledger is kept too. A kill
    in between leaves the ledger damaged, and a second call completes the repair.
    """
    ledger = run / NAME
    if not ledger.is_file():
        raise DataError(f"{run} has no {NAME}, expected the folder of a search")
    with reporting_errors(run), salvaging(ledger) as records:
        results = [entry for entry in records if entry["kind"] == "result"]
        kept = {entry["trial"] for entry in results if entry["status"] in _ENDED}
        lost = sorted(_names(run) - kept)
        folder = _free_name(run) if lost else None
        if folder is not None:
            with files.reporting_faults(run):
                _move(run, lost, folder)
                _forget_decisions(run, kept, folder)
    return Salvaged(len(records), tuple(sorted(kept)), tuple(lost), folder)


def _names(run: Path) -> set[str]:
    """Returns the names of the trials that have a record or a folder."""
    recorded = {path.stem for path in (run / filenames.TRIALS).glob("[!.]*.json")}
    return recorded | {path.name.removeprefix("trial_") for path in run.glob("trial_*")}


def _free_name(run: Path) -> Path:
    number = 1
    while (run / f"lost-{number}").exists():
        number += 1
    return run / f"lost-{number}"


def _move(run: Path, lost: list[str], folder: Path) -> None:
    """Moves the files of trials, the mark of a chief, and the table, which is written again."""
    paths = [run / filenames.TABLE, run / COMPLETE]
    for trial in lost:
        arrays = saved_arrays.arrays_path(run, trial)
        paths += [record.path_of(run, trial), arrays, run / f"trial_{trial}"]
    for path in paths:
        if path.exists():
            files.publish(path, folder / path.relative_to(run))


def _forget_decisions(run: Path, kept: set[str], folder: Path) -> None:
    path = run / filenames.GATE
    if not path.exists():
        return
    complete = path.read_bytes().rpartition(b"\n")[0]
    lines = zip(complete.splitlines(), record.decisions(path, complete), strict=True)
    shutil.copy2(path, folder / filenames.GATE)
    files.write(path, b"".join(line + b"\n" for line, made in lines if made.trial in kept))
