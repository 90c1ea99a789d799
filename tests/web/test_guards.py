from __future__ import annotations

import asyncio
import json

import pytest
from starlette.responses import PlainTextResponse

from quickvision.web import guards
from quickvision.web.guards import Answer, Guarded, headers_for, refusal
from quickvision.web.limits import Refused

HEADERS = headers_for("'sha256-a'", "'sha256-b'")


def ask(guarded, method="GET", path="/", query="", **headers):
    """Ask, past all servers; return the status, the headers, the body."""
    sent = []
    headers = {"host": "127.0.0.1:8000"} | headers
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(guarded(scope, receive, send))
    start, body = sent
    said = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], said, body["body"]


OPEN = Guarded(PlainTextResponse("yes"), HEADERS)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "localhost", "LOCALHOST:99", "[::1]:8000", "192.168.1.5", "10.0.0.7:80"],
)
def test_addresses_and_localhost_are_let_in(host):
    assert ask(OPEN, host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "",
        "[",
        "127.1",
        "a b",
    ],
)
def test_another_name_is_refused(host):
    status, _, body = ask(OPEN, host=host)
    assert status == 421
    assert "got another name" in json.loads(body)["error"]


def test_a_name_can_be_allowed():
    named = Guarded(PlainTextResponse("yes"), HEADERS, names=["Photos.example"])
    assert ask(named, host="photos.example:8000")[0] == 200
    assert ask(named, host="other.example")[0] == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site", "whatever"])
def test_what_another_sites_page_posts_is_refused(site):
    status, _, body = ask(OPEN, "POST", sec_fetch_site=site)
    assert status == 403
    assert "another site" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:9000",
        "http://127.0.0.1",
        "file://",
        "http://[",
    ],
)
def test_what_comes_from_another_origin_is_refused(origin):
    assert ask(OPEN, "POST", origin=origin)[0] == 403


def test_the_page_itself_and_programs_may_post():
    own = {"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8000"}
    assert ask(OPEN, "POST", **own)[0] == 200
    assert ask(OPEN, "POST", sec_fetch_site="none")[0] == 200
    assert ask(OPEN, "POST")[0] == 200
    assert ask(OPEN, "GET", sec_fetch_site="cross-site")[0] == 200  # a link to the page


TOKEN = Guarded(PlainTextResponse("yes"), HEADERS, token="s3cret-Token")


@pytest.mark.parametrize(
    "shown",
    [{}, {"query": "token="}, {"query": "token=s3cret-Toke"}, {"query": "token=s3cret-token"}]
    + [{"query": "token=%ff"}, {"query": "token=é"}, {"query": "&".join(["a=1"] * 11)}]
    + [{"authorization": kind} for kind in ("Bearer", "Bearer x", "Basic s3cret-Token", "é")],
)
def test_without_the_token_nobody_is_let_in(shown):
    status, headers, body = ask(TOKEN, **shown)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert "expected the token" in json.loads(body)["error"]


def test_the_token_is_taken_from_the_address_or_the_header():
    assert ask(TOKEN, query="token=s3cret-Token")[0] == 200
    assert ask(TOKEN, authorization="Bearer s3cret-Token")[0] == 200
    assert ask(TOKEN, "POST", "/predict", authorization="bearer  s3cret-Token")[0] == 200


def test_whether_the_server_lives_is_no_secret():
    assert ask(TOKEN, path="/healthz")[0] == 200


def test_the_token_is_compared_in_constant_time(monkeypatch):
    seen = []
    real = guards.hmac.compare_digest
    monkeypatch.setattr(
        guards.hmac, "compare_digest", lambda a, b: seen.append((a, b)) or real(a, b)
    )
    ask(TOKEN, query="token=abc")
    assert seen == [(b"abc", b"s3cret-Token")]


@pytest.mark.parametrize(
    "how", [{}, {"host": "evil.example"}, {"method": "POST", "origin": "null"}]
)
def test_every_answer_has_the_headers(how):
    _, headers, _ = ask(OPEN, **how)
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-a'; style-src 'sha256-b';")
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"


def test_answers_hold_whatever_names_hold():
    names = ["<script>", '"', "\u202egnp", "\ud800", "école", "</script>", "\0"]
    said = json.loads(Answer({"probs": dict.fromkeys(names, 0.5)}).body)
    assert [*said["probs"]] == ["<script>", '"', "\u202egnp", "?", "école", "</script>", "\0"]


def test_a_refusal_is_a_sentence_with_its_headers():
    answer = refusal(Refused(503, "later", {"Retry-After": "2"}))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert json.loads(answer.body) == {"error": "later"}
