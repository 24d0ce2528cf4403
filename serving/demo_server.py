"""A small web server for the page of a demo: it serves the files of a site and nothing else."""

import io
import ipaddress
import socket
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from nas_tf.errors import ConfigError
from serving import certificate
from serving.demo_site import PAGE, Site

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ELSEWHERE = "192.0.2.1"
"""An address of no machine (RFC 5737), towards which the system chooses its own address."""


@dataclass(frozen=True)
class Address:
    """The address at which a server is reached.

    Args:
        url: The address of the page.
        fingerprint: The SHA-256 of the server's certificate; None without HTTPS.
    """

    url: str
    fingerprint: str | None = None


class DemoServer(ThreadingHTTPServer):
    """A server of a site, which listens from the start and answers in ``serve_forever``.

    On an address of another kind than loopback it serves by HTTPS, since browsers give cameras to
    secure pages only.

    Args:
        site: The files.
        host: The address or the name on which it listens.
        port: The port; 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, site: Site, host: str = "127.0.0.1", port: int = 0) -> None:
        self.site = site
        try:
            self.address_family = socket.getaddrinfo(host, port)[0][0]
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"{host} port {port} cannot be listened on: {reason}, expected another --host or "
                "--port"
            ) from error
        shown = _reachable(host)
        scheme, fingerprint = "http", None
        if not is_loopback(host):
            try:
                context, fingerprint = certificate.server_context(sorted({shown, "localhost"}))
            except BaseException:
                self.server_close()
                raise
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
            scheme = "https"
        name = f"[{shown}]" if ":" in shown else shown
        self.address = Address(f"{scheme}://{name}:{self.server_address[1]}/", fingerprint)

    def server_bind(self) -> None:
        """Binds the socket, without asking for the name of this machine."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores connections that break off, as those of a browser that refuses a certificate."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the paths of the site."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "nas-tf", ""
    timeout = 60
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"
    server: DemoServer

    def do_GET(self) -> None:
        """Sends a file."""
        self._send(with_content=True)

    def do_HEAD(self) -> None:
        """Sends the headers of a file."""
        self._send(with_content=False)

    def _send(self, *, with_content: bool) -> None:
        site = self.server.site
        path = unquote(self.path.partition("?")[0]).removeprefix("/") or PAGE
        content = site.contents.get(path)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", site.content_type(path))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_content:
            with suppress(ConnectionError, ssl.SSLError):
                self.wfile.write(content)

    def end_headers(self) -> None:
        """Adds the headers that every answer has."""
        policy = f"{self.server.site.policy}; frame-ancestors 'none'"
        for name, value in {**_HEADERS, "Content-Security-Policy": policy}.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing: requests are the browser's."""


def is_loopback(host: str) -> bool:
    """Returns whether only this machine reaches an address or a name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def qr_code(text: str) -> str | None:
    """Returns a text as a QR code of block characters; None without the package segno."""
    try:
        import segno
    except ImportError:
        return None
    drawing = io.StringIO()
    segno.make(text, micro=False).terminal(drawing, compact=True)
    return drawing.getvalue()


def _reachable(host: str) -> str:
    """Returns the host by which others reach this machine, where it listens on all addresses."""
    if host not in ("0.0.0.0", "::", ""):
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE, 9))  # sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
