"""What is too much for the page's server, in numbers, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a request may cost; times in seconds.

    Attributes:
        bytes: Of a picture's file.
        pixels: Of a picture, by its header.
        ratio: Of its longer side to its shorter one: resizing multiplies the longer one, too.
        scans: Of a JPEG: each goes through all of its pixels.
        large: Pixels above which pictures are decoded one at a time.
        held: Bytes of all files that are on their way or wait.
        headers: Bytes of a request's line and headers.
        connections: That are open at once.
        waiting: Pictures that wait for a core.
        wait: For a core.
        head: Until a request's headers are there.
        body: Until its picture is there.
        idle: Without a byte of it.
        rest: That bytes of a picture which is refused already are still read, so that who sends it
            comes to read why.
        write: Without an answer being taken.
    """

    bytes: int = 20_000_000
    pixels: int = 40_000_000
    ratio: int = 100
    scans: int = 100
    large: int = 10_000_000
    held: int = 200_000_000
    headers: int = 16_384
    connections: int = 256
    waiting: int = 32
    wait: float = 20.0
    head: float = 10.0
    body: float = 60.0
    idle: float = 10.0
    rest: float = 2.0
    write: float = 10.0


class Refused(Exception):
    """A request that gets no answer but a sentence why.

    Args:
        status: HTTP's number for it.
        why: The sentence.
        headers: That go with it.
    """

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers or {}


def busy() -> Refused:
    """Return the refusal of one who may come again soon."""
    why = "too many pictures are waiting already: try again in two seconds"
    return Refused(503, why, {"Retry-After": "2"})
