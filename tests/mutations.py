"""Applies mutations of the code one by one, in a copy, and says which ones no test finds.

    python -m tests.mutations [NAME ...]

A mutation survives if the tests of its room pass under it, as they must without one. The exit
status is the number of survivors; `make mutations` runs all.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutation_list import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]


def survives(mutation: Mutation, copy: Path) -> bool:
    """Returns whether the tests of a mutation's room pass under it."""
    path = copy / mutation.path
    before = path.read_text(encoding="utf-8")
    if before.count(mutation.old) != 1:
        sys.exit(f"{mutation.name}: {mutation.path} has not one place of {mutation.old!r}")
    path.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        return passes(mutation.tests, copy, mutation.name)
    finally:
        path.write_text(before, encoding="utf-8")


def passes(tests: Sequence[str], copy: Path, name: str) -> bool:
    """Returns whether tests pass in the copy; ends the program if they can't be run."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
    )
    if found.returncode not in (0, 1):
        sys.exit(f"{name}: {found.stdout[-500:]}{found.stderr[-500:]}")
    return found.returncode == 0


def left_out(folder: str, names: Sequence[str]) -> set[str]:
    """Returns the names that the copy of a folder lacks: environments, results, caches."""
    at_the_top = {"runs", "out", ".git"} if Path(folder) == ROOT else set()
    return {
        name
        for name in names
        if name in at_the_top or name == "__pycache__" or name.startswith(".venv")
    }


def report(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Prints a line per mutation and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", help="Only mutations whose names contain one of these."
    )
    names = parser.parse_args().names
    chosen = [item for item in MUTATIONS if not names or any(name in item.name for name in names)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=left_out)
        for tests in {item.tests: None for item in chosen}:
            if not passes(tests, copy, "without a mutation"):
                sys.exit(f"{', '.join(tests)} fails without a mutation")
        survivors = []
        for number, item in enumerate(chosen, 1):
            is_alive = survives(item, copy)
            report(f"{number}/{len(chosen)} {'SURVIVES' if is_alive else 'found'}: {item.name}")
            survivors += [item.name] * is_alive
    report(
        f"{len(survivors)} of {len(chosen)} mutations survive: {', '.join(survivors) or 'none'}"
    )
    sys.exit(len(survivors))


if __name__ == "__main__":
    main()
