"""What TensorBoard's own backend reads of a run."""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups
from tensorboard.util import tensor_util

from nas_tf import spaces
from nas_tf.runs import TrialRecord, filenames
from nas_tf.search import tensorboard_log
from nas_tf.search.tensorboard_log import TensorBoardLog
from tests.runs.recorded import trial

SPACE = spaces.get("auxcell")
TRIALS = [
    trial(0, (0.30, 0.40)),
    trial(1, (0.20,), stopped="gate"),
    trial(2, (), status="failed", stopped="9 parameters, the limit is 1"),
    trial(3, (0.35, 0.50), latency_ms=8.0),
]
PICTURE = np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)


def written(folder: Path, trials: list[TrialRecord], worker: str = "tuner0") -> TensorBoardLog:
    log = TensorBoardLog(folder, worker, SPACE)
    for count, done in enumerate(trials, 1):
        log.add(trials[:count], done, None)
    return log


def read(folder: Path) -> plugin_event_multiplexer.EventMultiplexer:
    found = plugin_event_multiplexer.EventMultiplexer()
    found.AddRunsFromDirectory(str(folder / filenames.TENSORBOARD))
    found.Reload()
    return found


def curve(folder: Path, tag: str, worker: str = "tuner0") -> list[tuple[int, float]]:
    events = read(folder).Tensors(worker, tag)
    values = [float(tensor_util.make_ndarray(event.tensor_proto)) for event in events]
    return [(event.step, round(value, 6)) for event, value in zip(events, values, strict=True)]


def sessions(folder: Path) -> list[api_pb2.SessionGroup]:
    """The rows of the HParams tab, by its own backend."""
    found, place = read(folder), str(folder / filenames.TENSORBOARD)
    provider = data_provider.MultiplexerDataProvider(found, place)
    described = base_plugin.TBContext(logdir=place, data_provider=provider, multiplexer=found)
    backend = backend_context.Context(described)
    request = context.RequestContext()
    experiment = backend.experiment_from_metadata(
        request, "", True, backend.hparams_metadata(request, ""), []
    )
    wanted = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=list(api_pb2.Status.values()),
        col_params=[api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos],
    )
    handler = list_session_groups.Handler(request, backend, "", wanted)
    return sorted(handler.run().session_groups, key=lambda group: group.name)


def test_curves_are_those_of_all_workers(tmp_path: Path) -> None:
    written(tmp_path, TRIALS)
    assert curve(tmp_path, "search/reward") == [(1, 0.4), (2, 0.2), (4, 0.5)]
    assert curve(tmp_path, "search/best") == [(1, 0.4), (2, 0.4), (4, 0.5)]
    assert curve(tmp_path, "search/mean of 20") == [(1, 0.4), (2, 0.3), (4, 0.366667)]
    assert curve(tmp_path, "search/failed") == [(1, 0), (2, 0), (3, 1), (4, 1)]
    assert curve(tmp_path, "search/stopped by the gate") == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert curve(tmp_path, "stages/score 1") == [(1, 0.3), (2, 0.2), (4, 0.35)]
    assert curve(tmp_path, "stages/score 2") == [(1, 0.4), (4, 0.5)]
    assert curve(tmp_path, "trial/params")[-1] == (4, TRIALS[3].params)
    assert curve(tmp_path, "trial/latency_ms") == [(4, 8.0)]
    assert len(curve(tmp_path, "trial/seconds")) == 4


def test_tokens_and_figures_are_in_the_hparams_tab(tmp_path: Path) -> None:
    written(tmp_path, TRIALS)
    found = sessions(tmp_path)
    assert [group.name for group in found] == [done.trial for done in TRIALS]
    for done, group in zip(TRIALS, found, strict=True):
        tokens = [int(group.hparams[token.name].number_value) for token in SPACE.tokens]
        assert SPACE.decode(tokens) == done.parsed
        figures = {value.name.tag: value.value for value in group.metric_values}
        reward = None if done.status == "failed" else pytest.approx(done.reward)
        assert figures.get("hparams/reward") == reward
        assert figures["hparams/params"] == done.params
        assert ("hparams/stage 2" in figures) == (len(done.stages) > 1)
    success, failure = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    ends = [group.sessions[0].status for group in found]
    assert ends == [success, success, failure, success]


def test_workers_write_apart_and_a_resumed_worker_adds_to_its_own(tmp_path: Path) -> None:
    first, second = (
        TensorBoardLog(tmp_path, "worker-0", SPACE),
        TensorBoardLog(tmp_path, "worker-1", SPACE),
    )
    first.add(TRIALS[:1], TRIALS[0], None)
    second.add(TRIALS[:2], TRIALS[1], None)
    third = TensorBoardLog(tmp_path, "worker-0", SPACE)
    third.add(TRIALS, TRIALS[3], None)
    assert curve(tmp_path, "search/reward", "worker-0") == [(1, 0.4), (4, 0.5)]
    assert curve(tmp_path, "search/best", "worker-1") == [(2, 0.4)]
    third.add(TRIALS, TRIALS[3], None)
    names = [group.name for group in sessions(tmp_path)]
    assert names == ["00", "01", "03"], "a trial that is run again is one session"


def test_it_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard_log, "MOST_SESSIONS", 3)
    monkeypatch.setattr(tensorboard_log, "MOST_PICTURES", 2)
    item, many = (
        TensorBoardLog(tmp_path, "tuner0", SPACE),
        [trial(n, (0.1, 0.2)) for n in range(30)],
    )
    for count, done in enumerate(many, 1):
        item.add(many[:count], done, PICTURE)
    assert len(sessions(tmp_path)) == 3
    assert len(read(tmp_path).Tensors("tuner0", "samples of the best")) == 2
    written = [path for path in (tmp_path / filenames.TENSORBOARD).rglob("*") if path.is_file()]
    plain = sum(path.stat().st_size for path in written) - 2 * 20_000
    assert plain < 30 * 4_000


def test_a_trial_costs_little(tmp_path: Path) -> None:
    item, many = (
        TensorBoardLog(tmp_path, "tuner0", SPACE),
        [trial(n, (0.1, 0.2)) for n in range(40)],
    )
    spent = []
    for count, done in enumerate(many, 1):
        began = time.process_time()
        item.add(many[:count], done, None)
        spent.append(time.process_time() - began)
    assert statistics.median(spent) < 0.02
