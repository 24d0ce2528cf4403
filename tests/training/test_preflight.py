"""A configuration that its data set cannot meet is refused before anything is written."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from nas_tf import config, spaces
from nas_tf.config import resumed
from nas_tf.config.schema import Config, Resize, View
from nas_tf.errors import NasTfError
from nas_tf.input_geometry import InputGeometry
from nas_tf.search import SearchHyperModel, TwoStageTuner, study
from nas_tf.search import preflight as search_preflight
from nas_tf.search.hypermodel import OBJECTIVE
from nas_tf.training import from_config, own_data, preflight
from nas_tf.training.full_run import FullRun
from nas_tf.training.shared_data import SharedData
from tuner_oracles import RandomOracle

SMALL = """\
space: auxcell
data: {name: shapes}
network: {width: 8, alpha: 0.35, weights: null}
stage_one: {epochs: 1, views: 1, batch: 64, crop: [64, 64]}
stage_two: {batch: 64}
full_training: {stages: [{epochs: 1, batch: 100, crop: [64, 64]}]}
"""
CLASSES = [f"class {n}" for n in range(9)]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Config]:
    """Returns a function that loads the small configuration with overrides."""
    (tmp_path / "small.yaml").write_text(SMALL)
    return lambda *overrides: config.load(tmp_path / "small.yaml", overrides)


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., str]:
    """Returns a function that writes a folder of six images and returns its name."""

    def write(**settings: object) -> str:
        rng = np.random.default_rng(5)
        for split, count in (("train", 4), ("val", 2)):
            for number in range(count):
                for kind, shape in (("images", (70, 80, 3)), ("labels", (70, 80))):
                    path = tmp_path / "own" / kind / split / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(rng.integers(0, 2, shape).astype(np.uint8)).save(path)
        (tmp_path / "own" / "dataset.yaml").write_text(
            yaml.safe_dump({"classes": CLASSES, **settings})
        )
        return f"folder:{tmp_path / 'own'}"

    return write


def refused(check: Callable[[Config], None], configuration: Config) -> str:
    with pytest.raises(NasTfError) as error:
        check(configuration)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["data.target=depths"],
            "data.target is depths, shapes has label, depth, keypoints, expected one of them, "
            "did you mean depth?",
        ),
        (
            ["data.train_split=trian"],
            "data.train_split is trian, shapes has train, val, test, expected one of them, "
            "did you mean train?",
        ),
        (
            ["stage_one.batch=541"],
            "stage_one.batch is 541 and meta-train of shapes has 540 examples, expected 1 to 540",
        ),
        (
            ["stage_two.batch=541"],
            "stage_two.batch is 541 and meta-train of shapes has 540 examples, expected 1 to 540",
        ),
        (
            ["stage_one.image_share=0.1"],
            "stage_one.batch is 64 and the share 0.1 of meta-train of shapes has 54 examples, "
            "expected 1 to 54",
        ),
        (
            ["stage_one.schedule.warmup_steps=8"],
            "stage_one.schedule.warmup_steps is 8 and the stage has 8 steps, expected 0 to 7",
        ),
        (
            ["data.meta_val_share=1e-4"],
            "600 examples cannot be split with a fraction of 0.0001 held out: "
            "at least one example is needed on each side, see data.meta_val_share",
        ),
        (
            ["data.name=shapes_boxes"],
            "space is auxcell, which has no towers that find the boxes of shapes_boxes, expected "
            "fcos, as in bccd_fcos_fpn with data.name=shapes_boxes",
        ),
        (
            ["space={name: fcos, search: fpn}", "network.sep_repeats=null"],
            "space is fcos, whose towers find boxes, and the target of shapes is label, expected "
            "another space or data set",
        ),
        (
            ["data.name=shapes_clean", "degradation.noise.sigma=25"],
            "space is auxcell, whose networks predict at a lower resolution, and the pictures of "
            "shapes_clean are to be restored, expected restoration, as in shapes_denoise with "
            "data.name=shapes_clean",
        ),
        (
            ["data.name=shape"],
            "dataset 'shape' is unknown, expected shapes, camvid, voc2012_seg, coco_voc_seg, "
            "cityscapes_seg, person_part, nyuv2_depth, coco_keypoints, mpii_pose, shapes_boxes, "
            "bccd, voc2007_det, voc2012_det, coco_det, shapes_clean, bsd500, set12, bsd68 or "
            "folder:DIR, did you mean shapes?",
        ),
    ],
)
def test_what_no_search_can_do(load, tmp_path: Path, overrides: list[str], line: str) -> None:
    configuration = load(*overrides)
    assert refused(preflight.before_search, configuration) == line
    assert refused(lambda item: SharedData(item, root=tmp_path / "cache"), configuration) == line
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["data.val_split=valid"],
            "data.val_split is valid, shapes has train, val, test, expected one of them, "
            "did you mean val?",
        ),
        (
            ["data.val_split=train"],
            "data.val_split is train and data.train_split is train, which has pictures of it, "
            "expected another split for scores, such as data.val_split=test",
        ),
        (
            ["data.train_split=train+val"],
            "data.val_split is val and data.train_split is train+val, which has pictures of it, "
            "expected another split for scores, such as data.val_split=test",
        ),
        (
            ["full_training.stages.0.split=train+test", "data.val_split=val+test"],
            "data.val_split is val+test and full_training.stages.0.split is train+test, which "
            "has pictures of it, expected another split for scores, such as data.val_split=test",
        ),
        (
            ["data.train_split=train+train"],
            "data.train_split is train+train, expected each part once, such as train+val",
        ),
        (
            ["data.train_split=train+vall"],
            "data.train_split is vall, shapes has train, val, test, expected one of them, "
            "did you mean val?",
        ),
        (
            ["full_training.stages.0.split=vall"],
            "full_training.stages.0.split is vall, shapes has train, val, test, expected one of "
            "them, did you mean val?",
        ),
        (
            ["full_training.stages.0.data=camvid"],
            "full_training.stages.0.data is camvid, which has 11 outputs of segmentation, and "
            "shapes has 9 outputs of segmentation, expected the same for all stages",
        ),
        (
            ["full_training.stages.0.data=nyuv2_depth"],
            "full_training.stages.0.data is nyuv2_depth, which has targets depth, and shapes has "
            "9 outputs of segmentation, expected the same for all stages",
        ),
        (
            ["full_training.stages=[{epochs: 1}, {epochs: 1, batch: 601}]"],
            "full_training.stages.1.batch is 601 and train of shapes has 600 examples, "
            "expected 1 to 600",
        ),
        (
            ["full_training.stages.0.schedule.warmup_steps=6"],
            "full_training.stages.0.schedule.warmup_steps is 6 and the stage has 6 steps, "
            "expected 0 to 5",
        ),
        (
            ["full_training.stages.0.crop=null", "evaluation.scales=[1, 0.2]"],
            "evaluation.scales has 0.2, which makes 128x128 smaller than the encoder of space "
            "auxcell takes, expected none below 0.25",
        ),
    ],
)
def test_what_no_full_training_can_do(
    load, tmp_path: Path, overrides: list[str], line: str
) -> None:
    configuration = load(*overrides)
    assert refused(preflight.before_training, configuration) == line
    arch1 = spaces.resolve("arch1")
    assert refused(lambda item: FullRun(item, arch1, tmp_path / "run"), configuration) == line
    assert not (tmp_path / "run").exists()


def test_absent_imagenet_weights_are_refused_before_data_are_opened(
    load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("data were opened")

    monkeypatch.setattr(preflight, "count", opened)
    monkeypatch.setattr("nas_tf.networks.weights.local_imagenet_file", lambda alpha: None)
    monkeypatch.setattr("nas_tf.networks.encoders.mobilenet_v2._RELEASE", "http://127.0.0.1:9/")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    configuration = load("network.weights=imagenet")
    arch1 = spaces.resolve("arch1")
    for check in (
        search_preflight.check,
        lambda item: SharedData(item, root=tmp_path / "cache"),
        lambda item: FullRun(item, arch1, tmp_path / "run"),
    ):
        line = refused(check, configuration)
        assert line.startswith("ImageNet weights are not on this machine")
        assert "network.weights=drawn with network.encoder=mobilenet_v2" in line
        assert "network.weights=null" in line
    assert not (tmp_path / "run").exists()


def test_what_is_possible_passes(load, own) -> None:
    preflight.before_search(load())
    preflight.before_training(load())
    stage = f"{{epochs: 1, batch: 2, crop: [64, 64], data: '{own()}'}}"
    preflight.before_training(load(f"full_training.stages=[{stage}, {{epochs: 1}}]"))


def test_the_crop_of_a_folder_follows_from_its_pictures(load, own) -> None:
    name = own()
    open_crops = ["stage_one.crop=null", "full_training.stages=[{epochs: 1, batch: 2}]"]
    configuration = load(
        f"data.name={name}", *open_crops, "stage_one.batch=16", "stage_two.batch=16"
    )
    line = f"stage_one.crop and data.view.crop are null and {name} has none"
    assert refused(preflight.before_search, configuration).startswith(line)
    completed = own_data.completed(configuration)
    view = completed.data.view
    assert (view.resize, view.input, view.crop) == (Resize(longer=80), (96, 96), (96, 96))
    assert (completed.stage_one.batch, completed.stage_two.batch) == (4, 4)
    assert own_data.completed(completed) == completed
    preflight.before_training(completed)


def test_threads_are_set_before_the_sizes_of_pictures_are_computed(
    load, own, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Any] = []
    sizes = own_data._containing
    monkeypatch.setattr(own_data.hardware, "use_threads", called.append)
    monkeypatch.setattr(own_data, "_containing", lambda *of: called.append("size") or sizes(*of))
    stages = "full_training.stages=[{epochs: 1, batch: 2}]"
    own_data.completed(load(f"data.name={own()}", "stage_one.crop=null", stages, "threads=1"))
    assert called == [1, "size"]


def test_the_search_checks_a_folder_without_a_crop(load, own) -> None:
    stages = "full_training.stages=[{epochs: 1, batch: 2}]"
    few = ("stage_one.batch=2", "stage_two.batch=2", "data.meta_val_share=0.25")
    search_preflight.check(load(f"data.name={own()}", "stage_one.crop=null", stages, *few))


def test_a_search_of_a_folder_is_resumed_as_it_was_started(load, own, tmp_path: Path) -> None:
    given = load(f"data.name={own()}", "stage_one.crop=null", "full_training.stages=[{epochs: 1}]")
    completed = own_data.completed(given)
    assert completed.gradient.batch == 2
    (tmp_path / "config.yaml").write_text(config.dump(completed))
    assert own_data.completed(resumed.check(tmp_path, given)) == completed


@pytest.mark.parametrize("first", [True, False])
def test_crops_of_full_training_change_no_search_of_a_folder(
    load, own, tmp_path: Path, first: bool
) -> None:
    given = (f"data.name={own()}", "stage_one.crop=null")
    stages = [
        "full_training.stages=[{epochs: 1}]",
        "full_training.stages=[{epochs: 1, crop: [64, 64]}]",
    ]
    started, now = (load(*given, each) for each in (stages if first else stages[::-1]))
    earlier = own_data.completed(started)
    assert earlier.data.view.crop == (96, 96)
    (tmp_path / "config.yaml").write_text(config.dump(earlier))
    assert own_data.completed(resumed.check(tmp_path, now)).data.view == earlier.data.view
    in_full = own_data.completed(load(*given, stages[1]), in_full=True)
    assert in_full.data.view == View()


def test_settings_of_a_study_of_a_folder_have_its_view(load, own) -> None:
    given = [f"data.name={own()}", "stage_one.crop=null", "full_training.stages=[{epochs: 1}]"]
    tried = [
        ["stage_one.crop=[64, 64]"],
        ["stage_one.image_share=0.5"],
        ["data.view.crop=[32,32]"],
    ]
    planned = study.plan(lambda more: load(*given, "stage_one.batch=16", *more), tried, 2)
    crop, half, own_view = (planned.configs[" ".join(overrides)] for overrides in tried)
    base = own_data.completed(load(*given))
    assert crop.data.view == half.data.view == base.data.view
    assert (crop.stage_one.crop, half.stage_one.batch) == ((64, 64), 2)
    assert own_view.data.view.crop == (32, 32)
    assert own_view.data.view.input == base.data.view.input


def test_what_a_person_chose_for_a_folder_stays(load, own) -> None:
    name = own()
    chosen = load(
        f"data.name={name}",
        *("stage_one.crop=null", "full_training.stages=[{epochs: 1}]", "stage_one.batch=3"),
        *("data.view.resize=none", "data.view.crop=[40, 48]"),
    )
    completed = own_data.completed(chosen)
    view = completed.data.view
    assert (view.resize, view.input, view.crop) == ("none", (96, 96), (40, 48))
    assert completed.stage_one.batch == 3
    assert completed.full_training.stages[0].batch == 4
    with_crops = load(f"data.name={name}", "full_training.stages=[{epochs: 1, crop: [64, 64]}]")
    assert own_data.completed(with_crops).data.view == View()
    assert from_config.geometry(own_data.completed(with_crops)) == InputGeometry((64, 64))


def test_a_folder_of_a_single_picture_cannot_be_trained_on(load, own, tmp_path: Path) -> None:
    name = own()
    for kind in ("images", "labels"):
        shutil.rmtree(tmp_path / "own" / kind / "val")
        for number in (1, 2, 3):
            (tmp_path / "own" / kind / "train" / f"{number}.png").unlink()
    configuration = load(f"data.name={name}")
    assert refused(preflight.before_training, configuration) == (
        f"{name} has 1 picture, expected 2 or more"
    )


def test_unknown_splits_of_a_folder_are_named_first(load, own) -> None:
    configuration = own_data.completed(load(f"data.name={own()}", "data.train_split=trian"))
    assert "data.train_split is trian" in refused(preflight.before_search, configuration)


def test_another_data_set_must_ignore_the_same_label(load, own) -> None:
    name = own(ignore_label=200)
    configuration = load(
        f"full_training.stages=[{{epochs: 1, batch: 2, crop: [64, 64], data: '{name}'}}]"
    )
    assert refused(preflight.before_training, configuration) == (
        f"full_training.stages.0.data is {name}, whose ignored label is 200, and that of shapes "
        "is 255, expected the same for all stages"
    )


def test_a_tuner_is_refused_before_it_describes_its_run(load, tmp_path: Path) -> None:
    configuration = load("stage_one.batch=541")
    model = SearchHyperModel.of(configuration, spaces.get("auxcell"))
    oracle = RandomOracle(OBJECTIVE, max_trials=1, seed=1)
    tuner = TwoStageTuner(model, oracle, directory=tmp_path, project_name="run")
    line = refused(lambda item: tuner.search(verbose=0), configuration)
    assert line.startswith("stage_one.batch is 541 and meta-train of shapes has 540")
    assert not (tuner.folder / "run.json").exists()
