"""A benchmark's script as a process of its own."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``benchmarks/NAME.py`` in a folder."""
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=540,
    )
