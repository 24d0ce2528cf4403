"""Shipped configurations: what they hold, and that each drives the real code."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas_tf import config, spaces
from nas_tf.config.schema import Config, Schedule
from nas_tf.data.registry import dataset_info
from nas_tf.errors import ConfigError, DataError
from nas_tf.genotype import Genotype
from nas_tf.training import from_config, gate, preflight
from nas_tf.training.full_run import FullRun
from nas_tf.training.optimizers import learning_rate_factor
from nas_tf.training.shared_data import SharedData
from nas_tf.training.two_stage import TwoStage
from tests.config import tiny
from tests.config.needed import PYRAMID, needed
from tests.prepared import prepare_few

ROOT = Path(__file__).parents[2]
FILES = {path.stem: path for path in sorted((ROOT / "configs").glob("*.yaml"))}
GENOTYPES = {"auxcell": "arch1", "template": "wacv-arch1", "dpc": "dpc-top1"}
GENOTYPES["fcos"] = PYRAMID
TARGETS = {
    **{"segmentation": "label", "depth": "depth", "pose": "keypoints", "detection": "boxes"},
    "restoration": "clean",
}


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prepared data of the tests' own, without any yet."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("shipped")
        patch.setenv("NAS_TF_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def written(data: Path) -> None:
    """Small data sets in the formats of the public ones."""
    tiny.write(data)
    prepare_few("shapes_boxes")


def miniature(name: str) -> Config:
    """A shipped configuration at a size for tests, on data in the format of its own target."""
    shipped = config.load(FILES[name], needed(name))
    small = [
        *needed(name),
        *("network.width=8", "network.weights=null", "precision=float32"),
        *("stage_one.epochs=1", "stage_one.batch=4", "stage_one.views=1"),
        *("stage_one.crop=[64, 64]", "evaluation.batch=2"),
    ]
    if spaces.get(shipped.space).taps:
        small += ["network.alpha=0.35"]
    if shipped.stage_two is not None:
        small += ["stage_two.epochs=1", "stage_two.batch=4"]
    for number in range(len(shipped.full_training.stages)):
        stage = f"full_training.stages.{number}"
        small += [f"{stage}.epochs=1", f"{stage}.batch=4", f"{stage}.crop=[64, 64]"]
    if shipped.data.target == "depth":
        small += ["data.name=nyuv2_depth", "data.val_split=test"]
    elif shipped.data.target == "keypoints":
        small += ["data.name=mpii_pose"]
    elif dataset_info(shipped.data.name).targets == ("boxes",):
        small += ["data.name=shapes_boxes", "network.width=32", "stage_one.batch=100"]
    elif shipped.degradation is not None:
        small += ["data.name=shapes_clean", "network.width=2", "stage_one.batch=100"]
    elif shipped.data.name != "voc2012_seg":
        small += ["data.name=cityscapes_seg", "data.train_split=train", "task.background=null"]
        small += [
            f"full_training.stages.{n}.split=null"
            for n in range(len(shipped.full_training.stages))
        ]
    return config.load(FILES[name], small)


def genotype_of(shipped: Config) -> Genotype:
    space = spaces.get(shipped.space)
    if space.name not in GENOTYPES or space.baseline is not None:
        return space.sample(random.Random(1))
    return spaces.resolve(GENOTYPES[space.name], space)


@pytest.mark.parametrize("name", FILES)
def test_task_and_space_agree_and_every_network_can_be_built(name: str) -> None:
    shipped = config.load(FILES[name], needed(name))
    task = from_config.task_for(shipped)
    assert TARGETS[task.name] == task.target.key
    splits = dataset_info(shipped.data.name).splits
    assert {shipped.data.train_split, shipped.data.val_split} <= set(splits)
    genotype = genotype_of(shipped)
    for phase, stages in (
        ("search", ("stage_one", "stage_two", "reward")),
        ("published", ("full", "evaluate")),
    ):
        build = from_config.blueprint_builder(shipped, genotype, phase)
        for stage in stages:
            blueprint = build(from_config.view_of(shipped, stage).crop)
            assert blueprint.output().channels == task.channels


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", FILES)
def test_a_miniature_of_each_runs(name: str, written: None, tmp_path: Path) -> None:
    small = miniature(name)
    genotype = genotype_of(small)
    if small.data.target in ("depth", "keypoints"):
        finished = FullRun(small, genotype, tmp_path).run()
        assert all(path.exists() for path in finished.files)
        return
    preflight.before_training(small)
    evaluator = TwoStage(small, SharedData(small))
    result = evaluator.evaluate(genotype, gate.make(small.gate, 1))
    assert (result.failed, result.stopped) == (False, None)
    assert len(result.stages) == (1 if small.stage_two is None else 2)


@pytest.mark.parametrize("name", ["cityscapes_dpc", "nyu_depth", "mpii_pose", "voc_auxcell"])
def test_data_that_is_not_here_is_refused_with_the_way_to_get_it(
    name: str, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path))
    shipped = config.load(FILES[name])
    own = shipped.data.name
    with pytest.raises(DataError) as error:
        preflight.before_training(shipped)
    line = f"{own} is not prepared in {tmp_path / 'data'}: run nas-tf data prepare {own} --source"
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)


def test_a_search_on_mpii_is_refused_as_nothing_could_score_it() -> None:
    with pytest.raises(ConfigError) as error:
        preflight.before_search(config.load(FILES["mpii_pose"]))
    assert str(error.value) == (
        "data.train_split is train, and mpii_pose has no head_size there that a search could "
        "score pose by: expected another data set, and nas-tf finetune to go over to this one"
    )


def test_dense_prediction_cells_are_searched_at_the_size_they_are_trained_at() -> None:
    shipped = config.load(FILES["cityscapes_dpc"])
    seen = {
        stage: from_config.view_of(shipped, stage) for stage in ("stage_one", "reward", "full")
    }
    assert seen["stage_one"] == seen["full"]
    assert (seen["full"].crop, seen["full"].scale) == ((769, 769), (0.5, 2.0))
    assert seen["reward"].crop == (1024, 2048)
    meta_train = 2975 - round(2975 * shipped.data.meta_val_share)
    stage, full = shipped.stage_one, shipped.full_training.stages[0]
    assert stage.epochs * (meta_train // stage.batch) == pytest.approx(30_000, rel=0.005)
    assert full.epochs * (2975 // full.batch) == pytest.approx(90_000, rel=0.005)


def test_the_large_setting_of_dense_prediction_cells_is_built() -> None:
    large = ["network.encoder=xception", "network.decoder=deeplabv3plus"]
    shipped, cell = config.load(FILES["cityscapes_dpc"], large), spaces.resolve("dpc-top1")
    blueprint = from_config.blueprint_builder(shipped, cell, "published")((769, 769))
    first = blueprint.by_name["branch1.sep3x3_1x6.depthwise"]
    assert blueprint.by_name[first.inputs[0]].channels == 2048
    assert blueprint.output().stride == 4


def test_depth_stops_at_three_quarters_of_its_poly_schedule() -> None:
    (stage,) = config.load(FILES["nyu_depth"]).full_training.stages
    for epoch in (0, 100, 299):
        wanted = (1 - epoch / 400) ** 0.9
        assert learning_rate_factor(stage.schedule, epoch, stage.epochs) == pytest.approx(
            wanted, rel=1e-5
        )
    assert learning_rate_factor(Schedule(kind="poly"), 100, 400) == pytest.approx(0.75**0.9)


def test_pose_falls_at_epochs_90_and_120_of_140() -> None:
    (stage,) = config.load(FILES["mpii_pose"]).full_training.stages
    each = 22246 // stage.batch
    rates = [
        learning_rate_factor(stage.schedule, step, stage.epochs * each)
        for step in range(140 * each)
    ]
    falls = [n for n in range(1, len(rates)) if rates[n] < rates[n - 1]]
    assert falls == [90 * each, 120 * each]
    assert rates[-1] == pytest.approx(0.01)


def test_searches_are_as_long_as_the_papers() -> None:
    trials = {"cityscapes_template": 2000, "cityscapes_dpc": 28_000, "voc_auxcell": 20_000}
    assert {name: config.load(FILES[name]).search.trials for name in trials} == trials


@pytest.mark.parametrize("name", ["voc_auxcell", "shapes_auxcell", "quickstart"])
def test_the_background_is_left_out_of_the_reward(name: str) -> None:
    task = from_config.task_for(config.load(FILES[name]))
    assert [task.names[item] for item in task.left_out] == ["background"]
