"""The connection: slow clients are cut off, what is no HTTP is refused, and how the server ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from quickvision.web.guards import refusal
from quickvision.web.limits import Limits, Refused


class Patient(H11Protocol):
    """uvicorn's protocol, which waits for a client only so long.

    uvicorn itself waits for ever for headers, for a client that takes its answer, and reads on
    after a refusal for as long as bytes come. `patient` makes it.

    Attributes:
        limits: How long, and how much.
        said: Headers that go with the refusal of what is no HTTP.
    """

    limits: Limits
    said: dict[str, str]
    _state: str = ""  # what is waited for, and the timer that ends it
    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a client, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on with the connection."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let a client go."""
        super().connection_lost(exc)
        for timer in (self._timer, self._writing):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """Wait for who takes its answer slowly."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.limits.write, self.transport.abort)

    def resume_writing(self) -> None:
        """Write on."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()

    def _watch(self) -> None:
        """Set the timer for what is waited for now: headers, or the rest of what is refused."""
        state, seconds = "", 0.0
        answered = self.cycle is not None and self.cycle.response_complete
        if self.conn.their_state is h11.IDLE:
            state, seconds = "head", self.limits.head
        elif self.conn.their_state is h11.SEND_BODY and answered:
            state, seconds = "rest", self.limits.rest
        if state == self._state:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._state = state
        self._timer = self.loop.call_later(seconds, self.transport.abort) if state else None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or has too many headers."""
        most = f"{self.limits.headers:,} bytes of headers"
        why = f"expected an HTTP request of at most {most}, got something else"
        answer = refusal(Refused(400, why, {**self.said, "Connection": "close"}))
        start = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
        try:
            for event in (start, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # an answer is on its way already
            pass
        self.transport.close()


def patient(limits: Limits, headers: dict[str, str]) -> type[H11Protocol]:
    """Return the protocol with its limits; uvicorn wants a class."""
    return type("Patient", (Patient,), {"limits": limits, "said": headers})


class Server(uvicorn.Server):
    """uvicorn's, which ends at once with Ctrl-C, and with SIGTERM when all is answered."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; it is not raised again at the end, as uvicorn does."""
        self.should_exit = True
        if sig == signal.SIGINT:
            self.force_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End: those who are still connected are cut off where it has to be at once."""
        if self.force_exit:
            await self._cut_off()
        await super().shutdown(sockets)

    async def _cut_off(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        log, tasks = logging.getLogger("uvicorn.error"), list(self.server_state.tasks)
        log.disabled = True  # they have not failed
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        log.disabled = False


def server(app: Any, limits: Limits, headers: dict[str, str]) -> Server:
    """Return a server of an application, which says nothing of what it is asked."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=patient(limits, headers),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # its own mistakes
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=limits.headers,
    )
    return Server(config)
