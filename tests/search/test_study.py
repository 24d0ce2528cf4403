"""The plan of a study, and that it continues where it was stopped."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nas_tf import spaces
from nas_tf.config import load
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, GenotypeError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.runs import TrialRecord
from nas_tf.runs.study import LONGER, RESULTS, Result, Study
from nas_tf.search import one_shot, study
from nas_tf.spaces import DPCSpace
from nas_tf.training.untrained import SCORES
from tests.prepared import few_scenes
from tests.search.quick import QuickEvaluator

TRIED = [["stage_one.epochs=1"], ["stage_one.epochs=1", "stage_one.crop=[64,64]"]]
NAMES = ["as configured", *(" ".join(each) for each in TRIED), LONGER]


def configured(*overrides: str) -> Any:
    def changed(changes: Sequence[str]) -> Config:
        return load("shapes_auxcell", ["network.weights=null", *overrides, *changes])

    return changed


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_TF_CACHE", str(few_scenes()))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The evaluations of candidates that cost nothing; one of them fails."""
    names: list[str] = []

    class Evaluator(QuickEvaluator):
        def __init__(self, config: Config, shared: Any, latency: None = None) -> None:
            super().__init__(config, 0.0)
            self.shared = shared

        def evaluate(self, genotype: Any, gate: Any, **more: Any) -> TrialRecord:
            names.append(f"{self.config.stage_one.epochs} {self.config.stage_one.crop}")
            if len(names) == 6:
                raise RuntimeError("broken")
            return super().evaluate(genotype, gate, **more)

    for module in (study, one_shot):
        monkeypatch.setattr(module, "TwoStage", Evaluator)
    monkeypatch.setattr(one_shot, "SharedData", lambda config, progress: None)
    return names


def test_a_plan_has_the_configuration_the_settings_and_the_longer_training() -> None:
    planned = study.plan(configured("stage_one.epochs=3"), TRIED, 5, times=4)
    assert list(planned.settings) == NAMES
    stages = [config.stage_one for config in planned.configs.values()]
    assert [stage.epochs for stage in stages] == [3, 1, 1, 12]
    assert [stage.crop for stage in stages].count((64, 64)) == 1
    assert all(config.stage_two is None for config in planned.configs.values())
    assert len({str(genotype) for genotype in planned.genotypes}) == 5
    again = study.plan(configured(), TRIED, 5, seed=1).genotypes
    assert again == planned.genotypes != study.plan(configured(), TRIED, 5, seed=2).genotypes


def test_settings_with_stage_two_train_end_to_end_and_may_be_what_others_are_compared_with() -> (
    None
):
    against = ["stage_one.epochs=2", "stage_two.epochs=3"]
    changes = configured("stage_one.epochs=4", "stage_two.batch=7")
    planned = study.plan(changes, [["stage_two.epochs=1"], *TRIED], 4, against=against)
    found = {
        name: (config.stage_one.epochs, config.stage_two and config.stage_two.epochs)
        for name, config in planned.configs.items()
    }
    first, *others, last = found.items()
    assert first == ("as configured", (4, None))
    assert others[0] == ("stage_two.epochs=1", (4, 1))
    assert {stage_two for _, (_, stage_two) in others[1:]} == {None}
    assert last == (LONGER, (2, 3))
    longer = planned.configs[LONGER]
    assert longer.stage_two is not None
    assert longer.stage_two.batch == 7
    assert longer.gate.policy == "open"


def test_the_usual_settings_are_cheaper() -> None:
    config = load("camvid_auxcell")
    assert study.usual_settings(config) == [
        ("stage_one.epochs=1",),
        ("stage_one.epochs=2",),
        ("stage_one.image_share=0.5",),
        ("stage_one.views=1",),
        ("stage_one.crop=[256,256]",),
        ("stage_one.crop=[192,192]",),
        ("network.width=24",),
        ("stage_one.epochs=1", "stage_one.crop=[256,256]"),
    ]
    least = ["stage_one.epochs=1", "stage_one.views=1", "stage_one.crop=[64,64]"]
    assert study.usual_settings(load("camvid_auxcell", [*least, "network.width=16"])) == [
        ("stage_one.image_share=0.5",)
    ]


def test_a_setting_of_another_space_or_data_set_is_refused() -> None:
    for change in ("space=dpc", "data.name=shapes_depth"):
        with pytest.raises(ConfigError, match="is of another space or data set, expected auxcell"):
            study.plan(configured(), [[change]], 4)


def test_a_space_too_small_for_the_study_is_refused() -> None:
    space = "space={name: restoration, layers: 1, nodes: 1}"
    config = load("shapes_denoise", [space])
    with pytest.raises(ConfigError, match=r"^\d+ different networks of .* expected 5000"):
        study.sampled(config, 5000, 1)


def test_it_continues_where_it_was_stopped(tmp_path: Path, quick: list[str]) -> None:
    planned = study.plan(configured(), TRIED, 4, untrained=False)
    started = study.start(tmp_path / "study", planned)

    def stop(result: Result) -> None:
        if len(quick) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study.train(started, planned, on_result=stop)
    path = tmp_path / "study" / RESULTS
    assert len(Study(tmp_path / "study").results) == 7
    with path.open("ab") as file:
        file.write(b'{"setting": "as conf')
    study.train(study.start(tmp_path / "study", planned), planned)
    found = Study(tmp_path / "study")
    order = [(result.genotype, result.setting) for result in found.results]
    assert order == [(str(each), name) for each in planned.genotypes for name in NAMES]
    failed = [result for result in found.results if result.failed]
    assert [result.stopped for result in failed] == ["RuntimeError: broken"]
    assert len(quick) == 16
    study.train(started, planned)
    assert len(quick) == 16


