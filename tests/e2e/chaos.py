"""Real searches under random harm: the steps of a round, by its seed, and its invariants.

A round is a search, alone or a chief with three workers, to which three things happen at random
moments: a process is killed, or stopped for a while, the disk fills up, or with everything
killed a file is changed or cut. A process may end by itself only with one line that names the
file and a remedy, which the round then applies. The seed decides everything but the machine's
own timing.
"""

import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas_tf.runs import Run, filenames
from tests.e2e import processes
from tests.e2e.disk import Disk
from tests.e2e.warm import Warm

HARMS = ("kill", "stop", "fill", "flip", "cut")
ORACLES = {
    "project": ("EvolutionOracle", "NearBestOracle", "RandomOracle", "PPOOracle"),
    "run": ("evolution", "near-best", "random"),
}
CONFIGS = ("shapes_auxcell", "shapes_fcos", "shapes_denoise")
TRIALS = 24
PATIENCE = 90.0
_BEGINS = re.compile(
    r"(no run to resume in \S+: )?searching in \S+, |resuming \S+ after |all \d+ trials of "
)
_REMEDY = re.compile("put back|delete|free some|use the version|give .*=")


@dataclass(frozen=True)
class Plan:
    """The kind of search of a round, and the harms done to it."""

    seed: int
    kind: str
    oracle: str
    config: str
    workers: int
    harms: tuple[str, ...]


