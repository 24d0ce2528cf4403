"""``search``: a ``tuner.search`` that survives kills, for one process, a chief or a worker.

KerasTuner's environment variables define the role of a process: ``KERASTUNER_TUNER_ID`` (a name
that contains "chief" is the chief's), ``KERASTUNER_ORACLE_IP`` and ``KERASTUNER_ORACLE_PORT``.
"""

import errno
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import keras_tuner as kt
import tensorflow as tf
from keras_tuner.src import protos
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from tuner_oracles.durable import DurableOracle
from tuner_oracles.launch import announce_trial_end
from tuner_oracles.ledger import COMPLETE, LedgerError, Unwritable, write_atomically
from tuner_oracles.tokens import (
    hyperparameter_names,
    refuse_late_at_ends,
    refuse_late_in_builds,
)
from tuner_oracles.worker import SERVICE, SearchComplete, SteadyClient

TIMEOUT = 600.0
_LOG = logging.getLogger(__name__)
_METHODS = ("hello", "beat", "end", "release", "leave")
_CALLS = 64  # at the same time: a busy oracle answers heartbeats only


def search(
    tuner: kt.engine.base_tuner.BaseTuner,
    *args: Any,
    timeout: float = TIMEOUT,
    on_end: Callable[[], None] | None = None,
    **kwargs: Any,
) -> None:
    """Runs a tuner's search with an oracle of this package; arguments are ``tuner.search``'s.

    ``timeout`` is the time in seconds that a worker waits for an absent chief, and a chief for
    workers. A chief calls ``on_end`` in this thread when one or more trials have ended. When all
    ``max_trials`` have, it leaves the file ``complete`` in the project's folder, so that a worker
    that comes later and shares the folder ends soon.

    Each process calls this once for its tuner and is blocked until its share of the search has
    ended. The process without a chief, or the chief, owns the ledger; workers only run trials.
    Any process may be killed and started again with the same script: results that were reported
    are never lost, and a worker's running trial is run again.
    """
    if is_worker():
        client = SteadyClient(_durable(tuner.oracle._oracle), timeout, _folder(tuner))
        tuner.oracle = client
        if _builds(tuner):
            refuse_late_in_builds(tuner, lambda: client.known)
        try:
            with client.alive(), _full_disk_reported(tuner):
                tuner.search(*args, **kwargs)
        except SearchComplete as end:
            _LOG.warning("%s ends, as its chief has: %s", client.tuner_id, end)
        return
    oracle = _durable(tuner.oracle)
    with _full_disk_reported(tuner):
        tuner.save()  # KerasTuner saves after the first trial only, and else would not resume
        if _builds(tuner):
            refuse_late_at_ends(tuner.hypermodel.build, oracle.ends())
            refuse_late_in_builds(tuner, lambda: hyperparameter_names(oracle.hyperparameters))
        if distribution.is_chief_oracle():
            oracle.verbose = kwargs.get("verbose", oracle.verbose)
            _serve_and_mark(oracle, _folder(tuner), timeout, on_end)
            return
        try:
            tuner.search(*args, **kwargs)
        except BaseException:  # the search ends, which is no failure of the trial
            with suppress(LedgerError):
                oracle.release(tuner.tuner_id)
            raise


def _folder(tuner: kt.engine.base_tuner.BaseTuner) -> Path:
    return Path(tuner.project_dir)


def _serve_and_mark(
    oracle: DurableOracle, folder: Path, timeout: float, on_end: Callable[[], None] | None
) -> None:
    """Serves an oracle; a file then shows late workers that the chief has run all trials."""
    mark = folder / COMPLETE
    mark.unlink(missing_ok=True)
    serve(oracle, timeout, on_end)
    if oracle.max_trials and len(oracle.end_order) >= oracle.max_trials:
        write_atomically(mark, f"{oracle.max_trials}\n".encode())


def _builds(tuner: kt.engine.base_tuner.BaseTuner) -> bool:
    """Returns whether a tuner builds a model for each trial, so that its builds can be checked."""
    return isinstance(tuner, kt.Tuner) and tuner.hypermodel is not None


def is_worker() -> bool:
    """Returns whether this process only runs trials for a chief, so that it knows no results."""
    return distribution.has_chief_oracle() and not distribution.is_chief_oracle()


