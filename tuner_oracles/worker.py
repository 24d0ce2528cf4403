"""The worker's side of a distributed search: a client that waits for its chief, a heartbeat."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import Trial, TrialStatus

from tuner_oracles.durable import LONGEST_MESSAGE
from tuner_oracles.ledger import COMPLETE
from tuner_oracles.tokens import hyperparameter_names, refuse_late

SERVICE = "/tuner_oracles.Workers/"
_IDLE_SECONDS = 1.0
_CALL_SECONDS = 60.0
_NOTICE_SECONDS = 5.0
_COMPLETE_SECONDS = 30.0  # for a chief that is started again, which removes the file
_BEATS_PER_TIMEOUT = 4
# A lost connection is retried often; gRPC's default pauses grow to two minutes.
_CHANNEL = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000)]

_TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,  # by a chief that ended in the middle of the call
)


class SearchComplete(kt.errors.FatalError):
    """The chief has ended after its last trial: there is nothing to do for the worker."""


class ChiefLost(kt.errors.FatalError):
    """The chief did not answer for longer than the worker's timeout."""


class SteadyClient(OracleClient):
    """KerasTuner's client, whose calls outlast a chief that is killed and started again.

    Repeated calls are harmless: the oracle returns a tuner's running trial again, and counts the
    first end of a trial only. The client belongs to one worker process, which runs one trial at a
    time in one thread; ``alive`` adds a thread of its own for heartbeats. It stores nothing on
    disk: if the worker is killed, its chief gives the trial to another. In ``folder``, if it is
    shared, it sees whether an absent chief has run all trials.
    """

    def __init__(self, oracle: Any, timeout: float, folder: Path) -> None:
        super().__init__(oracle)
        self._mark, self._trials = folder / COMPLETE, oracle.max_trials
        address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
        self._timeout = timeout
        self.known: list[str] = []
        self._address = address
        self._channel = grpc.insecure_channel(address, options=_CHANNEL)
        self.stub = _PatientStub(protos.get_service_grpc().OracleStub(self._channel), self)
        self._interval = oracle.leases.timeout / _BEATS_PER_TIMEOUT

    def create_trial(self, tuner_id: str) -> Trial:
        """Returns the next trial; waits a second if there is none yet, as KerasTuner does not."""
        trial = super().create_trial(tuner_id)
        self.known = hyperparameter_names(trial.hyperparameters)
        if trial.status == TrialStatus.IDLE:
            time.sleep(_IDLE_SECONDS)
        return trial

    def end_trial(self, trial: Trial) -> None:
        """Reports how and why a trial ended: KerasTuner's own call omits the reason."""
        refuse_late(hyperparameter_names(trial.hyperparameters), self.known)
        if self.should_report:
            message = trial.message and trial.message[-LONGEST_MESSAGE:]
            arguments = [self.tuner_id, trial.trial_id, trial.status, message]
            self.patiently(self._method("end"), json.dumps(arguments).encode())

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Registers with the chief, sends heartbeats during the block, and leaves at its end.

        An interrupted trial is released.
        """
        self.patiently(self._method("hello"), self._identity)
        ended = threading.Event()
        thread = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        except (Exception, KeyboardInterrupt):
            self._notify("release")
            raise
        finally:
            ended.set()
            thread.join()  # else a last heartbeat could follow "leave"
            self._notify("leave")
            self._channel.close()

    def patiently(self, call: Any, request: Any) -> Any:
        """Repeats a call until the chief answers; raises ``ChiefLost`` after ``timeout``.

        If all trials have run, it raises ``SearchComplete`` sooner.
        """
        end = time.monotonic() + self._timeout
        while True:
            left = end - time.monotonic()
            seconds = _COMPLETE_SECONDS if self._is_complete() else _CALL_SECONDS
            try:
                return call(request, wait_for_ready=True, timeout=min(left, seconds))
            except grpc.RpcError as error:
                if error.code() not in _TRANSIENT:
                    raise RuntimeError(f"the chief refused: {error.details()}") from None
                if self._is_complete():
                    raise SearchComplete(f"all {self._trials} trials have run") from None
                if time.monotonic() >= end:
                    raise ChiefLost(
                        f"the chief at {self._address} has not answered for "
                        f"{self._timeout:g} s: start it again with the same directory, then "
                        "this worker"
                    ) from None
                time.sleep(min(0.1, max(0.0, left)))

    def _is_complete(self) -> bool:
        """Returns whether a chief has ended after as many trials as this worker's oracle has."""
        with suppress(OSError):
            return self._mark.read_text(encoding="ascii") == f"{self._trials}\n"
        return False

    def _method(self, name: str) -> Any:
        return self._channel.unary_unary(SERVICE + name)

    def _notify(self, name: str) -> None:
        """Calls a method of a chief that may have ended; ignores failures."""
        with suppress(grpc.RpcError):
            self._method(name)(self._identity, timeout=_NOTICE_SECONDS)

    @property
    def _identity(self) -> bytes:
        return json.dumps([self.tuner_id]).encode()

    def _beat(self, ended: threading.Event) -> None:
        beat = self._method("beat")
        while not ended.wait(self._interval):
            with suppress(grpc.RpcError):
                beat(self._identity, timeout=self._interval)


class _PatientStub:
    """A gRPC stub whose calls are repeated until they are answered."""

    def __init__(self, stub: Any, client: SteadyClient) -> None:
        self._stub = stub
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._stub, name)
        return lambda request, **_: self._client.patiently(call, request)
