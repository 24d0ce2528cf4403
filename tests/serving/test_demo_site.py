"""The site of a demo: its files, their server, and the certificate for other devices."""

import hashlib
import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from nas_tf.errors import ConfigError
from serving import demo_runtime, demo_server, demo_site
from serving.demo_server import DemoServer
from serving.demo_site import DemoNetwork, Site
from tests.serving.demonstrated import of_no_runtime


@pytest.fixture(scope="module")
def site() -> Site:
    networks = [
        DemoNetwork("street", {"int8": b"small", "fp32": b"large"}),
        DemoNetwork("street", {"fp16": b"half"}),
        DemoNetwork("../<b>", {"int8": b"odd"}),
    ]
    return demo_site.build(networks, of_no_runtime())


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def server(site: Site, request: pytest.FixtureRequest) -> Iterator[DemoServer]:
    with DemoServer(site, request.param) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def asked(server: DemoServer, path: str, method: str = "GET") -> http.client.HTTPResponse:
    port = server.server_address[1]
    if server.address.fingerprint is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    else:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    connection.putrequest(method, path)
    connection.endheaders()
    answer = connection.getresponse()
    answer.content = answer.read()
    connection.close()
    return answer


def test_it_serves_its_files_with_their_types(server: DemoServer, site: Site) -> None:
    assert asked(server, "/").content == site.contents["index.html"]
    assert asked(server, "/?a=1").content == site.contents["index.html"]
    for path, content in site.contents.items():
        answer = asked(server, f"/{path}")
        assert (answer.status, answer.content) == (200, content)
        assert answer.headers["Content-Type"] == site.content_type(path)
        assert asked(server, f"/{path}", "HEAD").content == b""
    assert site.content_type("runtime/wasm/litert_wasm_internal.wasm") == "application/wasm"


@pytest.mark.parametrize(
    "path",
    [
        *("/../setup.py", "/%2e%2e/setup.py", "/..%2fsetup.py", "//etc/passwd", "/models/"),
        *(
            "/models/../index.html",
            "/index.html/",
            "/%00",
            "/models\\1-int8.tflite",
            "/favicon.ico",
        ),
        *("/__init__.py", "http://127.0.0.1/etc/passwd", "/" + "a" * 5000),
    ],
)
def test_it_serves_nothing_else(server: DemoServer, path: str) -> None:
    answer = asked(server, path)
    assert answer.status == 404
    assert answer.content == b"404 Not Found\n"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_it_accepts_no_other_method(server: DemoServer, method: str) -> None:
    assert asked(server, "/", method).status == 501


def test_every_answer_has_headers_that_restrict_the_page(server: DemoServer, site: Site) -> None:
    headers = asked(server, "/").headers
    policy = headers["Content-Security-Policy"]
    assert policy == f"{site.policy}; frame-ancestors 'none'"
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe-inline|'unsafe-eval'|http", policy)
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"].strip() == "nas-tf"


def test_other_devices_are_served_by_https_alone(server: DemoServer) -> None:
    port = server.server_address[1]
    if server.address.fingerprint is None:
        assert server.address.url == f"http://127.0.0.1:{port}/"
        return
    assert server.address.url.startswith("https://")
    shown = server.address.url.split("/")[2].rpartition(":")[0]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        context.wrap_socket(plain, server_hostname=shown) as secure,
    ):
        content = secure.getpeercert(binary_form=True)
    digest = hashlib.sha256(content).hexdigest().upper()
    assert server.address.fingerprint.replace(":", "") == digest
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"networks" not in plain.recv(1000)


def test_a_connection_that_says_nothing_holds_up_no_other(server: DemoServer) -> None:
    port = server.server_address[1]
    with socket.create_connection(("127.0.0.1", port)):
        assert asked(server, "/").status == 200


def test_a_port_that_is_taken_is_an_error(site: Site) -> None:
    with (
        DemoServer(site) as running,
        pytest.raises(ConfigError, match=r"port \d+ cannot be listened on: .*expected another"),
    ):
        DemoServer(site, "127.0.0.1", running.server_address[1])
    with pytest.raises(ConfigError, match=r"192.0.2.1 port 0 cannot be listened on"):
        DemoServer(site, "192.0.2.1")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("pc", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert demo_server.is_loopback(host) is expected


def test_the_list_names_each_network_and_its_models(site: Site) -> None:
    listing = json.loads(site.contents["networks.json"])
    assert [entry["name"] for entry in listing["networks"]] == ["street", "street (2)", "../<b>"]
    for entry in listing["networks"]:
        for model in entry["models"]:
            assert re.fullmatch(r"models/\d-\w+\.tflite", model["path"])
            assert model["path"] in site.contents
    assert listing["max_pixels"] == 1 << 26


def test_the_policy_is_in_the_page_and_allows_its_inline_script(site: Site) -> None:
    page = site.contents["index.html"].decode()
    assert unescape(re.search(r'Security-Policy" content="([^"]+)"', page)[1]) == site.policy
    assert len(re.findall(r"<script(?![^>]*src=)", page)) == site.policy.count("sha256-") == 1
    assert not re.search(r"""\s(?:style|on\w+)=["']""", page)


def test_the_page_asks_for_nothing_from_elsewhere(site: Site) -> None:
    for path, content in site.contents.items():
        if path.endswith((".html", ".css", ".js")) and not path.startswith("runtime/"):
            assert not re.search(rb"https?://", content), path
    named = re.findall(r'(?:src|href)="([^"]+)"', site.contents["index.html"].decode())
    assert [name for name in named if name not in site.contents] == ["data:,"]
    for path, content in site.contents.items():
        for name in re.findall(rb'from "\./(\S+)"', content):
            assert name.decode() in site.contents, path


def test_a_site_is_written_completely_or_not_at_all(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    demo_site.write(site, folder)
    written = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert written == site.contents
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    with pytest.raises(ConfigError, match="site holds something, expected a new or an empty"):
        demo_site.write(site, folder)
    (tmp_path / "empty").mkdir()
    demo_site.write(site, tmp_path / "empty")
    assert (tmp_path / "empty" / "index.html").exists()


def test_a_qr_code_is_drawn() -> None:
    drawing = demo_server.qr_code("https://192.0.2.7:8420/")
    assert drawing is not None
    assert len(drawing.splitlines()) > 10
    assert "\u2584" in drawing or "\u2580" in drawing


def test_the_files_of_the_runtime_are_all_checked() -> None:
    assert len(demo_runtime.FILES) == 10
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for _, digest in demo_runtime.FILES.values())
