"""The way from a phone to this computer: its address in the network, a code to scan."""

from __future__ import annotations

import io
import socket

import segno

from quickvision.base.errors import QuickvisionError

_ON, _OFF = "\x1b[97;40m", "\x1b[0m"  # whatever colours the terminal has
_NOWHERE = ("192.0.2.1", 9)  # kept for examples (RFC 5737): nothing is sent to it


def lan_address() -> str:
    """Return the address by which others in the network reach this computer.

    Raises:
        QuickvisionError: It is in none.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect(_NOWHERE)  # which only asks for the way
            address = str(asked.getsockname()[0])
    except OSError as error:
        raise _alone() from error
    if address.startswith(("127.", "0.")):
        raise _alone()
    return address


def _alone() -> QuickvisionError:
    return QuickvisionError(
        "expected a network that phones are in, got none; connect to it, or serve without --lan"
        " (lan=False)"
    )


def code(url: str) -> str:
    """Return a QR code, to be shown in a terminal: white on black, two rows a line."""
    drawn = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(drawn, compact=True, border=2)
    lines = drawn.getvalue().rstrip("\n").split("\n")
    return "\n".join(f"{_ON}{one}{_OFF}" for one in lines)
