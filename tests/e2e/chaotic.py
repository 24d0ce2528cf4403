"""The functions that forked processes run: an oracle's search, and ``nas-tf search``, at no cost.

They are complete except for the objective. The process that all are forked from imports this
module once.
"""

import itertools
import os
import signal
import sys
from pathlib import Path

import tuner_oracles.agent
import tuner_oracles.random_search  # noqa: F401
from nas_tf.__main__ import main
from nas_tf.jobs import search
from tests.e2e import cheap_search
from tests.search.quick import QuickModel
from tuner_oracles.ledger import LedgerError

SECONDS = "CHAOS_SECONDS"


def project(folder: Path, trials: int, oracle: str) -> None:
    """Runs a search as a user's script does: the oracle's refusal is printed as it is."""
    more = {"heartbeat_timeout": 2, "max_deaths_per_trial": 50}
    try:
        cheap_search.search(folder, trials, float(os.environ[SECONDS]), oracle=oracle, **more)
    except LedgerError as error:
        sys.exit(str(error))


def command(folder: Path, *arguments: str) -> None:
    """Runs the command line in a folder."""
    os.chdir(folder)
    sys.argv = ["nas-tf", *arguments]
    main()


def killed(folder: Path, at: int, *arguments: str) -> None:
    """Runs the command line in a folder, killed before it touches files there the n-th time."""
    touched = itertools.count(1)

    def watch(event: str, details: tuple) -> None:
        if event not in ("open", "os.mkdir", "os.rename", "os.remove"):
            return
        path = "" if isinstance(details[0], int) else os.path.abspath(os.fsdecode(details[0]))
        if path.startswith(f"{folder}{os.sep}") and next(touched) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    command(folder, *arguments)


def script(*arguments: object) -> None:
    """Runs the cheap search's own command line."""
    sys.argv = ["cheap_search.py", *map(str, arguments)]
    cheap_search.main()


def run(folder: Path, trials: int, oracle: str, config: str) -> None:
    """Runs the command with candidates whose score follows from their genotype."""
    QuickModel.seconds = float(os.environ[SECONDS])
    search.SearchHyperModel = QuickModel
    settings = ("search.tensorboard=false", f"search.oracle={oracle}", f"search.trials={trials}")
    out = folder / "search"
    sys.argv = ["nas-tf", "search", config, *settings, "--out", str(out), "--resume"]
    main()
