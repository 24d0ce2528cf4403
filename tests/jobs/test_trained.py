"""The trial of a run whose network is loaded: by its name, or by its rank."""

import shlex
from pathlib import Path

import pytest

from nas_tf.errors import ConfigError
from nas_tf.jobs import trained
from nas_tf.runs import Run, saved_arrays
from tests.runs.made import made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Returns a run that has the weights of its best two trials."""
    run = made(tmp_path / "run", trials=6)
    for record in run.best(2):
        path = saved_arrays.arrays_path(run.folder, record.trial)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return run


def test_a_rank_is_that_of_the_reward(run: Run) -> None:
    found = [trained._saved_trial(run, None, rank) for rank in (1, 2)]
    assert found == run.best(2)


def test_a_name_may_leave_out_zeros(run: Run) -> None:
    second = run.best(2)[1]
    for name in (second.trial, second.trial.lstrip("0") or "0", f"00{second.trial}"):
        assert trained._saved_trial(run, name, 1) == second


@pytest.mark.parametrize(
    ("oracle", "overrides"),
    [("gradient", []), ("RandomSearchOracle", ["search.supernet=runs/net"])],
)
def test_networks_with_the_weights_of_a_supernet_are_to_be_trained_first(
    tmp_path: Path, oracle: str, overrides: list[str]
) -> None:
    run = made(tmp_path / "a run", trials=6, oracle=oracle, overrides=overrides)
    best, second = run.best(2)
    for chosen, options in ((best, {}), (second, {"rank": 2}), (second, {"trial": second.trial})):
        with pytest.raises(ConfigError, match="expected a training of its genotype: ") as caught:
            trained.find(str(run.folder), **options)
        text = str(caught.value)
        assert f"none of trial {chosen.trial} alone" in text
        _, _, command = text.partition("genotype: ")
        config = str(run.folder / "config.yaml")
        assert shlex.split(command) == ["nas-tf", "train", chosen.genotype, "--config", config]
    with pytest.raises(ConfigError, match=r"has no trial x, expected one of: 0"):
        trained.find(str(run.folder), trial="x")


def test_what_has_no_weights_is_refused_with_what_there_is(run: Run) -> None:
    names = ", ".join(sorted(record.trial for record in run.best(2)))
    third = run.best(3)[2].trial
    for trial, rank, wanted in ((None, 3, "rank 3"), (third, 1, f"trial {third}")):
        with pytest.raises(ConfigError, match=f"has no weights of {wanted}, .* one of: {names}$"):
            trained._saved_trial(run, trial, rank)
    with pytest.raises(ConfigError, match=r"is a genotype, expected no rank$"):
        trained.find("arch0", config_name="quickstart", rank=2)
