"""Ctrl-C stops a process even where Python drops the exception."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, signal, time
from nas_tf.jobs import interrupts

class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass

class Broken:
    def __del__(self):
        raise ValueError("reported as usual")

interrupts.repeat_dropped()
Broken()
try:
    Slow()
    print("dropped", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
"""


def test_an_interrupt_within_a_destructor_is_repeated() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.splitlines()[-1] == "stopped"
    assert "ValueError: reported as usual" in done.stderr
    assert "KeyboardInterrupt" not in done.stderr
