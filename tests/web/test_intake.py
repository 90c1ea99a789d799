from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from starlette.requests import ClientDisconnect, Request

from quickvision.web.intake import Intake
from quickvision.web.limits import Limits, Refused

LIMITS = Limits(bytes=1000, held=1500, body=0.5, idle=0.2)


def request(*parts, length=None, headers=(), pause=0.0):
    """A request whose body comes in these parts; None is a client that goes away."""
    messages = [
        {"type": "http.disconnect"}
        if part is None
        else {"type": "http.request", "body": part, "more_body": True}
        for part in parts
    ]

    async def receive():
        await asyncio.sleep(pause)
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    if length is None:
        length = sum(len(part or b"") for part in parts)
    said = [(b"content-length", str(length).encode())] if length != "" else []
    return Request({"type": "http", "method": "POST", "headers": [*said, *headers]}, receive)


def taken(intake, asked):
    async def take():
        async with intake.picture(asked) as data:
            assert intake.held == len(data)
            return data

    return asyncio.run(take())


def refused(asked, limits=LIMITS):
    intake = Intake(limits)
    with pytest.raises(Refused) as caught:
        taken(intake, asked)
    assert intake.held == 0
    return caught.value


def test_what_comes_in_parts_is_whole():
    intake = Intake(LIMITS)
    assert taken(intake, request(b"ab", b"", b"cd" * 400)) == b"ab" + b"cd" * 400
    assert taken(intake, request()) == b""
    assert intake.held == 0


def test_what_says_that_it_is_too_large_is_refused_unread():
    error = refused(request(length=2 * 2**30))
    assert error.status == 413
    assert "at most 0.001 MB, got 2,147.5 MB" in error.why


def test_a_length_has_to_be_said():
    assert refused(request(b"abc", length="")).status == 411


def test_a_form_is_refused_with_the_way_to_send_it():
    kind = (b"content-type", b"Multipart/Form-Data; boundary=x")
    error = refused(request(b"abc", headers=[kind]))
    assert error.status == 415
    assert "--data-binary" in error.why


@pytest.mark.parametrize("pause", [0.05, 0.3])
def test_a_trickle_is_cut_off(pause):
    error = refused(request(*[b"a"] * 100, pause=pause))
    assert error.status == 408


def test_no_more_is_held_than_is_set_aside():
    async def both():
        intake = Intake(LIMITS)
        async with intake.picture(request(b"a" * 900)):
            with pytest.raises(Refused) as caught:
                async with intake.picture(request(b"b" * 900)):
                    pass
            assert caught.value.status == 503
            assert intake.held == 900
            async with intake.picture(request(b"b" * 500)):
                assert intake.held == 1400
        assert intake.held == 0

    asyncio.run(both())


def test_who_goes_away_leaves_nothing():
    intake = Intake(LIMITS)
    with pytest.raises(ClientDisconnect):
        taken(intake, request(b"a" * 10, None, length=100))
    assert intake.held == 0


def test_what_goes_wrong_later_is_not_taken_for_slowness():
    async def late():
        intake = Intake(replace(LIMITS, body=5))
        with pytest.raises(TimeoutError):
            async with intake.picture(request(b"a")):
                raise TimeoutError
        assert intake.held == 0

    asyncio.run(late())
