from __future__ import annotations

import json
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from served import served
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from quickvision.web.limits import Limits
from quickvision.web.wire import server

LIMITS = Limits(head=0.5, rest=0.3, write=0.5, connections=20)
HEADERS = {"X-Content-Type-Options": "nosniff"}
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def app():
    def hello(request):
        return PlainTextResponse("hello")

    def much(request):
        return PlainTextResponse("x" * 50_000_000)

    def fail(request):
        raise KeyError("mine")

    async def all_of_it(request):
        return PlainTextResponse(str(len(await request.body())))

    return Starlette(
        routes=[
            Route("/", hello, methods=["GET", "POST"]),
            Route("/much", much),
            Route("/fail", fail),
            Route("/all", all_of_it, methods=["POST"]),
        ]
    )


@pytest.fixture(scope="module")
def site():
    with served(server(app(), LIMITS, HEADERS)) as running:
        yield running


def lives(site):
    return site.ask("/").body == b"hello"


def test_it_answers_and_says_nothing_of_what_it_is(site):
    answer = site.ask("/")
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers["server"] is None


def test_who_sends_no_headers_is_cut_off(site):
    begun = time.monotonic()
    assert site.raw(b"GET / HTTP/1.1\r\n") == b""
    assert 0.4 < time.monotonic() - begun < 3


def test_who_trickles_headers_is_cut_off_and_others_are_answered(site):
    begun = time.monotonic()
    lines = [b"GET / HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 100]
    slow = [threading.Thread(target=site.raw, args=lines, kwargs={"pause": 0.1}) for _ in range(9)]
    for thread in slow:
        thread.start()
    assert lives(site)
    for thread in slow:
        thread.join()
    assert time.monotonic() - begun < 5


def test_a_second_request_of_a_connection_is_waited_for_no_longer(site):
    begun = time.monotonic()
    got = site.raw(GET, b"GET / HT", *[b"T"] * 30, pause=0.1)
    assert got.count(b"hello") == 1
    assert time.monotonic() - begun < 5


def test_a_flood_of_headers_is_refused(site):
    flood = b"GET / HTTP/1.1\r\n" + b"X-A: bbbbbbbbbb\r\n" * 10_000
    got = site.raw(flood)
    head, _, body = got.partition(b"\r\n\r\n")
    assert not got or (b" 400 " in head and b"nosniff" in head)
    assert not got or "16,384 bytes" in json.loads(body)["error"]
    assert lives(site)


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # https
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        b"G\xffT / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\r\nhello\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_with_a_sentence(site, text):
    head, _, body = site.raw(text).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"].startswith("expected an HTTP request")
    assert lives(site)


def test_two_gigabytes_that_nobody_wants_are_not_read(site):
    """An answer comes, and then the connection goes, however long bytes would come."""
    begun, sent = time.monotonic(), 0
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n")
        got = b""
        while b"hello" not in got:
            got += wire.recv(65_536)
        with suppress(ConnectionError):
            while sent < 10_000_000:
                sent += wire.send(b"x" * 1000)
                time.sleep(0.001)
    assert sent < 10_000_000
    assert time.monotonic() - begun < 5
    assert lives(site)


def test_who_is_answered_early_may_end_its_request_and_send_another(site):
    begin = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345"
    last = GET[:-2] + b"Connection: close\r\n\r\n"
    assert site.raw(begin, b"67890" + last, pause=0.05).count(b"hello") == 2


def test_who_takes_no_answer_is_cut_off(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as wire:
        wire.sendall(GET.replace(b"/ ", b"/much ", 1))
        time.sleep(1.2)
        got = 0
        with suppress(ConnectionError):
            while part := wire.recv(1_000_000):
                got += len(part)
    assert got < 50_000_000


def test_a_slow_reader_who_reads_is_served(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as wire:
        wire.sendall(GET.replace(b"/ ", b"/much ", 1))
        got = 0
        while got < 50_000_000:
            got += len(wire.recv(10_000_000))
            time.sleep(0.005)


def test_there_are_only_so_many_connections(site):
    idle = [socket.create_connection(("127.0.0.1", site.port), timeout=10) for _ in range(60)]
    try:
        gone = 0
        for wire in idle:
            wire.settimeout(0.05)
            try:
                gone += wire.recv(1) == b""
            except ConnectionError:
                gone += 1
            except TimeoutError:
                pass
        assert gone >= 40
    finally:
        for wire in idle:
            wire.close()
    time.sleep(0.2)
    assert lives(site)


def test_a_keep_alive_connection_is_used_again(site):
    last = GET[:-2] + b"Connection: close\r\n\r\n"
    assert site.raw(GET, GET, last, pause=0.05).count(b"hello") == 3
    assert site.raw(GET + GET + last).count(b"hello") == 3  # all at once


def test_our_own_mistakes_are_said_in_the_terminal(site, caplog):
    assert site.ask("/fail").status == 500
    time.sleep(0.3)  # it is said after the answer
    assert "mine" in caplog.text


def test_nothing_is_said_of_requests(site, caplog, capfd):
    caplog.set_level("DEBUG", "uvicorn")
    site.ask("/?token=secret")
    site.raw(b"nonsense\r\n\r\n")
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_and_are_not_raised_again(sig):
    made = server(app(), LIMITS, HEADERS)
    made.handle_exit(sig, None)
    assert made.should_exit
    assert made.force_exit == (sig == signal.SIGINT)
    assert made._captured_signals == []


@pytest.mark.parametrize(("force", "answered"), [(True, False), (False, True)])
def test_at_the_end_what_was_accepted_is_answered_unless_it_is_to_end_at_once(force, answered):
    async def slow(scope, receive, send):
        import asyncio

        await asyncio.sleep(0.7)
        await PlainTextResponse("late")(scope, receive, send)

    got = []
    with served(server(slow, replace(LIMITS, head=5), HEADERS)) as site:
        thread = threading.Thread(target=lambda: got.append(site.raw(GET)))
        thread.start()
        time.sleep(0.3)
        begun = time.monotonic()
        site.server.handle_exit(signal.SIGINT if force else signal.SIGTERM, None)
        thread.join()
    assert (b"late" in got[0]) == answered
    assert (time.monotonic() - begun < 0.45) == force
