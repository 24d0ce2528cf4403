"""Real processes of the cheap search, and the records of their ledger."""

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.e2e.warm import Warm

SCRIPT = Path(__file__).with_name("cheap_search.py")
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def identity(name: str, port: int) -> dict[str, str]:
    """Returns the environment that defines the role of a process in a cluster."""
    return {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
    }


def start(
    folder: Path, trials: int, seconds: float, *more: str, name: str | None = None, port: int = 0
) -> Warm:
    """Starts one process: alone, or the chief or a worker of this name."""
    folder.mkdir(exist_ok=True)
    return Warm(
        *("script", folder, trials, seconds, *more),
        env={} if name is None else identity(name, port),
        log=folder / f"{name or 'alone'}.log",
        out=True,
    )


def records(folder: Path) -> list[dict]:
    """Returns the complete records so far of the ledger in a folder or its folder ``search``."""
    places = [place / "ledger.jsonl" for place in (folder, folder / "search")]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        return []
    lines = path.read_bytes().rpartition(b"\n")[0].splitlines()
    return [json.loads(line) for line in lines]


def results(folder: Path) -> list[dict]:
    return [record for record in records(folder) if record["kind"] == "result"]


def trials(folder: Path) -> list[tuple]:
    """Returns all trials in order with their results; fails if a trial was counted twice."""
    found = records(folder)
    ends = {record["trial"]: record for record in found if record["kind"] == "result"}
    counts = Counter(record["trial"] for record in found if record["kind"] == "result")
    assert set(counts.values()) <= {1}, counts.most_common(3)
    proposed = [record for record in found if record["kind"] == "proposal"]
    return [
        (
            item["trial"],
            item["tokens"],
            ends[item["trial"]]["status"],
            ends[item["trial"]]["score"],
        )
        for item in proposed
    ]


def runs(folder: Path) -> list[list[str]]:
    """Returns trial, tuner and process of every run, finished or not."""
    path = folder / "runs.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def hold(folder: Path, *names: str) -> None:
    """Holds the trials of these tuners before their end (``search``: before their start)."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"held-{name}").unlink(missing_ok=True)
        (folder / f"hold-{name}").touch()


def wait_until_held(folder: Path, *names: str) -> None:
    """Waits until each of these tuners is in a held trial."""
    wait_for(lambda: all((folder / f"held-{name}").exists() for name in names))


def release(folder: Path) -> None:
    for path in folder.glob("hold-*"):
        path.unlink()


def wait_for(condition: Callable[[], object], seconds: float = 180.0) -> None:
    """Waits until the condition holds; fails after a time that is ample for a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition does not hold within {seconds} s"
        time.sleep(0.01)


def kill_at_random(process: Warm, folder: Path, rng: random.Random) -> None:
    """Kills a process once it has written some more records, or has ended."""
    enough = len(records(folder)) + rng.randrange(1, 30)
    wait_for(lambda: len(records(folder)) >= enough or process.poll() is not None)
    time.sleep(rng.random() * 0.02)
    process.kill()
    process.wait()
