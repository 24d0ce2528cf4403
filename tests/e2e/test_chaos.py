"""Fifty searches under random harm; ``CHAOS_SEED=7`` repeats one of them."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.e2e import chaos

ROUNDS = 50
SEEDS = [int(os.environ["CHAOS_SEED"])] if "CHAOS_SEED" in os.environ else range(ROUNDS)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, str, str], list[tuple]]:
    """Returns the trials of an oracle on a configuration in an undisturbed search."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return cache(lambda *names: chaos.undisturbed(*names, folder / "-".join(names)))


@pytest.mark.slow
@pytest.mark.sampled(9)  # both kinds, all oracles and configurations, a cluster, and all harms
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_counts_twice(
    undisturbed: Callable[[str, str, str], list[tuple]], tmp_path: Path, seed: int
) -> None:
    plan = chaos.plan(seed)
    item = chaos.Round(plan, tmp_path / "round")
    try:
        item.live()
        item.check(undisturbed(plan.kind, plan.oracle, plan.config))
    finally:
        item.close()