@contextmanager
def _full_disk_reported(tuner: kt.engine.base_tuner.BaseTuner) -> Iterator[None]:
    """Raises ``Unwritable`` for TensorFlow's error when the tuner's own file can't be written.

    KerasTuner writes that file through TensorFlow after every trial.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if tuner.project_dir not in error.message:
            raise
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise Unwritable(error.message.partition(";")[0], full) from error


def serve(
    oracle: DurableOracle,
    timeout: float = TIMEOUT,
    on_end: Callable[[], None] | None = None,
) -> None:
    """Serves an oracle as chief until every trial has ended and the workers have left.

    With trials left and no worker for longer than ``timeout`` it raises ``TimeoutError``; started
    again, it resumes. Calls of workers are answered in threads of the server; ``on_end`` is called
    in the calling thread.
    """
    address = _free_address()
    oracle.warm_up()
    guard = _FaultGuard()
    server = grpc.server(
        ThreadPoolExecutor(_CALLS), interceptors=[guard], options=[("grpc.so_reuseport", 0)]
    )
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    server.add_generic_rpc_handlers((_WorkerService(oracle),))
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(
            f"the chief can't listen at {address}: another process has just taken it"
        ) from None
    oracle.leases.extend_all()
    report = _reporter(oracle, on_end)
    server.start()
    try:
        _wait_until_over(oracle, guard, timeout, report)
    finally:
        server.stop(grace=2).wait()


def _free_address() -> str:
    """Returns the chief's address; raises a clear error if it is unusable, as gRPC does not."""
    ip, port = os.environ["KERASTUNER_ORACLE_IP"], os.environ["KERASTUNER_ORACLE_PORT"]
    if not port.isdecimal():
        raise ValueError(f"KERASTUNER_ORACLE_PORT is {port!r}, expected a number")
    try:
        address = (ip.strip("[]"), int(port))
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        socket.create_server(address, family=family).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"the chief can't listen at {ip}:{port}: {reason}") from None
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}"


def _reporter(oracle: DurableOracle, on_end: Callable[[], None] | None) -> Callable[[], None]:
    """Returns a function that announces trials that have ended since its last call."""
    ended = len(oracle.end_order)

    def report() -> None:
        nonlocal ended
        if len(oracle.end_order) > ended:
            ended = len(oracle.end_order)
            announce_trial_end()
            if on_end is not None:
                on_end()

    return report


def _wait_until_over(
    oracle: DurableOracle, guard: "_FaultGuard", timeout: float, report: Callable[[], None]
) -> None:
    alone_since = time.monotonic()
    while True:
        time.sleep(0.2)
        if guard.fault is not None:
            raise guard.fault
        oracle.reap()
        alone = not oracle.leases.present()
        over = alone and oracle.over()
        report()
        if over:
            return
        if not alone:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > timeout:
            raise TimeoutError(
                f"no worker has called for {timeout:g} s and trials are left: start this again, "
                "with workers, to resume"
            )


def _durable(oracle: Any) -> DurableOracle:
    if not isinstance(oracle, DurableOracle):
        raise TypeError(
            f"the oracle is a {type(oracle).__name__}, expected one of tuner_oracles; for others "
            "call tuner.search itself"
        )
    return oracle


class _FaultGuard(grpc.ServerInterceptor):
    """Stores a fault of the ledger, which ends the chief; workers wait for its restart."""

    def __init__(self) -> None:
        self.fault: LedgerError | None = None

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Returns the handler of a call; a fault in it is stored and sent as UNAVAILABLE."""
        handler = continuation(details)
        if handler is None:
            return None

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return handler.unary_unary(request, context)
            except LedgerError as error:
                self.fault = error
                context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


class _WorkerService(grpc.GenericRpcHandler):
    """The calls of workers besides KerasTuner's service: a method and its arguments as JSON."""

    def __init__(self, oracle: DurableOracle) -> None:
        self._oracle = oracle

    def service(self, details: Any) -> Any:
        """Returns the handler of a call, or None for calls of other services."""
        name = details.method.removeprefix(SERVICE)
        if name not in _METHODS:
            return None
        method = getattr(self._oracle, name)

        def answer(request: bytes, _: Any) -> bytes:
            method(*json.loads(request))
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)
