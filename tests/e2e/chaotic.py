"""The functions that forked processes run: an oracle's search, and ``nas-tf search``, at no cost.

They are complete except for the objective. The process that all are forked from imports this
module once.
"""

import os
import sys
from pathlib import Path

import tuner_oracles.agent
import tuner_oracles.random_search  # noqa: F401
from nas_tf.cli import main, search, search_run  # noqa: F401
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


def script(*arguments: object) -> None:
    """Runs the cheap search's own command line."""
    sys.argv = ["cheap_search.py", *map(str, arguments)]
    cheap_search.main()


def run(folder: Path, trials: int, oracle: str) -> None:
    """Runs the command with candidates whose score follows from their genotype."""
    QuickModel.seconds = float(os.environ[SECONDS])
    search_run.SearchHyperModel = QuickModel
    settings = ("search.tensorboard=false", f"search.oracle={oracle}", f"search.trials={trials}")
    out = folder / "search"
    sys.argv = ["nas-tf", "search", "shapes_auxcell", *settings, "--out", str(out), "--resume"]
    main()
