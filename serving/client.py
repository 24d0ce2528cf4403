"""The client of an endpoint: checks requests before sending, retries, returns NumPy arrays."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TypeVar

import numpy as np

from nas_tf.errors import ConfigError, DataError, EnvironmentFault
from serving.signatures import DEFAULT, FILES, IMAGES
from serving.wire import Arrays, Busy, Signature, Wire

T, R = TypeVar("T"), TypeVar("R")
_SCHEMES = ("grpc", "http", "https")


@dataclass(frozen=True)
class RetryPolicy:
    """Timeouts and retries of requests, in seconds.

    Args:
        attempt: The timeout of a single attempt.
        deadline: The time for an answer with all its attempts; failed attempts are retried
            within it.
        attempts: The largest number of attempts; limited by the deadline alone if not given.
        first: The pause before the second attempt; it doubles with every further attempt.
        longest: The longest pause.
    """

    attempt: float = 10.0
    deadline: float = 60.0
    attempts: int | None = None
    first: float = 0.1
    longest: float = 5.0

    def waits(self) -> Iterator[float]:
        """Yields pauses between attempts, randomised so that clients do not retry all at once."""
        pause = self.first
        while True:
            yield pause * random.uniform(0.5, 1.0)
            pause = min(2 * pause, self.longest)


class Client:
    """Sends requests to one model of an endpoint; several threads may share a client.

    Used as a context manager it closes its connections at the end; otherwise call ``close``::

        with Client("grpc://localhost:8500", "street") as street:
            mask = street.predict(images)["mask"]

    Args:
        endpoint: The address, ``grpc://host:port`` or ``http://host:port``.
        model: The name of the model on the server.
        version: The version of the model; the newest that the server has loaded if not given.
        label: The label of the version, such as ``stable``, where the server has labels.
        retry: Timeouts and retries.
    """

    def __init__(
        self,
        endpoint: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        scheme, _, host = endpoint.partition("://")
        if scheme not in _SCHEMES or not host.strip("/"):
            raise ConfigError(
                f"endpoint is {endpoint!r}, expected an address such as grpc://localhost:8500 or "
                "http://localhost:8501"
            )
        if version is not None and label is not None:
            raise ConfigError("version and label are both given, expected one of them")
        address = host.strip("/") if scheme == "grpc" else endpoint.rstrip("/")
        self._wire = _wire_class(scheme)(address, model, version=version, label=label)
        self._retry = retry or RetryPolicy()
        self._signatures: dict[str, Signature] | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self.close()

    @property
    def signatures(self) -> dict[str, Signature]:
        """The model's signatures; fetched once, and again when a request does not fit them."""
        return self._fetch_signatures() if self._signatures is None else self._signatures

    def predict(self, images: np.ndarray, *, signature: str = DEFAULT) -> dict[str, np.ndarray]:
        """Returns the answer to uint8 images [batch, height, width, 3] of the network's size."""
        return self._request(signature, {IMAGES: np.asarray(images)})

    def predict_files(self, files: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Returns the answer to the contents of JPEG and PNG files, at the size of each."""
        contents = np.empty(len(files), dtype=object)
        contents[:] = files
        return self._request(FILES, {FILES: contents})

    async def predict_async(
        self, images: np.ndarray, *, signature: str = DEFAULT
    ) -> dict[str, np.ndarray]:
        """Runs ``predict`` in a thread, to be awaited."""
        return await asyncio.to_thread(self.predict, images, signature=signature)

    def predict_many(
        self, images: Iterable[np.ndarray], *, batch: int = 4, concurrency: int = 8
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields the answers to single images, in their order; batches are sent concurrently.

        The first failure ends the iteration: batches that still wait are not sent.
        """
        pool = ThreadPoolExecutor(concurrency)
        try:
            stacks = map(np.stack, _batches(self._checked(images), batch))
            for answer in _in_order(pool, self.predict, stacks, 2 * concurrency):
                for number in range(len(next(iter(answer.values())))):
                    yield {name: values[number] for name, values in answer.items()}
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Closes the connections."""
        self._wire.close()

    def _request(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        self._check(signature, inputs)
        return self._retried(partial(self._wire.predict, signature, inputs))

    def _checked(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yields the images of a stream; an error states the number of one that does not fit."""
        for number, image in enumerate(map(np.asarray, images), 1):
            try:
                self._check(DEFAULT, {IMAGES: image[None]})
            except DataError as error:
                raise DataError(f"image {number} of the stream: {error}") from error
            yield image

    def _check(self, signature: str, inputs: Arrays) -> None:
        """Raises if the server would refuse a request, with a clearer message than the server's.

        Signatures are fetched again first: the server may have loaded another version.
        """
        cached = self._signatures
        try:
            _check_fit(signature, inputs, self.signatures)
        except (ConfigError, DataError):
            if cached is None:
                raise
            _check_fit(signature, inputs, self._fetch_signatures())

    def _fetch_signatures(self) -> dict[str, Signature]:
        self._signatures = self._retried(self._wire.signatures)
        return self._signatures

    def _retried(self, attempt: Callable[[float], T]) -> T:
        """Returns the result of ``attempt``, which is called with its timeout, after retries."""
        retry, end = self._retry, time.monotonic() + self._retry.deadline
        pauses = enumerate(retry.waits(), 1)
        while True:
            left = end - time.monotonic()
            try:
                return attempt(min(retry.attempt, max(left, 1e-3)))
            except Busy:
                number, pause = next(pauses)
                if number == retry.attempts or time.monotonic() + pause >= end:
                    raise
            time.sleep(pause)


def _wire_class(scheme: str) -> Callable[..., Wire]:
    """Imports and returns the wire of a scheme, on demand: each needs packages of its own."""
    try:
        if scheme == "grpc":
            from serving.wire_grpc import GrpcWire as wire_class
        else:
            from serving.wire_rest import RestWire as wire_class
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            f"{scheme}:// needs {error.name}: pip install 'nas-tf[serving]'"
        ) from error
    return wire_class


def _check_fit(signature: str, inputs: Arrays, known: Mapping[str, Signature]) -> None:
    """Raises if the signature is unknown or takes other inputs."""
    if signature not in known:
        raise ConfigError(f"signature {signature!r} is unknown, the model has {', '.join(known)}")
    wanted = known[signature].inputs
    if wanted.keys() != inputs.keys():
        raise ConfigError(
            f"signature {signature} takes {', '.join(wanted)}, not {', '.join(inputs)}"
        )
    for name, values in inputs.items():
        if not wanted[name].takes(values):
            raise DataError(
                f"{name} is {values.dtype.name} {list(values.shape)}, the model takes "
                f"{wanted[name]}"
            )


def _batches(images: Iterable[np.ndarray], size: int) -> Iterator[list[np.ndarray]]:
    rest = iter(images)
    while stack := list(islice(rest, size)):
        yield stack


def _in_order(
    pool: ThreadPoolExecutor, predict: Callable[[T], R], stacks: Iterable[T], limit: int
) -> Iterator[R]:
    """Yields results in the order of their stacks, with at most ``limit`` of them pending."""
    pending = []
    for stack in stacks:
        pending.append(pool.submit(predict, stack))
        if len(pending) >= limit:
            yield pending.pop(0).result()
    for future in pending:
        yield future.result()
