"""A worker's side of a distributed search: a client that waits for its chief, and a heartbeat."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import Trial, TrialStatus

from tuner_oracles import tokens
from tuner_oracles.durable import LONGEST_MESSAGE

SERVICE = "/tuner_oracles.Workers/"
_IDLE_SECONDS = 1.0
_LONGEST_CALL = 60.0
_LONGEST_WORD = 5.0
_BEATS_A_TIMEOUT = 4
# A lost connection is tried again often; gRPC's default pauses grow to two minutes.
_CHANNEL = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000)]

_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,  # by a chief that ended in the middle of the call
)


class ChiefLost(kt.errors.FatalError):
    """The chief did not answer for longer than the worker's patience."""


class SteadyClient(OracleClient):
    """KerasTuner's client, but calls outlast a chief that is killed and started again.

    Calls can be repeated without harm: the oracle gives a tuner its trial again, and takes the
    first end of a trial only.
    """

    def __init__(self, oracle: Any, patience: float) -> None:
        super().__init__(oracle)
        address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
        self._patience = patience
        self.known: list[str] = []
        self._address = address
        self._channel = grpc.insecure_channel(address, options=_CHANNEL)
        self.stub = _Patient(protos.get_service_grpc().OracleStub(self._channel), self)
        self._interval = oracle.leases.timeout / _BEATS_A_TIMEOUT

    def create_trial(self, tuner_id: str) -> Trial:
        """The next trial; where there is none yet, not at once: KerasTuner asks without pause."""
        trial = super().create_trial(tuner_id)
        self.known = tokens.names(trial.hyperparameters)
        if trial.status == TrialStatus.IDLE:
            time.sleep(_IDLE_SECONDS)
        return trial

    def end_trial(self, trial: Trial) -> None:
        """How a trial ended, and why: KerasTuner's own call leaves the reason out."""
        tokens.refuse(tokens.names(trial.hyperparameters), self.known)
        if self.should_report:
            message = trial.message and trial.message[-LONGEST_MESSAGE:]
            told = [self.tuner_id, trial.trial_id, trial.status, message]
            self.patiently(self._tell("end"), json.dumps(told).encode())

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Says hello to the chief, beats until the end, and leaves.

        An interrupted trial is released.
        """
        self.patiently(self._tell("hello"), self._name)
        ended = threading.Event()
        thread = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        except (Exception, KeyboardInterrupt):
            self._try("release")
            raise
        finally:
            ended.set()
            thread.join()  # or a last beat would come after the leave
            self._try("leave")
            self._channel.close()

    def patiently(self, call: Any, request: Any) -> Any:
        """Repeats a call until the chief answers."""
        end = time.monotonic() + self._patience
        while True:
            left = end - time.monotonic()
            try:
                return call(request, wait_for_ready=True, timeout=min(left, _LONGEST_CALL))
            except grpc.RpcError as error:
                if error.code() not in _PASSING:
                    raise RuntimeError(f"the chief refused: {error.details()}") from None
                if time.monotonic() >= end:
                    raise ChiefLost(
                        f"the chief at {self._address} has not answered for "
                        f"{self._patience:g} s: start it again with the same directory, then "
                        "this worker"
                    ) from None
                time.sleep(min(0.1, max(0.0, left)))

    def _tell(self, word: str) -> Any:
        return self._channel.unary_unary(SERVICE + word)

    def _try(self, word: str) -> None:
        """Says a word to a chief that may have gone."""
        with suppress(grpc.RpcError):
            self._tell(word)(self._name, timeout=_LONGEST_WORD)

    @property
    def _name(self) -> bytes:
        return json.dumps([self.tuner_id]).encode()

    def _beat(self, ended: threading.Event) -> None:
        tell = self._tell("beat")
        while not ended.wait(self._interval):
            with suppress(grpc.RpcError):
                tell(self._name, timeout=self._interval)


class _Patient:
    """A gRPC stub whose calls are repeated until they are answered."""

    def __init__(self, stub: Any, client: SteadyClient) -> None:
        self._stub = stub
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._stub, name)
        return lambda request, **_: self._client.patiently(call, request)
