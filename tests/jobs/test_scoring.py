"""An exported network is scored by the task that it was trained for."""

import msgspec
import pytest

from nas_tf.config import load
from nas_tf.data.registry import dataset_info
from nas_tf.errors import ConfigError, DataError
from nas_tf.jobs import scoring, trained
from tests.prepared import few_scenes

CLASSES = dataset_info("shapes").classes


def test_an_exported_network_keeps_its_settings() -> None:
    about = {"config": msgspec.to_builtins(load("shapes_auxcell"))}
    task = scoring._task("shapes", "segmentation", CLASSES, scoring._settings(about))
    assert [task.names[item] for item in task.left_out] == ["background"]


@pytest.mark.parametrize("about", [{}, {"config": None}, {"config": {"space": "auxcell"}}])
def test_what_an_older_version_wrote_is_scored_as_before(about: dict) -> None:
    task = scoring._task("shapes", "segmentation", CLASSES, scoring._settings(about))
    assert task.left_out == ()


def test_damaged_settings_and_other_classes_are_refused() -> None:
    with pytest.raises(DataError, match="record of its task is damaged"):
        scoring._settings({"config": {"task": {"background": [1]}}})
    with pytest.raises(ConfigError, match="the network was trained for 2 outputs"):
        scoring._task("shapes", "segmentation", ["a", "b"], scoring._settings({}))


@pytest.mark.slow
def test_a_score_on_pictures_that_were_trained_on_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes("shapes_clean")))
    options = ["space={name: restoration}", "network.width=2", "data.train_split=train+val"]
    network = trained.find("hinas-skip", config_name="shapes_denoise", overrides=options)
    scoring.evaluate(network, "val")
    assert caplog.messages == [
        "figures on val are not those on new pictures: data.train_split is train+val, which has "
        "pictures of it"
    ]
    caplog.clear()
    scoring.evaluate(network, "test")
    assert caplog.messages == []
