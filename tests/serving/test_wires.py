"""The client against servers that are not TF Serving, are slow, or are overloaded."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from nas_tf.errors import ServingError
from serving.client import Client, RetryPolicy
from serving.signatures import DEFAULT, IMAGES
from serving.wire import Busy
from serving.wire_grpc import GrpcWire
from tests.serving import certificates

IMAGE = np.zeros((1, 2, 2, 3), np.uint8)


def tensor(kind: str, *sides: int) -> dict:
    return {"dtype": kind, "tensor_shape": {"dim": [{"size": str(side)} for side in sides]}}


METADATA = {
    "metadata": {
        "signature_def": {
            "signature_def": {
                DEFAULT: {
                    "inputs": {IMAGES: tensor("DT_UINT8", -1, 2, 2, 3)},
                    "outputs": {"mask": tensor("DT_UINT8", -1, 2, 2)},
                }
            }
        }
    }
}


@contextmanager
def serving(
    reply: Callable[[BaseHTTPRequestHandler], None], certificate: Path | None = None
) -> Iterator[str]:
    """A server that answers all requests by a function, by HTTPS where it has a certificate."""
    methods = {"do_GET": reply, "do_POST": reply, "log_message": lambda *_: None}
    handler = type("Handler", (BaseHTTPRequestHandler,), methods)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "https" if certificate else "http"
    if certificate:
        context = certificates.server_side(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.handle_error = lambda *_: None  # a client that does not trust it hangs up
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: object, status: int = 200) -> None:
    content = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.mark.parametrize("body", [{}, [], {"metadata": 7}, {"metadata": {"signature_def": {}}}])
def test_a_service_that_answers_something_else_is_reported(body: object) -> None:
    with (
        serving(lambda handler: send(handler, body)) as address,
        Client(address, "street") as client,
        pytest.raises(
            ServingError, match=f"^{address}/v1/models/street.* (returned no readable sig|refuses)"
        ),
    ):
        client.predict(IMAGE)


@pytest.mark.parametrize("body", [{}, {"outputs": None}, {"outputs": {"mask": "none"}}])
def test_outputs_that_cannot_be_read_are_reported(body: object) -> None:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        send(handler, METADATA if handler.command == "GET" else body)

    with (
        serving(reply) as address,
        Client(address, "street") as client,
        pytest.raises(ServingError, match=r"returned no readable outputs, expected TF Serv"),
    ):
        client.predict(IMAGE)


def drip_body(handler: BaseHTTPRequestHandler, stopped: threading.Event) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    while not stopped.wait(0.3):
        handler.wfile.write(b" ")


def drip_headers(handler: BaseHTTPRequestHandler, stopped: threading.Event) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not stopped.wait(0.3):
        handler.wfile.write(b"X-Drop: 1\r\n")


def drip_status(handler: BaseHTTPRequestHandler, stopped: threading.Event) -> None:
    while not stopped.wait(0.3):
        handler.wfile.write(b"H")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.written(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("drip", [drip_body, drip_headers, drip_status])
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_an_answer_in_drops_gets_no_more_time_than_another(
    drip: Callable[..., None],
    secure: bool,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each drop comes in time, the complete answer would take minutes."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked, stopped = [], threading.Event()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        with suppress(OSError):
            drip(handler, stopped)

    began = time.monotonic()
    with (
        serving(reply, certificate if secure else None) as address,
        Client(address, "street", retry=RetryPolicy(attempt=1.0, deadline=2.0)) as client,
    ):
        with pytest.raises(Busy, match=r"did not answer within (1|0\.\d+) s$"):
            client.predict(IMAGE)
        taken = time.monotonic() - began
        stopped.set()
    assert len(asked) >= 2
    assert taken < 20


def test_by_https_a_certificate_is_asked_for_and_trusted_where_it_is_named(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        send(handler, METADATA if handler.command == "GET" else {"outputs": [[[0, 1], [2, 3]]]})

    with serving(reply, certificate) as address:
        with (
            Client(address, "street") as client,
            pytest.raises(ServingError) as error,
        ):
            client.predict(IMAGE)
        assert "self-signed certificate" in str(error.value)
        assert str(error.value).endswith("set SSL_CERT_FILE to a file of certificates to trust")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Client(address, "street") as client:
            assert client.predict(IMAGE)["mask"].tolist() == [[[0, 1], [2, 3]]]


def test_a_server_without_tls_is_away_and_no_matter_of_trust() -> None:
    retry = RetryPolicy(attempt=1.0, attempts=1)
    with (
        serving(lambda handler: send(handler, METADATA)) as address,
        Client(address.replace("http:", "https:"), "street", retry=retry) as client,
        pytest.raises(Busy, match="cannot be reached: "),
    ):
        client.predict(IMAGE)


def test_after_a_failure_what_waits_is_not_asked() -> None:
    """The first of many fails at once while the others are still under way."""
    asked: list[int] = []
    over = threading.Event()

    def reply(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "GET":
            return send(handler, METADATA)
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        number = body["inputs"][IMAGES][0][0][0][0]
        asked.append(number)
        if number:
            over.wait(60)
        return send(handler, {"error": "no"}, 400 if number == 0 else 503)

    stream = (np.full((2, 2, 3), number, np.uint8) for number in range(100))
    retry = RetryPolicy(attempt=2.0, attempts=1)
    with serving(reply) as address, Client(address, "street", retry=retry) as client:
        with pytest.raises(ServingError, match=r"refuses \(400\): no$"):
            list(client.predict_many(stream, batch=1, concurrency=8))
        over.set()
    assert len(asked) <= 9


def test_one_attempt_is_one_attempt() -> None:
    asked = []

    def busy(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        send(handler, {}, 503)

    with serving(busy) as address:
        for attempts in (1, 3):
            asked.clear()
            retry = RetryPolicy(attempts=attempts, first=0.01)
            with (
                Client(address, "street", retry=retry) as client,
                pytest.raises(Busy, match=r"is busy \(503\)$"),
            ):
                client.predict(IMAGE)
            assert len(asked) == attempts


def test_what_is_too_large_for_a_message_is_reported_and_not_retried() -> None:
    """gRPC gives it the status of an overloaded server, where asking again may help."""
    server = grpc.server(
        futures.ThreadPoolExecutor(1), options=[("grpc.max_receive_message_length", 1000)]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        prediction_service_pb2_grpc.PredictionServiceServicer(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    wire = GrpcWire(f"127.0.0.1:{port}", "street")
    try:
        with pytest.raises(ServingError, match=r"too large for one message, expected fewer") as no:
            wire.predict(DEFAULT, {IMAGES: np.zeros((1, 64, 64, 3), np.uint8)}, 30.0)
        assert not isinstance(no.value, Busy)
    finally:
        wire.close()
        server.stop(None)


class Counting(prediction_service_pb2_grpc.PredictionServiceServicer):
    """A server that counts its requests and answers each without outputs."""

    def __init__(self) -> None:
        self.requests = 0
        self.server = grpc.server(futures.ThreadPoolExecutor(1))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def Predict(self, request: object, context: object) -> predict_pb2.PredictResponse:
        self.requests += 1
        return predict_pb2.PredictResponse()


def test_requests_go_in_turns_to_all_addresses_of_a_name() -> None:
    """As behind a headless service; if a server ends, the other one gets them all."""
    servers = [Counting(), Counting()]
    wire = GrpcWire("ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server in servers), "street")
    try:
        until = time.monotonic() + 30
        while not all(server.requests for server in servers) and time.monotonic() < until:
            wire.predict(DEFAULT, {IMAGES: IMAGE}, 30.0)  # until both are connected
        before = [server.requests for server in servers]
        for _ in range(20):
            wire.predict(DEFAULT, {IMAGES: IMAGE}, 30.0)
        assert [server.requests - had for server, had in zip(servers, before, strict=True)] == [
            10,
            10,
        ]
        servers[0].server.stop(None).wait()
        answered, until = 0, time.monotonic() + 30
        while answered < 20 and time.monotonic() < until:
            with suppress(Busy, ServingError):  # the client repeats a request that a stop cuts
                wire.predict(DEFAULT, {IMAGES: IMAGE}, 30.0)
                answered += 1
        assert answered == 20
        assert servers[1].requests == before[1] + 30
    finally:
        wire.close()
        for server in servers:
            server.server.stop(None)


def test_a_missing_package_is_reported_where_it_is_needed() -> None:
    """Hides the package, as if the extra were not installed."""
    program = (
        "import sys; sys.modules['tensorflow_serving'] = None; from nas_tf.__main__ import main\n"
        "for scheme in ('grpc', 'http'):\n"
        "    sys.argv[1:] = ['loadtest', f'{scheme}://127.0.0.1:9/street']\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as ended:\n"
        "        print(ended.code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    by_grpc, by_http = done.stderr.splitlines()
    assert by_grpc.startswith("nas-tf: grpc:// needs tensorflow_serving")
    assert by_http.startswith("nas-tf: http://127.0.0.1:9/v1/models/street/metadata cannot be")
    assert done.stdout.split() == ["4", "6"]
