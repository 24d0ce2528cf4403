"""The REST wire, for networks that only pass HTTP; sends files in base64, arrays as lists."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any

import numpy as np
import urllib3

from nas_tf.errors import ServingError
from serving.wire import Arrays, Busy, Signature, TensorShape, shape_of

_RETRIED = (429, 502, 503, 504)
_CONNECTIONS = 32
_PIECE_BYTES = 1 << 20


class _Watched:
    """Limits the total time of headers, since a timeout that restarts with every line does not."""

    def getresponse(self) -> urllib3.BaseHTTPResponse:
        """Returns the response, or closes the connection when the time is up."""
        timed_out, connection = threading.Event(), self.sock

        def hang_up() -> None:
            timed_out.set()
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.timeout, hang_up)
        timer.daemon = True
        timer.start()
        try:
            reply = super().getresponse()
        except (HTTPException, OSError) as error:
            raise (TimeoutError() if timed_out.is_set() else error) from error
        finally:
            timer.cancel()
        if timed_out.is_set():  # headers that were cut off then can look complete
            raise TimeoutError
        return reply


class _Http(urllib3.HTTPConnectionPool):
    ConnectionCls = type("_Connection", (_Watched, urllib3.connection.HTTPConnection), {})


class _Https(urllib3.HTTPSConnectionPool):
    ConnectionCls = type("_Connection", (_Watched, urllib3.connection.HTTPSConnection), {})


class RestWire:
    """The REST interface at ``http://host:port``."""

    def __init__(
        self, address: str, model: str, *, version: int | None = None, label: str | None = None
    ) -> None:
        url = f"{address}/v1/models/{model}"
        if version is not None:
            url += f"/versions/{version}"
        elif label is not None:
            url += f"/labels/{label}"
        self._url = url
        self._known: dict[str, Signature] = {}
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _Http, "https": _Https}

    def signatures(self, timeout: float) -> dict[str, Signature]:
        """Reads the signatures from the model's metadata."""
        reply = self._call("GET", f"{self._url}/metadata", timeout)
        with self._parsing("signatures"):
            found = reply["metadata"]["signature_def"]["signature_def"]
            self._known = {
                name: Signature(_shapes(signature["inputs"]), _shapes(signature["outputs"]))
                for name, signature in found.items()
                if not name.startswith("__")
            }
        return self._known

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> dict[str, np.ndarray]:
        """Sends one request in columnar format, every input as one list; returns its outputs."""
        if not self._known:
            self.signatures(timeout)
        body = {
            "signature_name": signature,
            "inputs": {name: _encoded(values) for name, values in inputs.items()},
        }
        reply = self._call("POST", f"{self._url}:predict", timeout, body)
        with self._parsing("outputs"):
            values, outputs = reply["outputs"], self._known[signature].outputs
            if len(outputs) == 1:  # then the server omits the name
                (name,) = outputs
                values = {name: values}
            return {name: _decoded(values[name], shape) for name, shape in outputs.items()}

    def close(self) -> None:
        """Closes all connections."""
        self._pool.clear()

    def _call(self, method: str, url: str, timeout: float, body: Any = None) -> dict[str, Any]:
        content = json.dumps(body) if body else None
        end = time.monotonic() + timeout
        try:
            reply = self._pool.request(
                method, url, body=content, timeout=timeout, preload_content=False
            )
            answer = _json(_read_all(reply, end))
        except urllib3.exceptions.NewConnectionError as error:  # its class is a timeout too
            raise Busy(f"{url} cannot be reached: {error}") from error
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise Busy(f"{url} did not answer within {timeout:.3g} s") from error
        except urllib3.exceptions.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):  # the only fault that retries cannot fix
                raise ServingError(
                    f"{url} is not trusted: {error}; set SSL_CERT_FILE to a file of certificates "
                    "to trust"
                ) from error
            raise Busy(f"{url} cannot be reached: {error}") from error
        if reply.status in _RETRIED:
            raise Busy(f"{url} is busy ({reply.status})")
        if reply.status != 200 or not isinstance(answer, dict):
            is_object = isinstance(answer, dict)
            reason = answer.get("error", "") if is_object else "the answer is not a JSON object"
            raise ServingError(f"{url} refuses ({reply.status}): {' '.join(str(reason).split())}")
        return answer

    @contextmanager
    def _parsing(self, part: str) -> Iterator[None]:
        """Turns errors of parsing into a ServingError: the service is probably not TF Serving."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ServingError(
                f"{self._url} returned no readable {part}, expected TF Serving's REST API"
            ) from error


def _read_all(reply: urllib3.BaseHTTPResponse, end: float) -> bytes:
    """Reads an answer until ``end``; the pool's own timeout would restart with every piece."""
    pieces = []
    while (left := end - time.monotonic()) > 0:
        if reply.connection is not None and reply.connection.sock is not None:
            reply.connection.sock.settimeout(left)
        piece = reply.read1(_PIECE_BYTES)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    reply.close()
    raise TimeoutError


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _encoded(values: np.ndarray) -> Any:
    if values.dtype == object:
        return [{"b64": base64.b64encode(item).decode()} for item in values.tolist()]
    return values.tolist()


def _decoded(values: Sequence[Any], shape: TensorShape) -> np.ndarray:
    if shape.dtype == "string":
        files = [base64.b64decode(value["b64"]) for value in values]
        return np.array(files, dtype=object)
    return np.array(values, dtype=shape.dtype)


def _shapes(tensors: Mapping[str, Any]) -> dict[str, TensorShape]:
    """Returns shapes by name; types are named as in their enumeration, such as DT_UINT8."""
    names = {"float": "float32", "double": "float64"}
    return {
        key: TensorShape(
            names.get(kind := tensor["dtype"].removeprefix("DT_").lower(), kind),
            shape_of(side["size"] for side in tensor["tensor_shape"].get("dim", ())),
        )
        for key, tensor in tensors.items()
    }