def test_another_study_is_refused_in_its_folder(tmp_path: Path) -> None:
    study.start(tmp_path, study.plan(configured(), TRIED, 4))
    for overrides, tried, count, line in (
        (["network.width=8"], TRIED, 4, "network.width=None, now it is 8: give what it was"),
        ([], TRIED[:1], 4, "other settings, listed in study.json: give those, or another folder"),
        ([], TRIED, 5, "other genotypes, listed in study.json"),
    ):
        with pytest.raises(ConfigError, match=line):
            study.start(tmp_path, study.plan(configured(*overrides), tried, count))
    study.start(
        tmp_path, study.plan(configured("search.saved_weights=3", "search.trials=9"), TRIED, 4)
    )


@pytest.mark.slow
def test_candidates_are_trained_under_every_setting(tmp_path: Path) -> None:
    small = [
        *("network.width=8", "network.alpha=0.35", "network.weights=null"),
        *("stage_one.views=1", "stage_one.epochs=2", "stage_one.batch=100"),
        *("stage_one.crop=[64,64]", "space={name: auxcell, blocks: 1, branches: 1}"),
    ]
    genotypes = study.sampled(load("shapes_auxcell", small), 1, 3)
    planned = study.plan(configured(*small), [["stage_one.epochs=1"]], genotypes, times=2)
    steps: list[int] = []
    study.train(
        study.start(tmp_path, planned),
        planned,
        observer=lambda _, done, total, loss: steps.append(total),
    )
    found = Study(tmp_path).results
    names = [*SCORES, "as configured", "stage_one.epochs=1", LONGER]
    assert [result.setting for result in found] == names
    assert found[0].score > 1000, "parameters"
    assert not any(result.failed for result in found)
    assert [steps.count(total) for total in sorted({*steps})] == sorted({*steps})
    assert sorted({*steps})[2] == 4 * sorted({*steps})[0]
    assert all(result.seconds > 0 for result in found[len(SCORES) :])


def test_cells_of_a_study_may_differ_in_their_number_of_branches() -> None:
    space = spaces.get("dpc")
    sizes = [len(study.parsed(space, text).parts) for text in ("aspp", '[[0,"conv1x1"]]')]
    assert sizes == [5, 1]
    for text in ("arch0", "[[3,[1]]]"):
        with pytest.raises(GenotypeError):
            study.parsed(space, text)
    with pytest.raises(GenotypeError, match="expected"):
        study.parsed(spaces.get("auxcell"), '[[0,"conv1x1"]]')


@pytest.mark.slow
def test_cells_of_different_sizes_are_trained_together(tmp_path: Path) -> None:
    """The cells are parts of ASPP, as in the pilot study of DPC."""
    small = [
        *("network.width=8", "network.alpha=0.35", "network.weights=null", "space=dpc"),
        *("stage_one.views=1", "stage_one.epochs=1", "stage_one.batch=100"),
        *("stage_one.crop=[65,65]", "stage_two=null", "stage_one.distillation=0"),
        *("stage_one.auxiliary_weight=0", "data.view.crop=[65,65]"),
    ]
    parts = DPCSpace.parts(spaces.resolve("aspp"))
    genotypes = [parts[0], parts[9], parts[30]]
    end_to_end = ["stage_two.epochs=1", "stage_two.batch=100"]
    planned = study.plan(
        configured(*small), [["stage_one.views=2"]], genotypes, against=end_to_end
    )
    stages: list[str] = []
    study.train(
        study.start(tmp_path, planned), planned, observer=lambda stage, *_: stages.append(stage)
    )
    assert 0 < stages.count("stage 2") < stages.count("stage 1"), "of the longer training alone"
    found = Study(tmp_path).results
    assert len(found) == 3 * (3 + len(SCORES))
    failed = {result.setting for result in found if result.failed}
    assert failed <= {"activation patterns"}, "a hundred images may share their patterns"


def test_a_score_without_training_that_is_not_finite_fails_alone(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scorer:
        def __init__(self, config: Config, shared: object) -> None:
            pass

        def score(self, name: str, genotype: Genotype) -> float:
            return -math.inf if name == "synaptic flow" else 3.0

    monkeypatch.setattr(study, "Untrained", Scorer)
    planned = study.plan(configured(), TRIED[:1], 4)
    study.train(study.start(tmp_path, planned), planned)
    results = [result for result in Study(tmp_path).results if result.setting in SCORES]
    assert [result.setting for result in results] == [*SCORES] * 4
    failed = [result for result in results if result.failed]
    assert {result.setting for result in failed} == {"synaptic flow"}
    assert {(result.score, result.stopped) for result in failed} == {
        (0.0, "the score is not finite")
    }
    with pytest.raises(ConfigError, match="other scores without training, listed in"):
        study.start(tmp_path, study.plan(configured(), TRIED[:1], 4, untrained=False))


def test_absent_data_is_reported_before_the_folder_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_TF_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("NAS_TF_CACHE", str(tmp_path / "cache"))

    def camvid(changes: Sequence[str]) -> Config:
        return load("camvid_auxcell", ["network.weights=null", *changes])

    planned = study.plan(camvid, TRIED[:1], 4)
    with pytest.raises(NasTfError, match="camvid"):
        study.start(tmp_path / "study", planned)
    assert not (tmp_path / "study").exists()
