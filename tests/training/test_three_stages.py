"""The three stages of CVPR 2019 on small files of COCO, SBD and VOC, from the shipped recipe."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nas_tf import config, spaces
from nas_tf.config.schema import Config
from nas_tf.data.examples import JoinedExamples
from nas_tf.errors import ConfigError, DataError
from nas_tf.training import preflight
from nas_tf.training.full_run import FullRun
from nas_tf.training.history import History
from tests.config import tiny
from tests.training.evaluated import SIMPLE

STAGE = "full_training.stages"
SMALL = [
    *("space={name: auxcell, blocks: 1, branches: 1}", "network.width=8", "network.alpha=0.35"),
    *("network.weights=null", "precision=float32", "evaluation.batch=2"),
    *(f"{STAGE}.{number}.batch=5" for number in range(3)),
    *(f"{STAGE}.{number}.crop=[64, 64]" for number in range(3)),
    *(f"{STAGE}.0.epochs=1", f"{STAGE}.1.epochs=1", f"{STAGE}.2.epochs=2"),
]
STEPS = [(tiny.TRAIN + tiny.SBD + tiny.COCO_TRAIN) // 5, (tiny.TRAIN + tiny.SBD) // 5, 4]


class Interrupted(BaseException):
    """Simulates the end of the process, which the training must not catch."""


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """COCO, SBD and VOC of a dozen pictures, prepared."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("three")
        patch.setenv("NAS_TF_CACHE", str(folder / "cache"))
        tiny.write(folder, "voc2012_seg", "coco_voc_seg")
        yield


def load(*overrides: str) -> Config:
    return config.load("voc_auxcell", [*SMALL, *overrides])


def run_until(run: FullRun, step: int) -> None:
    def stop(done: int, loss: float) -> None:
        if done == step:
            run.save()
            raise Interrupted

    with pytest.raises(Interrupted):
        run.run(stop)


@pytest.mark.slow
def test_the_stages_run_and_are_recorded_and_an_interrupted_run_ends_the_same(
    tmp_path: Path,
) -> None:
    undisturbed = FullRun(load(), SIMPLE, tmp_path / "undisturbed")
    result = undisturbed.run().result
    rows = History(tmp_path / "undisturbed" / "history.csv").rows
    assert [int(row["stage"]) for row in rows] == [1, 2, 3, 3]
    assert [int(row["step"]) for row in rows] == [STEPS[0], sum(STEPS[:2]), 8, sum(STEPS)]
    assert [float(row["rate_encoder"]) for row in rows] == [1e-3, 5e-4, 2.5e-4, 1.25e-4]
    assert [float(row["rate_decoder"]) for row in rows] == [3e-3, 1.5e-3, 7.5e-4, 3.75e-4]

    for step in (2, sum(STEPS) - 1):
        run_until(FullRun(load(), SIMPLE, tmp_path / "interrupted"), step)
    resumed = FullRun(load(), SIMPLE, tmp_path / "interrupted")
    assert resumed.resumed
    assert resumed.run().result == result
    for part, vector in resumed.training.state.trainable.items():
        np.testing.assert_array_equal(vector, undisturbed.training.state.trainable[part])
    again = History(tmp_path / "interrupted" / "history.csv").rows
    assert [row["loss"] for row in again] == [row["loss"] for row in rows]


def test_each_stage_has_its_pictures_and_auxiliary_weights(tmp_path: Path) -> None:
    run = FullRun(load(), SIMPLE, tmp_path)
    counts = [len(part.examples) for part in run._data]
    assert counts == [tiny.TRAIN + tiny.SBD + tiny.COCO_TRAIN, tiny.TRAIN + tiny.SBD, tiny.TRAIN]
    assert isinstance(run._data[0].examples, JoinedExamples)
    weights = [
        {by: recipe.auxiliary_weight for by, recipe in run.training._recipes(stage).items()}
        for stage in run.config.full_training.stages
    ]
    assert [each["train"] for each in weights] == [0.3, 0.25, 0.2]
    assert weights[2]["frozen"] == 0.15


def test_without_coco_the_first_stage_trains_on_the_other_two() -> None:
    preflight.before_training(load(f"{STAGE}.0.joined=[]"))
    with pytest.raises(DataError) as error:
        preflight.before_training(load(f"{STAGE}.0.joined=[]", f"{STAGE}.0.batch=13"))
    assert str(error.value) == (
        f"{STAGE}.0.batch is 13 and trainaug of voc2012_seg has 12 examples, expected 1 to 12"
    )


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            [f"{STAGE}.0.batch=21"],
            f"{STAGE}.0.batch is 21 and trainaug of voc2012_seg with train of coco_voc_seg has 20 "
            "examples, expected 1 to 20",
        ),
        (
            [f"{STAGE}.0.joined.0.split=val"],
            "split 'val' of coco_voc_seg is not prepared: train are accepted; add its files and "
            "run nas-tf data prepare coco_voc_seg --again",
        ),
        (
            [f"{STAGE}.0.joined.0.split=trian"],
            f"{STAGE}.0.joined.0.split is trian, coco_voc_seg has train, val, expected one of "
            "them, did you mean train?",
        ),
        (
            [f"{STAGE}.0.joined=[{{data: coco_voc_seg}}, {{data: voc2012_seg, split: val}}]"],
            f"data.val_split is val and {STAGE}.0.joined.1.split is val, which has pictures of "
            "it, expected another split for scores, such as data.val_split=test",
        ),
        (
            [f"{STAGE}.1.joined=[{{data: camvid}}]"],
            f"{STAGE}.1.joined.0.data is camvid, which has 11 outputs of segmentation, and "
            "voc2012_seg has 21 outputs of segmentation, expected the same for all stages",
        ),
        (
            [f"{STAGE}.1.joined=[{{data: coco_vox_seg}}]"],
            "dataset 'coco_vox_seg' is unknown, expected shapes, ",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused_before_anything_is_written(
    overrides: list[str], line: str, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, DataError)) as error:
        FullRun(load(*overrides), spaces.resolve("arch1"), tmp_path / "run")
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
