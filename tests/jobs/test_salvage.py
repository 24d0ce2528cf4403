"""A search whose ledger is damaged in the middle is repaired, and resumes as if undisturbed."""

import fcntl
from pathlib import Path

import pytest

import tuner_oracles
from nas_tf import spaces
from nas_tf.errors import DataError
from nas_tf.jobs.salvage import salvage
from nas_tf.jobs.search import reporting_errors
from nas_tf.runs import Run, filenames
from nas_tf.search.hypermodel import OBJECTIVE
from tests.runs.made import made
from tests.search.quick import QuickModel
from tests.search.searched import tuner
from tests.training.evaluated import experiment
from tuner_oracles.ledger import COMPLETE, NAME, Ledger

TRIALS = 6


def search(folder: Path) -> None:
    config = experiment(search={"tensorboard": False})
    model = QuickModel.of(config, spaces.get(config.space))
    oracle = tuner_oracles.EvolutionOracle(OBJECTIVE, TRIALS, seed=1, population=2, tournament=1)
    with reporting_errors(folder):
        tuner_oracles.search(tuner(folder, oracle, model), verbose=0)


def outcome(folder: Path) -> list[tuple[str, str, float]]:
    return [(trial.trial, trial.genotype, trial.reward) for trial in Run(folder).trials]


def damage(folder: Path, place: float) -> int:
    """Flips a byte of the ledger; returns the number of lines before it."""
    path = folder / NAME
    content = bytearray(path.read_bytes())
    index = int(place * len(content))
    content[index] ^= 1
    path.write_bytes(content)
    return content[:index].count(b"\n")


@pytest.mark.parametrize("place", [0.0, 0.6, 0.8])
def test_a_salvaged_search_ends_as_an_undisturbed_one(tmp_path: Path, place: float) -> None:
    run = tmp_path / "run"
    search(run)
    expected, gate = outcome(run), (run / "gate.jsonl").read_bytes()
    lines = (run / NAME).read_bytes().splitlines(keepends=True)
    table = (run / "trials.csv").read_text().splitlines()
    count = damage(run, place)
    damaged = (run / NAME).read_bytes()
    with pytest.raises(DataError, match=r"is damaged; .* by nas-tf runs \S+run --salvage, or"):
        search(run)
    done = salvage(run)
    assert (run / NAME).read_bytes() == b"".join(lines[:count])
    assert (run / f"{NAME}.damaged").read_bytes() == damaged
    results = b"".join(lines[:count]).count(b'"kind":"result"')
    assert (done.records, len(done.kept), len(done.lost)) == (count, results, TRIALS - results)
    assert (place == 0) == (results == 0), "a part is kept"
    assert results < TRIALS, "a part is lost"
    assert outcome(run) == expected[:results]
    assert done.folder == run / "lost-1"
    lost = sorted(path.stem for path in (done.folder / "trials").iterdir())
    assert lost == list(done.lost)
    assert (done.folder / "gate.jsonl").read_bytes() == gate
    search(run)
    assert outcome(run) == expected
    assert (run / "gate.jsonl").read_bytes() == gate
    rows = (run / "trials.csv").read_text().splitlines()
    assert [row.split(",")[:4] for row in rows] == [row.split(",")[:4] for row in table]
    kept = (run / NAME).read_bytes().splitlines(keepends=True)[:count]
    assert kept == lines[:count]


def test_a_second_damage_replaces_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(run)
    expected = outcome(run)
    for number, name in ((1, f"{NAME}.damaged"), (2, f"{NAME}.damaged-2")):
        damage(run, 0.5)
        damaged = (run / NAME).read_bytes()
        assert salvage(run).folder == run / f"lost-{number}"
        assert (run / name).read_bytes() == damaged
        search(run)
    assert outcome(run) == expected


def test_what_needs_no_salvage_is_refused_and_stays(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(DataError, match=r"run has no ledger\.jsonl, expected the folder"):
        salvage(run)
    search(run)
    before = sorted(run.rglob("*"))
    with pytest.raises(DataError, match="is not damaged"):
        salvage(run)
    damage(run, 0.5)
    with (run / NAME).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="is in use: another process"):
            salvage(run)
    assert sorted(run.rglob("*")) == before


def test_a_gate_that_cannot_be_read_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(run)
    gate = (run / "gate.jsonl").read_bytes()
    (run / "gate.jsonl").write_bytes(b"{\n")
    damage(run, 0.6)
    damaged = (run / NAME).read_bytes()
    with pytest.raises(DataError, match=r"gate\.jsonl is damaged"):
        salvage(run)
    assert (run / NAME).read_bytes() == damaged
    (run / "gate.jsonl").write_bytes(gate)
    salvage(run)
    search(run)
    assert len(outcome(run)) == TRIALS


def test_the_gate_forgets_lost_trials_and_the_table_is_set_aside(tmp_path: Path) -> None:
    """Its mean and its draws would count them twice when they run again."""
    run = tmp_path / "run"
    made(run, trials=4, gate=True)
    gate, table = (run / filenames.GATE).read_bytes(), (run / filenames.TABLE).read_bytes()
    (run / COMPLETE).write_text("4\n")
    ledger = Ledger(run / NAME)
    ledger.append("begin")
    for trial in ("0000", "0002"):
        ledger.append("result", trial=trial, status="COMPLETED")
    ledger.close()
    with ledger.path.open("a") as file:
        file.write("damaged\n")
    done = salvage(run)
    assert (done.kept, done.lost) == (("0000", "0002"), ("0001", "0003"))
    lines = gate.splitlines(keepends=True)
    assert (run / filenames.GATE).read_bytes() == lines[0] + lines[2]
    assert (done.folder / filenames.GATE).read_bytes() == gate
    assert (done.folder / filenames.TABLE).read_bytes() == table
    assert not (run / filenames.TABLE).exists()
    assert not (run / COMPLETE).exists(), "a late worker would end, as if nothing were left"
    assert [trial.trial for trial in Run(run).trials] == ["0000", "0002"]
