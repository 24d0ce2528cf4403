"""``search``: KerasTuner's ``tuner.search`` for one process, a chief or a worker, that survives.

Which of them a process is, KerasTuner's environment variables say: ``KERASTUNER_TUNER_ID``
(a name with "chief" in it is the chief's), ``KERASTUNER_ORACLE_IP``, ``KERASTUNER_ORACLE_PORT``.
"""

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import keras_tuner as kt
import tensorflow as tf
from keras_tuner.src import protos
from keras_tuner.src.distribute import utils as distribution
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from tuner_oracles import tokens
from tuner_oracles.durable import DurableOracle
from tuner_oracles.launch import announce_trial_end
from tuner_oracles.ledger import LedgerError, Unwritable
from tuner_oracles.worker import SERVICE, SteadyClient

PATIENCE = 600.0
_WORDS = ("hello", "beat", "end", "release", "leave")
_CALLS = 64  # at once: busy, the oracle answers heartbeats only


def search(
    tuner: kt.engine.base_tuner.BaseTuner,
    *args: Any,
    patience: float = PATIENCE,
    on_end: Callable[[], None] | None = None,
    **kwargs: Any,
) -> None:
    """Runs a tuner's search with one of our oracles; arguments are ``tuner.search``'s.

    ``patience``: seconds that a worker waits for an absent chief, and a chief for a first worker.
    ``on_end``: what a chief calls when trials have ended, one or several.
    """
    if is_worker():
        client = SteadyClient(_durable(tuner.oracle._oracle), patience)
        tuner.oracle = client
        if _builds(tuner):
            tokens.watch(tuner, lambda: client.known)
        with client.alive(), _full_disk_told(tuner):
            tuner.search(*args, **kwargs)
        return
    oracle = _durable(tuner.oracle)
    with _full_disk_told(tuner):
        tuner.save()  # KerasTuner does so after the first trial only, and begins anew without
        if _builds(tuner):
            tokens.refuse_before(tuner.hypermodel.build, oracle.ends())
            tokens.watch(tuner, lambda: tokens.names(oracle.hyperparameters))
        if distribution.is_chief_oracle():
            oracle.verbose = kwargs.get("verbose", oracle.verbose)
            serve(oracle, patience, on_end)
            return
        try:
            tuner.search(*args, **kwargs)
        except BaseException:  # the search ends, and not by the trial's fault
            with suppress(LedgerError):
                oracle.release(tuner.tuner_id)
            raise


def _builds(tuner: kt.engine.base_tuner.BaseTuner) -> bool:
    """Whether a tuner builds a model for each trial, so that its builds say what is asked for."""
    return isinstance(tuner, kt.Tuner) and tuner.hypermodel is not None


def is_worker() -> bool:
    """Whether this process only runs the trials of a chief, so that it knows no results."""
    return distribution.has_chief_oracle() and not distribution.is_chief_oracle()


@contextmanager
def _full_disk_told(tuner: kt.engine.base_tuner.BaseTuner) -> Iterator[None]:
    """KerasTuner writes a tuner's file after every trial, by TensorFlow, whose error it is."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        if tuner.project_dir not in error.message:
            raise
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise Unwritable(error.message.partition(";")[0], full) from error


def serve(
    oracle: DurableOracle,
    patience: float = PATIENCE,
    on_end: Callable[[], None] | None = None,
) -> None:
    """Serves an oracle as chief until every trial has ended and the workers have gone.

    With trials left and no worker for longer than ``patience`` it ends with an error; started
    again, it goes on.
    """
    address = _free_address()
    oracle.warm_up()
    guard = _Guard()
    server = grpc.server(
        ThreadPoolExecutor(_CALLS), interceptors=[guard], options=[("grpc.so_reuseport", 0)]
    )
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    server.add_generic_rpc_handlers((_Workers(oracle),))
    try:
        server.add_insecure_port(address)
    except RuntimeError:
        raise OSError(f"the chief can't listen at {address}: another took it just now") from None
    oracle.leases.renew()
    tell = _teller(oracle, on_end)
    server.start()
    try:
        _until_over(oracle, guard, patience, tell)
    finally:
        server.stop(grace=2).wait()


def _free_address() -> str:
    """Where the chief listens; what is wrong with the place, gRPC would say at length."""
    ip, port = os.environ["KERASTUNER_ORACLE_IP"], os.environ["KERASTUNER_ORACLE_PORT"]
    if not port.isdecimal():
        raise ValueError(f"KERASTUNER_ORACLE_PORT is {port!r}, expected a number")
    try:
        place = (ip.strip("[]"), int(port))
        family = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0][0]
        socket.create_server(place, family=family).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise OSError(f"the chief can't listen at {ip}:{port}: {why}") from None
    return f"[{place[0]}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}"


def _teller(oracle: DurableOracle, on_end: Callable[[], None] | None) -> Callable[[], None]:
    """Tells of trials that have ended since it was called last, or made."""
    ended = len(oracle.end_order)

    def tell() -> None:
        nonlocal ended
        if len(oracle.end_order) > ended:
            ended = len(oracle.end_order)
            announce_trial_end()
            if on_end is not None:
                on_end()

    return tell


def _until_over(
    oracle: DurableOracle, guard: "_Guard", patience: float, tell: Callable[[], None]
) -> None:
    alone_since = time.monotonic()
    while True:
        time.sleep(0.2)
        if guard.fault is not None:
            raise guard.fault
        oracle.reap()
        alone = not oracle.leases.present()
        over = alone and oracle.over()
        tell()
        if over:
            return
        if not alone:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > patience:
            raise TimeoutError(
                f"no worker was heard of for {patience:g} s and trials are left: start this "
                "again, with workers, to go on"
            )


def _durable(oracle: Any) -> DurableOracle:
    if not isinstance(oracle, DurableOracle):
        raise TypeError(
            f"the oracle is a {type(oracle).__name__}, expected one of tuner_oracles; for others "
            "call tuner.search itself"
        )
    return oracle


class _Guard(grpc.ServerInterceptor):
    """Keeps a fault of the ledger, which ends the chief: workers wait for it to come back."""

    def __init__(self) -> None:
        self.fault: LedgerError | None = None

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """The handler of a call, whose fault is kept."""
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


class _Workers(grpc.GenericRpcHandler):
    """What workers say beside KerasTuner's service: a word, and with it a list as JSON."""

    def __init__(self, oracle: DurableOracle) -> None:
        self._oracle = oracle

    def service(self, details: Any) -> Any:
        """The handler of one call, if it is ours."""
        word = details.method.removeprefix(SERVICE)
        if word not in _WORDS:
            return None
        act = getattr(self._oracle, word)

        def answer(request: bytes, _: Any) -> bytes:
            act(*json.loads(request))
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)
