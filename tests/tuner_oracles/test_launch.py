"""A chief and workers as processes, of scripts that do no search."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.processes import ROOT, wait_for

LAUNCH = """
import sys
from tuner_oracles.launch import Cluster

def hear(name, line):
    raise BrokenPipeError("nobody looks")

sys.exit(Cluster([sys.executable, sys.argv[1], sys.argv[2]], 2, restarts=1, {more}).run())
"""


def launch(folder: Path, script: str, more: str = "") -> subprocess.Popen:
    path = folder / "script.py"
    path.write_text(script)
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH.format(more=more), str(path), str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_the_chief_when_the_workers_have_ended(tmp_path: Path) -> None:
    """So that the slowest of them can still tell it which trial it leaves."""
    launched = launch(
        tmp_path,
        """if True:
        import os, sys, time
        name, folder = os.environ["KERASTUNER_TUNER_ID"], sys.argv[1]
        def told(line):
            with open(os.path.join(folder, "told"), "a") as file:
                file.write(line)
        try:
            told("begun\\n")
            time.sleep(600)
        except KeyboardInterrupt:
            time.sleep({"worker-0": 0.0, "worker-1": 1.0, "chief": 0.0}[name])
            told(f"{name}\\n")
        """,
    )
    told = tmp_path / "told"
    wait_for(lambda: told.exists() and told.read_text().count("begun") == 3)
    launched.send_signal(signal.SIGINT)
    launched.communicate(timeout=60)
    assert launched.returncode == 130
    assert told.read_text().split()[3:] == ["worker-0", "worker-1", "chief"]


def test_what_cant_be_shown_does_not_stop_those_who_say_it(tmp_path: Path) -> None:
    launched = launch(tmp_path, "for _ in range(20_000): print('x' * 80)", "hear=hear")
    try:
        _, told = launched.communicate(timeout=60)
    finally:
        launched.kill()
    assert launched.returncode == 0
    assert told == (
        "what chief, worker-0, worker-1 say can't be shown: BrokenPipeError('nobody looks')\n"
    )


def test_the_budget_of_restarts_begins_anew_when_a_trial_has_ended(tmp_path: Path) -> None:
    """Each worker dies twice; that a trial ended in between the chief tells a second late."""
    launched = launch(
        tmp_path,
        """if True:
        import os, sys, time
        from pathlib import Path
        from tuner_oracles.launch import say_ended
        name, folder = os.environ["KERASTUNER_TUNER_ID"], Path(sys.argv[1])
        if name == "chief":
            while len(list(folder.glob("*.alive"))) < 2:
                for path in folder.glob("*.dead"):
                    path.unlink()
                    if len(path.with_suffix(".lives").read_text()) == 2:
                        time.sleep(1)
                        say_ended()
                        print("said", path.stem, flush=True)
                time.sleep(0.01)
            sys.exit(0)
        lives = folder / f"{name}.lives"
        lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
        if len(lives.read_text()) > 2:
            (folder / f"{name}.alive").touch()
            sys.exit(0)
        (folder / f"{name}.dead").touch()
        while (folder / f"{name}.dead").exists():
            time.sleep(0.01)
        sys.exit(9)
        """,
    )
    said, told = launched.communicate(timeout=120)
    assert launched.returncode == 0, told
    assert said.count("said") == 2
    assert "\x03" not in said
