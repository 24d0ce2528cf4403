"""Logs a run to TensorBoard while it runs: curves, hyperparameters and predictions of the best.

``tensorboard/WORKER`` has a worker's curves over the number of finished trials; best and mean are
over the trials of all workers. ``tensorboard/trials/ID`` is one session of the HParams tab.
"""

import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from nas_tf.runs import TrialRecord, filenames
from nas_tf.spaces import SearchSpace

MOST_SESSIONS = 1000
"""The largest number of sessions: TensorBoard reads one folder each, and is slow with more."""
MOST_PICTURES = 10
"""The largest number of pictures that a worker's process logs."""
WINDOW = 20
_FIGURES = ("reward", "stage 1", "stage 2", "params", "madds", "seconds")


class TensorBoardLog:
    """The log of one worker; a resumed worker adds a new file to its folder.

    Args:
        folder: The run's folder.
        worker: The worker's name, which names its folder.
        space: The search space, whose tokens are the hyperparameters.
    """

    def __init__(self, folder: Path, worker: str, space: SearchSpace) -> None:
        from tensorboard.plugins.hparams import api

        self._api, self._folder, self._space = api, folder / filenames.TENSORBOARD, space
        self._pictures = 0
        self._writer = tf.summary.create_file_writer(str(self._folder / worker))
        self._tokens = {
            token.name: api.HParam(token.name, api.Discrete(list(range(token.size))))
            for token in space.tokens
        }
        with self._writer.as_default(step=0):
            api.hparams_config(
                hparams=list(self._tokens.values()),
                metrics=[api.Metric(f"hparams/{name}", display_name=name) for name in _FIGURES],
            )

    def add(
        self, trials: Sequence[TrialRecord], trial: TrialRecord, picture: np.ndarray | None
    ) -> None:
        """Logs a trial that has just ended.

        Args:
            trials: All finished trials, this one included, in the order in which they ended.
            trial: The trial that has ended.
            picture: The picture of its predictions, if it is the best so far.
        """
        with self._writer.as_default(step=len(trials)):
            for name, value in _curves(trials, trial):
                tf.summary.scalar(name, value)
            if picture is not None and self._pictures < MOST_PICTURES:
                self._pictures += 1
                tf.summary.image("samples of the best", picture[None])
        self._writer.flush()
        if len(trials) <= MOST_SESSIONS:
            self._log_session(trial)

    def _log_session(self, trial: TrialRecord) -> None:
        """Logs a session of the HParams tab; replaces that of a trial that was run again."""
        from tensorboard.plugins.hparams import api_pb2, summary

        place = self._folder / "trials" / trial.trial
        shutil.rmtree(place, ignore_errors=True)
        values = self._space.encode(trial.parsed)
        tokens = dict(zip(self._tokens.values(), values, strict=True))
        state = api_pb2.STATUS_FAILURE if trial.failed else api_pb2.STATUS_SUCCESS
        end = summary.session_end_pb(state)
        writer = tf.summary.create_file_writer(str(place))
        with writer.as_default(step=0):
            self._api.hparams(tokens, trial_id=trial.trial)
            for name, value in _figures(trial).items():
                tf.summary.scalar(f"hparams/{name}", value)
            tf.summary.experimental.write_raw_pb(end.SerializeToString(), step=0)
        writer.close()


def is_installed() -> bool:
    """Returns whether TensorBoard is installed: it comes with TensorFlow unless removed."""
    return find_spec("tensorboard") is not None


def _curves(trials: Sequence[TrialRecord], trial: TrialRecord) -> Iterator[tuple[str, Any]]:
    completed = [trial.reward for trial in trials if not trial.failed]
    yield "search/failed", sum(trial.failed for trial in trials)
    yield "search/stopped by the gate", sum(trial.stopped == "gate" for trial in trials)
    yield "trial/seconds", trial.seconds
    if trial.failed:
        return
    yield "search/reward", trial.reward
    yield "search/best", max(completed)
    yield f"search/mean of {WINDOW}", float(np.mean(completed[-WINDOW:]))
    for number, stage in enumerate(trial.stages, 1):
        yield f"stages/score {number}", stage.score
    yield "trial/params", trial.params
    yield "trial/madds", trial.madds
    if trial.latency_ms is not None:
        yield "trial/latency_ms", trial.latency_ms


def _figures(trial: TrialRecord) -> dict[str, float]:
    stages = {f"stage {number}": stage.score for number, stage in enumerate(trial.stages, 1)}
    plain = {name: float(getattr(trial, name)) for name in ("params", "madds", "seconds")}
    reward = {} if trial.failed else {"reward": trial.reward}
    return {**reward, **stages, **plain}
