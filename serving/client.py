"""The client of an endpoint: checks before it sends, asks again while that may help, gives NumPy.

with Client("grpc://localhost:8500", "street") as street:
    mask = street.predict(images)["mask"]
"""

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
class Patience:
    """How long to wait, in seconds.

    Args:
        attempt: For one answer.
        deadline: For an answer with all its attempts; within it, what fails is asked again.
        attempts: At most so many; as many as the deadline lets if not given.
        first: Before the second attempt; it doubles from one to the next, to ``longest``.
    """

    attempt: float = 10.0
    deadline: float = 60.0
    attempts: int | None = None
    first: float = 0.1
    longest: float = 5.0

    def waits(self) -> Iterator[float]:
        """Pauses between attempts, each drawn so that clients do not come back together."""
        pause = self.first
        while True:
            yield pause * random.uniform(0.5, 1.0)
            pause = min(2 * pause, self.longest)


class Client:
    """Asks one model of an endpoint; safe to be used by several threads.

    Args:
        endpoint: ``grpc://host:port`` or ``http://host:port``.
        model: The name the server has for it.
        version: Of the model; the newest that the server has loaded if not given.
        label: Of the version, such as ``stable``, where the server has labels.
        patience: How long to wait for answers.
    """

    def __init__(
        self,
        endpoint: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        scheme, _, place = endpoint.partition("://")
        if scheme not in _SCHEMES or not place.strip("/"):
            raise ConfigError(
                f"endpoint is {endpoint!r}, expected such as grpc://localhost:8500 or "
                "http://localhost:8501"
            )
        if version is not None and label is not None:
            raise ConfigError("version and label are both given, expected one of them")
        where = place.strip("/") if scheme == "grpc" else endpoint.rstrip("/")
        self._wire = _wire(scheme)(where, model, version=version, label=label)
        self._patience = patience or Patience()
        self._signatures: dict[str, Signature] | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType
    ) -> None:
        self.close()

    @property
    def signatures(self) -> dict[str, Signature]:
        """What the model can be asked; looked up once, and again when a request does not fit."""
        return self._looked_up() if self._signatures is None else self._signatures

    def predict(self, images: np.ndarray, *, signature: str = DEFAULT) -> dict[str, np.ndarray]:
        """The answer to images as bytes [batch, height, width, 3] of the network's size."""
        return self._ask(signature, {IMAGES: np.asarray(images)})

    def predict_files(self, files: Sequence[bytes]) -> dict[str, np.ndarray]:
        """The answer to the contents of JPEG and PNG files, at the size of each."""
        contents = np.empty(len(files), dtype=object)
        contents[:] = files
        return self._ask(FILES, {FILES: contents})

    async def predict_async(
        self, images: np.ndarray, *, signature: str = DEFAULT
    ) -> dict[str, np.ndarray]:
        """``predict``, awaited."""
        return await asyncio.to_thread(self.predict, images, signature=signature)

    def predict_many(
        self, images: Iterable[np.ndarray], *, batch: int = 4, concurrency: int = 8
    ) -> Iterator[dict[str, np.ndarray]]:
        """The answers to single images, in their order, asked in batches side by side.

        The first that fails ends it: what waits then is not asked any more.
        """
        pool = ThreadPoolExecutor(concurrency)
        try:
            stacks = map(np.stack, _batches(self._checked(images), batch))
            for given in _in_order(pool, self.predict, stacks, 2 * concurrency):
                for number in range(len(next(iter(given.values())))):
                    yield {name: values[number] for name, values in given.items()}
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Lets go of connections."""
        self._wire.close()

    def _ask(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        self._check(signature, inputs)
        return self._patiently(partial(self._wire.predict, signature, inputs))

    def _checked(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Images of a stream; one that does not fit is told by its number."""
        for number, image in enumerate(map(np.asarray, images), 1):
            try:
                self._check(DEFAULT, {IMAGES: image[None]})
            except DataError as error:
                raise DataError(f"image {number} of the stream: {error}") from error
            yield image

    def _check(self, signature: str, inputs: Arrays) -> None:
        """A request that the server would refuse is refused here, in clearer words.

        Not before signatures were looked up anew: the server may have taken up another version.
        """
        had = self._signatures
        try:
            _fit(signature, inputs, self.signatures)
        except (ConfigError, DataError):
            if had is None:
                raise
            _fit(signature, inputs, self._looked_up())

    def _looked_up(self) -> dict[str, Signature]:
        self._signatures = self._patiently(self._wire.signatures)
        return self._signatures

    def _patiently(self, ask: Callable[[float], T]) -> T:
        patience, end = self._patience, time.monotonic() + self._patience.deadline
        pauses = enumerate(patience.waits(), 1)
        while True:
            left = end - time.monotonic()
            try:
                return ask(min(patience.attempt, max(left, 1e-3)))
            except Busy:
                number, pause = next(pauses)
                if number == patience.attempts or time.monotonic() + pause >= end:
                    raise
            time.sleep(pause)


def _wire(scheme: str) -> Callable[..., Wire]:
    """What goes by a scheme, imported when asked for: each needs packages of its own."""
    try:
        if scheme == "grpc":
            from serving.wire_grpc import GrpcWire as Found
        else:
            from serving.wire_rest import RestWire as Found
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            f"{scheme}:// needs {error.name}: pip install 'nas-tf[serving]'"
        ) from error
    return Found


def _fit(signature: str, inputs: Arrays, found: Mapping[str, Signature]) -> None:
    """Raises if there is no such signature or it takes something else."""
    if signature not in found:
        raise ConfigError(f"signature {signature!r} is unknown, the model has {', '.join(found)}")
    wanted = found[signature].inputs
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
    pool: ThreadPoolExecutor, ask: Callable[[T], R], stacks: Iterable[T], most: int
) -> Iterator[R]:
    """Results in the order of their stacks, with no more than so many waiting."""
    waiting = []
    for stack in stacks:
        waiting.append(pool.submit(ask, stack))
        if len(waiting) >= most:
            yield waiting.pop(0).result()
    for one in waiting:
        yield one.result()
