"""A server that runs in a thread, on a free port, and what asks it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from quickvision.web.wire import Server


@dataclass
class Said:
    """What it answers."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Served:
    """Where it is."""

    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path, body=None, *, method=None, headers=None, timeout=30) -> Said:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            method = method or ("GET" if body is None else "POST")
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Said(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def raw(self, *parts: bytes, pause=0.0, timeout=10.0) -> bytes:
        """Send bytes as they are; return all that comes until the server closes, or nothing."""
        got: list[bytes] = []

        def read() -> None:
            with suppress(OSError):
                while part := wire.recv(65_536):
                    got.append(part)

        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as wire:
            reader = threading.Thread(target=read)
            reader.start()
            with suppress(OSError):
                for part in parts:
                    wire.sendall(part)
                    time.sleep(pause)
            reader.join()
        return b"".join(got)


@contextmanager
def served(server: Server, port: int = 0) -> Iterator[Served]:
    """Run it until the block ends."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield Served(server, listening.getsockname()[1])
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)
            assert not thread.is_alive()
