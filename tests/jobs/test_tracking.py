"""Figures that are sent to services, which modules of the same names stand in for here."""

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nas_tf.errors import ConfigError, DataError, EnvironmentFault
from nas_tf.jobs import tracking
from nas_tf.runs import filenames
from nas_tf.runs.trial_store import TrialStore
from tests.runs import recorded

HISTORY = "stage,epoch,step,loss,seconds,reward\n1,1,8,0.5,2.0,\n1,2,16,0.25,2.5,0.75\n"


class Store:
    """The calls of both services' functions, in order."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.files: list[str] = []
        self.ends: list[str] = []
        self.opened: list[Any] = []


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Store:
    store, module = Store(), ModuleType("mlflow")

    class Client:
        def create_run(self, experiment: str, run_name: str) -> SimpleNamespace:
            store.opened.append((experiment, run_name))
            return SimpleNamespace(info=SimpleNamespace(run_id=f"id{len(store.opened)}"))

        def log_batch(self, run: str, metrics: Sequence = (), params: Sequence = ()) -> None:
            assert run == "id1"
            assert len(params) <= 100
            store.params |= dict(params)
            if metrics:
                store.rows.append((metrics[0][3], {key: value for key, value, _, _ in metrics}))

        def log_artifact(self, run: str, path: str) -> None:
            store.files.append(Path(path).name)

        def set_terminated(self, run: str) -> None:
            store.ends.append(run)

    module.MlflowClient = Client
    module.set_experiment = lambda name: SimpleNamespace(experiment_id=f"experiment {name}")
    module.entities = SimpleNamespace(Metric=lambda *values: values, Param=lambda *values: values)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return store


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Store:
    store, module = Store(), ModuleType("wandb")

    class Artifact:
        def __init__(self, name: str, type: str) -> None:
            self.files: list[str] = []

        def add_file(self, path: str) -> None:
            self.files.append(Path(path).name)

    def init(**given: Any) -> SimpleNamespace:
        store.opened.append(given)
        store.params |= given["config"]
        return SimpleNamespace(
            id=given["id"] or "new",
            log=lambda values, step: store.rows.append((step, values)),
            log_artifact=lambda artifact: store.files.extend(artifact.files),
            finish=lambda: store.ends.append("finished"),
        )

    module.init, module.Artifact = init, Artifact
    monkeypatch.setitem(sys.modules, "wandb", module)
    return store


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "arch0"
    folder.mkdir()
    (folder / filenames.CONFIG).write_text("seed: 3\nnetwork: {width: 48}\n")
    (folder / filenames.GENOTYPE).write_text("{}")
    (folder / filenames.HISTORY).write_text(HISTORY)
    return folder


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_training_is_sent_by_epoch(
    name: str, training: Path, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(name)
    assert tracking.track(training, name, project="mine") == 2
    assert store.rows == [
        (8, {"stage": 1, "epoch": 1, "loss": 0.5, "seconds": 2.0}),
        (16, {"stage": 1, "epoch": 2, "loss": 0.25, "seconds": 2.5, "reward": 0.75}),
    ]
    assert {key: str(value) for key, value in store.params.items()} == {
        "seed": "3",
        "network.width": "48",
    }
    assert set(store.files) == {filenames.CONFIG, filenames.GENOTYPE}


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_second_call_sends_the_rest_to_the_same_run(
    name: str, training: Path, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(name)
    tracking.track(training, name)
    with (training / filenames.HISTORY).open("a") as file:
        file.write("1,3,24,0.125,2.0,\n")
    (training / filenames.RESULT).write_text("{}")
    assert tracking.track(training, name) == 1
    assert [step for step, _ in store.rows] == [8, 16, 24]
    assert tracking.track(training, name) == 0
    if name == "mlflow":
        assert len(store.opened) == 1
        assert store.ends == ["id1", "id1"]
    else:
        assert [given["id"] for given in store.opened] == [None, "new", "new"]


def test_each_service_has_its_own_state(training: Path, mlflow: Store, wandb: Store) -> None:
    tracking.track(training, "mlflow")
    tracking.track(training, "wandb")
    assert mlflow.rows == wandb.rows
    state = json.loads((training / tracking.STATE).read_text())
    assert state == {
        "mlflow": {"identity": "id1", "sent": 2},
        "wandb": {"identity": "new", "sent": 2},
    }


TRIALS = [
    recorded.trial(1, (0.4, 0.5), latency_ms=7.5),
    recorded.trial(2, (), status="failed"),
    recorded.trial(3, (0.3,)),
]
SENT = [
    {"failed": 0, "reward": 0.5, "score": 0.5, "best": 0.5, "stage_1": 0.4, "stage_2": 0.5}
    | {"params": 1001, "madds": 2001, "latency_ms": 7.5, "seconds": 30},
    {"failed": 1, "seconds": 30},
    {"failed": 0, "reward": 0.3, "score": 0.3, "best": 0.5, "stage_1": 0.3}
    | {"params": 1003, "madds": 2003, "seconds": 30},
]


def test_a_search_is_sent_by_trial(tmp_path: Path, mlflow: Store) -> None:
    recorded.run(tmp_path, TRIALS)
    (tmp_path / filenames.CONFIG).write_text("seed: 5\n")
    assert tracking.track(tmp_path, "mlflow") == 3
    assert mlflow.rows == list(enumerate(SENT, start=1))
    assert mlflow.params == {"seed": "5"}
    assert mlflow.ends == []


def test_a_search_is_followed_until_its_last_trial(
    tmp_path: Path, mlflow: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "SECONDS", 0.01)
    recorded.run(tmp_path, [], max_trials=3)
    found: list[int] = []
    thread = threading.Thread(
        target=lambda: found.append(tracking.track(tmp_path, "mlflow", follow=True))
    )
    thread.start()
    for trial in TRIALS:
        TrialStore(tmp_path).add(trial)
    thread.join(60)
    assert found == [3]
    assert mlflow.rows == list(enumerate(SENT, start=1))
    assert mlflow.ends == ["id1"]


def test_a_fault_of_the_service_loses_nothing(training: Path, mlflow: Store) -> None:
    client, calls = sys.modules["mlflow"].MlflowClient, []
    send = client.log_batch

    def fails(self: Any, run: str, **given: Any) -> None:
        calls.append(given)
        if sum("metrics" in item for item in calls) == 2 and "metrics" in given:
            raise ConnectionError("down")
        send(self, run, **given)

    client.log_batch = fails
    with pytest.raises(EnvironmentFault, match=r"^mlflow fails: down; the same command sends"):
        tracking.track(training, "mlflow")
    assert tracking.track(training, "mlflow") == 1
    assert [step for step, _ in mlflow.rows] == [8, 16]


def test_a_damaged_state_is_named(training: Path, mlflow: Store) -> None:
    (training / tracking.STATE).write_text("{")
    with pytest.raises(DataError, match=r"tracking.json is damaged: .*; delete it, and all steps"):
        tracking.track(training, "mlflow")
    assert mlflow.opened == []


def test_bad_arguments_are_refused(training: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--to is 'neptune', expected mlflow or wandb$"):
        tracking.track(training, "neptune")
    with pytest.raises(DataError, match=r"is not a folder of a search or a training$"):
        tracking.track(tmp_path, "mlflow")


def test_a_service_that_is_not_installed_is_named(
    training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(EnvironmentFault, match=r"^wandb is not installed: pip install 'nas-tf\["):
        tracking.track(training, "wandb")
