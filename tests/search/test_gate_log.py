"""One gate for a whole search: each decision is made once, whoever asks and whatever dies."""

import json
import multiprocessing
from pathlib import Path

import pytest

from nas_tf.config import load
from nas_tf.errors import DataError
from nas_tf.search.gate_log import GateLog
from nas_tf.training import gate

CONFIG = load("shapes_auxcell")
REWARDS = [0.5, 0.1, 0.6, 0.2, 0.3, 0.7, 0.1, 0.4]


def decisions(log: GateLog, rewards: list[float] = REWARDS) -> list[bool]:
    return [log.of(f"{n:02d}").admits(reward) for n, reward in enumerate(rewards)]


def test_it_decides_as_the_gate_does(tmp_path: Path) -> None:
    plain = gate.make(CONFIG.gate, CONFIG.seed)
    assert decisions(GateLog(tmp_path, CONFIG)) == [plain.admits(item) for item in REWARDS]


def test_asked_again_it_answers_the_same_and_learns_nothing(tmp_path: Path) -> None:
    first = decisions(GateLog(tmp_path, CONFIG))
    content = (tmp_path / "gate.jsonl").read_bytes()
    assert decisions(GateLog(tmp_path, CONFIG)) == first
    assert (tmp_path / "gate.jsonl").read_bytes() == content


@pytest.mark.parametrize("kept", range(len(REWARDS)))
def test_it_resumes_from_wherever_it_was_killed(tmp_path: Path, kept: int) -> None:
    undisturbed = decisions(GateLog(tmp_path, CONFIG))
    path = tmp_path / "gate.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]) + lines[kept][:-7])
    assert decisions(GateLog(tmp_path, CONFIG)) == undisturbed
    assert len(path.read_bytes().splitlines()) == len(REWARDS)


def test_a_log_that_is_deleted_starts_from_scratch(tmp_path: Path) -> None:
    log = GateLog(tmp_path, CONFIG)
    first = decisions(log)
    (tmp_path / "gate.jsonl").unlink()
    assert decisions(log) == first
    assert len((tmp_path / "gate.jsonl").read_bytes().splitlines()) == len(REWARDS)


def ask(folder: Path, trials: list[int]) -> None:
    log = GateLog(folder, CONFIG)
    for number in trials:
        log.of(f"{number:03d}").admits(number / 100)


@pytest.mark.slow
def test_workers_share_one_log(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=ask, args=(tmp_path, list(range(first, 60, 3)))) for first in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    lines = [json.loads(line) for line in (tmp_path / "gate.jsonl").read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == [f"{n:03d}" for n in range(60)]
    plain = gate.make(CONFIG.gate, CONFIG.seed)
    for line in lines:
        assert plain.admits(line["reward"]) == line["goes_on"]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"{", b"rubbish\n{"),
        (b'"trial"', b'"tribl"'),
        (b'"mean"', b'"meaN"'),
        (b'"seen":8', b'"seen":"8"'),
        (b'"reward":0.5', b'"reward":"\xff"'),
    ],
)
def test_a_damaged_log_is_refused_with_the_remedy(tmp_path: Path, was: bytes, now: bytes) -> None:
    decisions(GateLog(tmp_path, CONFIG))
    path = tmp_path / "gate.jsonl"
    path.write_bytes(path.read_bytes().replace(was, now))
    with pytest.raises(DataError, match=r"gate\.jsonl is damaged: .*put back a copy, or delete"):
        GateLog(tmp_path, CONFIG).of("new").admits(0.5)
