"""Load tests of an endpoint: sends concurrent requests and measures how long each takes."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from nas_tf.errors import ConfigError, ServingError
from serving.client import Client
from serving.signatures import DEFAULT, FILES, IMAGES
from serving.wire import TensorShape

_SIDE = 256
"""The side of images of noise, where a model takes any size."""


@dataclass(frozen=True)
class Load:
    """The results of a load test.

    Args:
        seconds: The time from the first request to the last answer.
        taken: Seconds of every answered request.
        refused: Error messages of the requests that failed.
    """

    seconds: float
    taken: Sequence[float]
    refused: Sequence[str]

    @property
    def throughput(self) -> float:
        """The number of answers per second."""
        return len(self.taken) / max(self.seconds, 1e-9)

    def percentile(self, share: float) -> float:
        """Returns the milliseconds within which ``share`` percent of requests were answered."""
        return 1e3 * float(np.percentile(self.taken, share)) if self.taken else float("nan")


def run(ask: Callable[[], object], *, requests: int, concurrency: int) -> Load:
    """Sends the same request repeatedly and measures it, after one that is not counted."""
    ask()

    def once(_: int) -> float | str:
        start = time.perf_counter()
        try:
            ask()
        except ServingError as error:
            return str(error)
        return time.perf_counter() - start

    start = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        outcomes = list(pool.map(once, range(requests)))
    seconds = time.perf_counter() - start
    taken = [outcome for outcome in outcomes if isinstance(outcome, float)]
    return Load(seconds, taken, [outcome for outcome in outcomes if isinstance(outcome, str)])


def noise_request(client: Client, signature: str, batch: int) -> Callable[[], object]:
    """Returns a function that sends a batch of noise to a signature, as arrays or JPEG files."""
    signatures = client.signatures
    if signature not in signatures:
        names = ", ".join(signatures)
        raise ConfigError(f"--signature is {signature!r}, expected one of {names}")
    by_files = FILES in signatures[signature].inputs
    sized = signatures.get(DEFAULT if by_files else signature)
    shape = sized.inputs[IMAGES].shape if sized and IMAGES in sized.inputs else ()
    if len(shape) != 4 or shape[1:].count(None) not in (0, 2) or shape[3] is None:
        raise ConfigError(
            f"signature {signature} takes {_list(signatures[signature].inputs)}, expected images "
            "of a fixed size or of any, as a model that nas-tf export wrote does"
        )
    sides = [_SIDE if side is None else side for side in shape[1:]]
    noise = np.random.default_rng(1).integers(0, 256, (batch, *sides), dtype=np.uint8)
    if not by_files:
        typed = noise.astype(sized.inputs[IMAGES].dtype)
        return lambda: client.predict(typed, signature=signature)
    files = [tf.io.encode_jpeg(image).numpy() for image in noise]
    return lambda: client.predict_files(files)


def _list(inputs: Mapping[str, TensorShape]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in inputs.items())
