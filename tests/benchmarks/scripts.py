"""A benchmark's script, run in this process: one of its own would import TensorFlow again."""

import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs ``benchmarks/NAME.py`` in a folder; an error that it does not expect is raised."""
    path, code = BENCHMARKS / f"{name}.py", None
    stdout, stderr = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        patch.chdir(cwd)
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
    if isinstance(code, str):  # as Python ends with a text
        stderr.write(f"{code}\n")
        code = 1
    return subprocess.CompletedProcess(arguments, code or 0, stdout.getvalue(), stderr.getvalue())
