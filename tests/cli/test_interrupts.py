"""Ctrl-C stops a process also where Python drops what is raised."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, signal, time
from nas_tf import cli

class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

class Broken:
    def __del__(self):
        raise ValueError("told as ever")

cli._repeat_dropped_interrupts()
Broken()
try:
    Slow()
    print("dropped", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
"""


def test_an_interrupt_within_a_destructor_comes_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines()[-1] == "stopped"
    assert "ValueError: told as ever" in done.stderr
    assert "KeyboardInterrupt" not in done.stderr
