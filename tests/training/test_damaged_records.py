"""A damaged prepared record is reported wherever a training or a score reads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas_tf import networks
from nas_tf.data.examples import Examples
from nas_tf.errors import DataError
from nas_tf.training.scoring import Split
from nas_tf.training.split_cache import cache_split
from tests.training.evaluated import evaluator, experiment
from tests.training.test_full import training

MESSAGE = "split train, is damaged: hash mismatch; run nas-tf data prepare shapes --again"


class Damaged:
    """Records of which none can be read."""

    def __len__(self) -> int:
        return 600

    def __getitem__(self, index: int) -> bytes:
        raise RuntimeError("hash mismatch")


@pytest.fixture
def damage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Examples], None]:
    """Damages the records of examples that are not in memory."""

    def harm(examples: Examples) -> None:
        monkeypatch.setattr(examples, "_decoded", None)
        monkeypatch.setattr(examples, "_records", Damaged())

    return harm


@pytest.mark.slow
def test_in_a_full_training(tmp_path: Path, damage: Callable) -> None:
    full_training = training(tmp_path)
    damage(full_training._data[0].examples)
    with pytest.raises(DataError, match=MESSAGE):
        next(full_training.epochs())


@pytest.mark.slow
def test_in_stage_two_and_where_it_is_scored(damage: Callable) -> None:
    shared = evaluator(experiment()).shared
    damage(shared.examples)
    for batches in (shared.stage_two_batches(1, 0), shared.validation_images()):
        with pytest.raises(DataError, match=MESSAGE):
            next(batches)


@pytest.mark.slow
def test_in_a_score_and_where_features_are_cached(tmp_path: Path, damage: Callable) -> None:
    shared: Any = evaluator(experiment()).shared
    damage(shared.examples)
    with pytest.raises(DataError, match=MESSAGE):
        next(Split(shared.examples, shared.reward_view).batches(shared.task, 4))
    encoder = networks.encoder(input_size=shared.reward_view.crop, alpha=0.35)
    with pytest.raises(DataError, match=MESSAGE):
        cache_split(shared.examples, shared.task, shared.reward_view, encoder, root=tmp_path)
