from __future__ import annotations

import ipaddress
import socket

import pytest
import segno

import quickvision as qv
from quickvision.web import lan

URL = "http://192.168.1.50:8000/?token=abcdefghijklmnopqrstuv"


def test_the_address_is_one_that_others_reach():
    try:
        found = lan.lan_address()
    except qv.QuickvisionError:
        pytest.skip("this machine is in no network")
    assert not ipaddress.ip_address(found).is_loopback


@pytest.mark.parametrize("address", [None, "127.0.0.1", "0.0.0.0"])
def test_without_a_network_it_says_so(monkeypatch, address):
    class Asked:
        def __init__(self, *kind):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *why):
            pass

        def connect(self, where):
            if address is None:
                raise OSError("Network is unreachable")

        def getsockname(self):
            return (address, 1)

    monkeypatch.setattr(socket, "socket", Asked)
    with pytest.raises(qv.QuickvisionError, match=r"expected a network .* --lan \(lan=False\)"):
        lan.lan_address()


def test_the_code_is_the_address_drawn_in_blocks():
    drawn = lan.code(URL)
    lines = [one.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m") for one in drawn.split("\n")]
    assert set("".join(lines)) <= set("█▀▄ ")
    matrix = segno.make(URL, error="l", micro=False).matrix
    side = len(matrix) + 4
    assert {len(one) for one in lines} == {side}
    assert max(map(len, lines)) <= 50  # as wide as a narrow terminal
    # light is drawn, and dark is left: each character is two pixels, one above the other
    above = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
    rows = [[above[c][half] for c in one] for one in lines for half in (0, 1)][:side]
    inside = [[1 - pixel for pixel in row[2:-2]] for row in rows[2:-2]]
    assert inside == [list(row) for row in matrix]
