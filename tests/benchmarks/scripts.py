"""A benchmark's script, run in the tests' own process."""

import runpy
import subprocess
from pathlib import Path

from tests.cli.command import called

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``benchmarks/NAME.py`` in a folder."""
    path = str(BENCHMARKS / f"{name}.py")
    command = [path, *map(str, arguments)]
    return called(lambda: runpy.run_path(path, run_name="__main__"), command, cwd=cwd)
