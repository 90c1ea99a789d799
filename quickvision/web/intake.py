"""The body of a request: a picture's bytes, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request

from quickvision.web.limits import Limits, Refused, busy


class Intake:
    """Take pictures in, not more at a time than memory is set aside for.

    Args:
        limits: What they may be.

    Attributes:
        held: Bytes of all that are here.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits, self.held = limits, 0

    @asynccontextmanager
    async def picture(self, request: Request) -> AsyncIterator[bytes]:
        """Take one in, and hold it as long as the block goes.

        Raises:
            ClientDisconnect: Who sent it has gone.
            Refused: It is too large (413), no raw body (415), of unknown length (411), too slow
                (408), or there are too many (503).
        """
        length = self._length(request)
        taken = bytearray()
        try:
            await self._in_time(request, length, taken)
            yield bytes(taken)
        finally:
            self.held -= len(taken)

    async def _in_time(self, request: Request, length: int, taken: bytearray) -> None:
        try:
            async with asyncio.timeout(self._limits.body):
                await self._take(request, length, taken)
        except TimeoutError as error:
            raise Refused(408, "expected a picture, got nothing for too long; try again") from error

    def _length(self, request: Request) -> int:
        """Read how long it will be; it must be said, so that it can be refused at once."""
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise Refused(
                415,
                "expected the picture's file itself as the body, got a form:"
                " curl --data-binary @photo.jpg",
            )
        said = request.headers.get("content-length")
        if said is None:
            raise Refused(411, "expected a Content-Length, got none; send the file in one piece")
        length, most = int(said), self._limits.bytes  # h11 lets digits alone pass
        if length > most:
            got = f"{length / 1e6:,.1f} MB"
            raise Refused(
                413, f"expected a file of at most {most / 1e6:g} MB, got {got}; send a smaller one"
            )
        return length

    async def _take(self, request: Request, length: int, taken: bytearray) -> None:
        while len(taken) < length:
            message = await asyncio.wait_for(request.receive(), self._limits.idle)
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            if self.held + len(part) > self._limits.held:
                raise busy()
            taken += part
            self.held += len(part)
            if not message.get("more_body"):
                return
