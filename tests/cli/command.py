"""Runs the command line in this process, and returns its output and exit code.

A separate process imports TensorFlow again, which takes longer than most tests. Tests of the
process itself (signals, terminals, another environment) start one.
"""

import contextlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nas_tf import cli

COMMAND = [sys.executable, "-c", "from nas_tf.cli import main; main()"]


def nas_tf(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess:
    """Runs a command in a folder; an error that is not a user's is raised."""
    return called(cli.main, ["nas-tf", *arguments], cwd=cwd, env=env, stdin=stdin)


def called(
    main: Callable[[], object],
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess:
    """Calls the main function of a program in a folder, with its name and its arguments."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* without effect: TensorFlow has computed")
        patch.setattr(sys, "argv", list(command))
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        for key in os.environ if env is not None else ():
            if key not in env:
                patch.delenv(key)
        for key, value in (env or {}).items():
            patch.setenv(key, value)
        os.chdir(cwd)
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                main()
        except SystemExit as error:
            code = error.code or 0
        finally:
            os.chdir(before)
    if isinstance(code, str):  # as the interpreter does at the end of a process
        stderr.write(f"{code}\n")
        code = 1
    return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())


def invoke(*arguments: str) -> str:
    """Runs a command in this process, raises its exception, and returns its output."""
    done = CliRunner().invoke(cli.nas_tf, arguments)
    if done.exception is not None:
        raise done.exception
    return done.output


def parsed(*arguments: str) -> click.Context:
    """Returns the context of a command, whose arguments were read and which was not run."""
    command, rest = cli.nas_tf, list(arguments)
    context = click.Context(command, info_name="nas-tf")
    while True:
        name, command, rest = command.resolve_command(context, rest)
        if not isinstance(command, click.Group):
            return command.make_context(name, rest, parent=context)
        context = click.Context(command, info_name=name, parent=context)


def nas_tf_process(*arguments: str, cwd: Path, **options: object) -> subprocess.CompletedProcess:
    """Runs a command in a separate process."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, **options
    )
