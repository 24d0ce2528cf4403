"""Real processes of the cheap search, and what their ledger says."""

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
    """The environment that tells a process of a cluster which one it is."""
    return {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(port),
    }


def start(
    folder: Path, trials: int, seconds: float, *more: str, name: str | None = None, port: int = 0
) -> Warm:
    """One process: alone, or the chief or worker of a name."""
    folder.mkdir(exist_ok=True)
    return Warm(
        *("script", folder, trials, seconds, *more),
        env={} if name is None else identity(name, port),
        log=folder / f"{name or 'alone'}.log",
        out=True,
    )


def records(folder: Path) -> list[dict]:
    """The whole records so far of the ledger in a folder, or in its folder ``search``."""
    places = [place / "ledger.jsonl" for place in (folder, folder / "search")]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def results(folder: Path) -> list[dict]:
    return [record for record in records(folder) if record["kind"] == "result"]


def trials(folder: Path) -> list[tuple]:
    """All trials in order, with how each ended; fails where one was counted twice."""
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
    """Trial, tuner and process of every run, finished or not."""
    path = folder / "runs.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def hold(folder: Path, *names: str) -> None:
    """From now on the trials of these tuners do not end (``search``: do not begin)."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"held-{name}").unlink(missing_ok=True)
        (folder / f"hold-{name}").touch()


def wait_until_held(folder: Path, *names: str) -> None:
    """Until each of these tuners is in a trial that does not end."""
    wait_for(lambda: all((folder / f"held-{name}").exists() for name in names))


def let_go(folder: Path) -> None:
    for path in folder.glob("hold-*"):
        path.unlink()


def wait_for(what: Callable[[], object], seconds: float = 180.0) -> None:
    """Until it is so; fails when it takes too long on a machine with other work."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.01)


def kill_at_random(process: Warm, folder: Path, rng: random.Random) -> None:
    """Kill -9 once some more records were written, or the process has ended."""
    enough = len(records(folder)) + rng.randrange(1, 30)
    wait_for(lambda: len(records(folder)) >= enough or process.poll() is not None)
    time.sleep(rng.random() * 0.02)
    process.kill()
    process.wait()
