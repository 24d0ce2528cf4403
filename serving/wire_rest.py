"""An endpoint by REST, for where only HTTP passes; files travel in base64, arrays as lists."""

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

_AGAIN = (429, 502, 503, 504)
_CONNECTIONS = 32
_PIECE = 1 << 20


class _Watched:
    """Hangs up on a server whose headers drip: every line comes in time, the whole never would."""

    def getresponse(self) -> urllib3.BaseHTTPResponse:
        over, line = threading.Event(), self.sock

        def hang_up() -> None:
            over.set()
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

        watch = threading.Timer(self.timeout, hang_up)
        watch.daemon = True
        watch.start()
        try:
            reply = super().getresponse()
        except (HTTPException, OSError) as error:
            raise (TimeoutError() if over.is_set() else error) from error
        finally:
            watch.cancel()
        if over.is_set():  # what had come by then passes for whole headers
            raise TimeoutError
        return reply


class _Http(urllib3.HTTPConnectionPool):
    ConnectionCls = type("_Connection", (_Watched, urllib3.connection.HTTPConnection), {})


class _Https(urllib3.HTTPSConnectionPool):
    ConnectionCls = type("_Connection", (_Watched, urllib3.connection.HTTPSConnection), {})


class RestWire:
    """The REST interface at ``http://host:port``."""

    def __init__(
        self, place: str, model: str, *, version: int | None = None, label: str | None = None
    ) -> None:
        address = f"{place}/v1/models/{model}"
        if version is not None:
            address += f"/versions/{version}"
        elif label is not None:
            address += f"/labels/{label}"
        self._address = address
        self._known: dict[str, Signature] = {}
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _Http, "https": _Https}

    def signatures(self, timeout: float) -> dict[str, Signature]:
        """From the model's metadata."""
        told = self._call("GET", f"{self._address}/metadata", timeout)
        with self._as_agreed("signatures"):
            found = told["metadata"]["signature_def"]["signature_def"]
            self._known = {
                name: Signature(_shapes(one["inputs"]), _shapes(one["outputs"]))
                for name, one in found.items()
                if not name.startswith("__")
            }
        return self._known

    def predict(self, signature: str, inputs: Arrays, timeout: float) -> dict[str, np.ndarray]:
        """One request in columns: every input as one list."""
        if not self._known:
            self.signatures(timeout)
        body = {
            "signature_name": signature,
            "inputs": {name: _sent(values) for name, values in inputs.items()},
        }
        reply = self._call("POST", f"{self._address}:predict", timeout, body)
        with self._as_agreed("outputs"):
            told, outputs = reply["outputs"], self._known[signature].outputs
            if len(outputs) == 1:  # then the server leaves the name out
                (name,) = outputs
                told = {name: told}
            return {name: _received(told[name], shape) for name, shape in outputs.items()}

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
            told = _json(_whole(reply, end))
        except urllib3.exceptions.NewConnectionError as error:  # by its class a timeout too
            raise Busy(f"{url} is not to be reached: {error}") from error
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise Busy(f"{url} did not answer within {timeout:.3g} s") from error
        except urllib3.exceptions.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):  # the one fault that time does not mend
                raise ServingError(
                    f"{url} is not to be trusted: {error}; SSL_CERT_FILE names a file of "
                    "certificates to trust"
                ) from error
            raise Busy(f"{url} is not to be reached: {error}") from error
        if reply.status in _AGAIN:
            raise Busy(f"{url} is busy ({reply.status})")
        if reply.status != 200 or not isinstance(told, dict):
            why = told.get("error", "") if isinstance(told, dict) else "it answers no JSON object"
            raise ServingError(f"{url} refuses ({reply.status}): {' '.join(str(why).split())}")
        return told

    @contextmanager
    def _as_agreed(self, what: str) -> Iterator[None]:
        """What another service than TF Serving answers is told for what it is."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ServingError(
                f"{self._address} gives no {what} that can be read, expected TF Serving's REST"
            ) from error


def _whole(reply: urllib3.BaseHTTPResponse, end: float) -> bytes:
    """All of an answer in the time for it, which the pool would grant to every piece anew."""
    pieces = []
    while (left := end - time.monotonic()) > 0:
        if reply.connection is not None and reply.connection.sock is not None:
            reply.connection.sock.settimeout(left)
        piece = reply.read1(_PIECE)
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


def _sent(values: np.ndarray) -> Any:
    if values.dtype == object:
        return [{"b64": base64.b64encode(one).decode()} for one in values.tolist()]
    return values.tolist()


def _received(values: Sequence[Any], shape: TensorShape) -> np.ndarray:
    if shape.dtype == "string":
        files = [base64.b64decode(value["b64"]) for value in values]
        return np.array(files, dtype=object)
    return np.array(values, dtype=shape.dtype)


def _shapes(tensors: Mapping[str, Any]) -> dict[str, TensorShape]:
    """Types go by the names of their enumeration, such as DT_UINT8."""
    names = {"float": "float32", "double": "float64"}
    return {
        key: TensorShape(
            names.get(kind := one["dtype"].removeprefix("DT_").lower(), kind),
            shape_of(side["size"] for side in one["tensor_shape"].get("dim", ())),
        )
        for key, one in tensors.items()
    }
