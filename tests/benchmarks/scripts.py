"""A benchmark's script, run in the tests' own process."""

import importlib
import subprocess
from pathlib import Path

from tests.cli.command import called


def script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``benchmarks/NAME.py`` in a folder."""
    main = importlib.import_module(f"benchmarks.{name}").main
    return called(main, [f"{name}.py", *map(str, arguments)], cwd=cwd)