def plan(seed: int) -> Plan:
    """Plans a round: every other is a full ``nas-tf search``, every fifth a cluster, few PPO.

    Full searches take turns on segmentation, detection and restoration.
    """
    rng = random.Random(f"plan {seed}")
    kind = ("project", "run")[seed % 2]
    oracle = "PPOOracle" if seed % 16 == 4 else rng.choice(ORACLES[kind][:3])
    workers, harms = 3 if seed % 10 in (3, 6) else 0, tuple(rng.choices(HARMS, k=3))
    return Plan(seed, kind, oracle, CONFIGS[seed // 9 % len(CONFIGS)], workers, harms)


def undisturbed(kind: str, oracle: str, config: str, folder: Path) -> list[tuple]:
    """Returns the trials of an undisturbed search in one process."""
    item = Round(Plan(0, kind, oracle, config, 0, ()), folder)
    item.live()
    return processes.trials(folder)


class Round:
    """One search and the harms done to it, logged in ``story``."""

    def __init__(self, chosen: Plan, folder: Path) -> None:
        self.plan, self.folder, self.place = chosen, folder, folder / "search"
        self.story = [str(chosen)]
        self.touched: set[Path] = set()
        """Files that were changed and that no process has refused yet."""
        self._rng = random.Random(f"round {chosen.seed}")
        self._disk = Disk(self.place, own="fill" in chosen.harms and self._rng.random() < 0.5)
        self._port = processes.free_port()
        self._members: dict[str, Warm] = {}
        self._lives = 0
        self._copy = folder / "copy"
        self._previous: dict[str, tuple] = {}

    def live(self) -> None:
        """Runs the round to the end of the search."""
        try:
            self._start()
            for harm in self.plan.harms:
                self._reach(self._results() + self._rng.randrange(2, 6))
                self._look()
                self._log(harm)
                getattr(self, f"_{harm}")()
            self._until(self._over)
            self._look()
        finally:
            self._kill_all()

    def close(self) -> None:
        """Releases the disk."""
        self._disk.close()

    # Harms.

    def _kill(self) -> None:
        name = self._rng.choice(list(self._members))
        time.sleep(self._rng.random() * 0.02)
        self._members[name].kill()
        self._log(f"killed {name}")
        self._start()

    def _stop(self) -> None:
        name = self._rng.choice(list(self._members))
        if self._members[name].status is None:
            self._members[name].stop()
            time.sleep(self._rng.random() * (3 if self.plan.workers else 0.3))
            self._members[name].resume()
        self._log(f"stopped {name} for a while")

    def _fill(self) -> None:
        ledger = self.place / "ledger.jsonl"
        running = [member.pid for member in self._members.values() if member.status is None]
        self._disk.fill(running, ledger.stat().st_size, self._rng)
        end = time.monotonic() + 5
        while time.monotonic() < end and not any(self._ended()) and not self._over():
            time.sleep(0.02)
        self._kill_all()
        self._disk.free([])
        self._check_errors()
        self._start()

    def _flip(self) -> None:
        self._damage(self._changed)

    def _cut(self) -> None:
        self._damage(lambda content: content[: self._rng.randrange(len(content))])

    def _changed(self, content: bytes) -> bytes:
        place, bit = self._rng.randrange(len(content)), 1 << self._rng.randrange(8)
        return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]

    def _damage(self, change: Callable[[bytes], bytes]) -> None:
        """Copies the folder and changes a file of a random kind while no process runs."""
        over = self._over()
        self._kill_all()
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self.place, self._copy)
        kinds: dict[str, list[Path]] = {}
        for path in sorted(self.place.rglob("*")):
            if path.is_file() and path.stat().st_size:
                kind = re.sub(r"\d+", "", str(path.relative_to(self.place)))
                kinds.setdefault(kind, []).append(path)
        path = self._rng.choice(kinds[self._rng.choice(sorted(kinds))])
        path.write_bytes(change(path.read_bytes()))
        self.touched.add(path)
        self._log(f"changed {path.relative_to(self.place)}")
        self._start(again=over)

    # Processes.

    def _start(self, *, again: bool = False) -> None:
        """Starts processes that do not run and have not succeeded; with ``again``, the leader."""
        names = ["chief", *(f"worker-{n}" for n in range(self.plan.workers))]
        if not self.plan.workers:
            names = ["alone"]
        for name in names[:1] if again else names:
            if not again and name in self._members and self._members[name].status in (None, 0):
                continue
            self._lives += 1
            env = {"CHAOS_SECONDS": "0.1" if self.plan.workers else "0.01", "NAS_TF_PIPED": "1"}
            if self.plan.workers:
                env |= processes.identity(name, self._port)
            config = (self.plan.config,) if self.plan.kind == "run" else ()
            self._members[name] = Warm(
                *(self.plan.kind, self.folder, TRIALS, self.plan.oracle, *config),
                env=env,
                log=self.folder / f"{name}-{self._lives}.log",
            )

    def _kill_all(self) -> None:
        """Kills all, as a power cut does; processes that ended before keep their status."""
        for member in self._members.values():
            if member.status is None:
                member.kill()

    def _ended(self) -> list[Warm]:
        """Returns the processes that ended by themselves with an error."""
        return [member for member in self._members.values() if (member.status or 0) > 0]

    def _until(self, condition: Callable[[], bool]) -> None:
        """Watches the processes until the condition holds."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"nothing moves\n{self.report()}"
            if self._ended() and not self._over():
                time.sleep(0.1)  # its error may not be written yet
                self._refused()
                end = time.monotonic() + PATIENCE
            time.sleep(0.02)

    def _refused(self) -> None:
        """Restores the files that an ended process refuses, and starts all again."""
        self._kill_all()
        self._check_errors()
        line = self._ended()[0].errors
        named = [path for path in self.touched if str(path.relative_to(self.place)) in line]
        assert named, f"it names no file that was changed\n{self.report()}"
        for path in named:
            shutil.copy(self._copy / path.relative_to(self.place), path)
            self.touched.remove(path)
        self._log(f"put back: {line.strip()}")
        self._start()

    # Invariants.

    def _check_errors(self) -> None:
        """Checks that each ended process wrote one line with the file and the remedy."""
        for item in self._ended():
            lines = [line for line in item.errors.splitlines() if not _BEGINS.match(line)]
            assert len(lines) == 1, f"{len(lines)} lines instead of one line\n{self.report()}"
            assert str(self.place) in lines[0], f"it names no file\n{self.report()}"
            assert _REMEDY.search(lines[0]), f"it names no remedy\n{self.report()}"

    def _look(self) -> None:
        """Checks that no finished trial is lost, changed or counted twice."""
        ended: dict[str, tuple] = {}
        for result in processes.results(self.folder):
            assert result["trial"] not in ended, f"{result['trial']} counts twice\n{self.report()}"
            ended[result["trial"]] = result["status"], result["score"]
        for trial, before in self._previous.items():
            assert ended.get(trial) == before, f"{trial} was {before}\n{self.report()}"
        self._previous = ended

    def check(self, undisturbed: list[tuple]) -> None:
        """Checks at the end that every trial ran once, with the undisturbed search's results."""
        found = processes.trials(self.folder)
        assert len(found) == TRIALS, self.report()
        assert {status for *_, status, _ in found} == {"COMPLETED"}, self.report()
        gate = self.place / filenames.GATE
        if not self.plan.workers and gate not in self.touched:
            assert found == undisturbed, self.report()
        if self.plan.kind == "run":
            self._check_run({trial: score for trial, *_, score in found})

    def _check_run(self, scores: dict[str, float]) -> None:
        rewards = {trial.trial: trial.reward for trial in Run(self.place).trials}
        assert rewards.keys() == scores.keys(), self.report()
        for trial, score in scores.items():
            if self.place / filenames.TRIALS / f"{trial}.json" not in self.touched:
                assert rewards[trial] == score, f"trial {trial}\n{self.report()}"
        if self.place / filenames.TABLE not in self.touched:
            rows = (self.place / filenames.TABLE).read_text(encoding="utf-8").splitlines()[1:]
            assert sorted(row.partition(",")[0] for row in rows) == sorted(scores), self.report()

    # Progress.

    def _reach(self, count: int) -> None:
        self._until(lambda: self._results() >= count or self._over())

    def _results(self) -> int:
        path = self.place / "ledger.jsonl"
        return path.read_bytes().count(b'"kind":"result"') if path.exists() else 0

    def _over(self) -> bool:
        """Returns whether the leader has ended; workers that were stopped then are not awaited."""
        leader = "chief" if self.plan.workers else "alone"
        return leader in self._members and self._members[leader].status == 0

    def _log(self, line: str) -> None:
        self.story.append(f"{self._results():3d} results: {line}")

    def report(self) -> str:
        """Returns the story so far and the errors of all processes."""
        errors = [
            f"--- {name}, status {member.status}\n{member.errors}"
            for name, member in self._members.items()
        ]
        again = f"again: CHAOS_SEED={self.plan.seed} pytest -m slow tests/e2e/test_chaos.py"
        return "\n".join([*self.story, *errors, again])
