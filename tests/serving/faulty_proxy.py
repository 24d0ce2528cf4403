"""A TCP proxy between a client and a server whose connections fail, each in a way of its own."""

import itertools
import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress

_PIECE = 4096
_DRIP = 256
FAULTS = ("reset", "close", "half-open", "drip")


class FaultyProxy:
    """Listens on loopback; ``with`` closes it and all connections.

    After some bytes of answers a connection is reset, closed, forwards nothing more in either
    direction while it stays open (half-open), or forwards a few bytes at a time and is then reset.
    The faults take turns.

    Args:
        port: The port of the server, on loopback.
        seed: Seed of the faults and of the bytes before them.
        most: The largest number of bytes before a fault.
    """

    def __init__(self, port: int, *, seed: int, most: int) -> None:
        self._server, self._rng, self._most = port, random.Random(seed), most
        self.faults: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "FaultyProxy":
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        faults = itertools.cycle(FAULTS)
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                fault, budget = next(faults), self._rng.randrange(self._most)
                self.faults[fault] += 1
                server = socket.create_connection(("127.0.0.1", self._server))
                self._open += [client, server]
                stalled = threading.Event()
                for target, *arguments in (
                    (self._send, client, server, stalled),
                    (self._answer, server, client, stalled, fault, budget),
                ):
                    threading.Thread(target=target, args=arguments, daemon=True).start()

    def _send(
        self, client: socket.socket, server: socket.socket, stalled: threading.Event
    ) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                if not stalled.is_set():
                    server.sendall(piece)
            server.shutdown(socket.SHUT_WR)

    def _answer(
        self,
        server: socket.socket,
        client: socket.socket,
        stalled: threading.Event,
        fault: str,
        budget: int,
    ) -> None:
        with suppress(OSError):
            while piece := server.recv(_PIECE):
                client.sendall(piece[:budget])
                if len(piece) > budget:
                    if fault == "half-open":
                        stalled.set()
                        return
                    if fault == "drip":
                        for start in range(budget, len(piece), _DRIP):
                            client.sendall(piece[start : start + _DRIP])
                            time.sleep(0.05)
                    _end(client, server, abruptly=fault != "close")
                    return
                budget -= len(piece)
            client.shutdown(socket.SHUT_WR)


def _end(client: socket.socket, server: socket.socket, *, abruptly: bool) -> None:
    """Ends both connections; an abrupt end is a reset, which loses what is under way."""
    if abruptly:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        client.shutdown(socket.SHUT_RDWR)
    client.close()
    server.shutdown(socket.SHUT_RDWR)
