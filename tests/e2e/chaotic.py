"""What forked processes run: an oracle's search, and ``nas-tf search``, at no cost.

They are whole but for the objective. Imported once, by the process that all are forked from.
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
    """A script as a person writes it: the oracle's refusal is told in its own words."""
    more = {"heartbeat_timeout": 2, "max_deaths_per_trial": 50}
    try:
        cheap_search.search(folder, trials, float(os.environ[SECONDS]), oracle=oracle, **more)
    except LedgerError as error:
        sys.exit(str(error))


def command(folder: Path, *arguments: str) -> None:
    """The command line, in a folder."""
    os.chdir(folder)
    sys.argv = ["nas-tf", *arguments]
    main()


def script(*arguments: object) -> None:
    """The cheap search's own command line."""
    sys.argv = ["cheap_search.py", *map(str, arguments)]
    cheap_search.main()


def run(folder: Path, trials: int, oracle: str) -> None:
    """The command, its candidates worth what their genotype says."""
    QuickModel.seconds = float(os.environ[SECONDS])
    search_run.SearchHyperModel = QuickModel
    settings = ("search.tensorboard=false", f"search.oracle={oracle}", f"search.trials={trials}")
    out = folder / "search"
    sys.argv = ["nas-tf", "search", "shapes_auxcell", *settings, "--out", str(out), "--resume"]
    main()
