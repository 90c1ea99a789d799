"""Who may ask, and what each answer tells a browser: the layer around the page's application."""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quickvision.web.limits import Refused

OPEN = ("/healthz",)  # what no token is needed for


class Answer(Response):
    """An answer in JSON; whatever class names hold comes through."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write it, in UTF-8."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode("utf-8", "replace")


def refusal(error: Refused) -> Answer:
    """Return a refusal as an answer: its sentence."""
    return Answer({"error": error.why}, error.status, error.headers)


def headers_for(scripts: str, styles: str) -> dict[str, str]:
    """Return the headers that go with every answer.

    A browser then runs and loads nothing but the page's own script and styles, sends nothing
    elsewhere, takes a picture for nothing else, and shows the page in no other page's frame.

    Args:
        scripts: Hashes of the page's scripts, as a policy names them.
        styles: Those of its styles.
    """
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' blob: data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


class Guarded:
    """Let a request come to the application, or refuse it; put headers on what goes out.

    Args:
        app: The application.
        headers: That go with every answer.
        token: That has to be shown; None where all who reach the server may ask.
        names: Names, beside "localhost" and addresses, that the server is reached by. Another name
            is that of a page which wants to read from here what it may not (DNS rebinding): it can
            have its name point here, but an address in its place is of its own server.
    """

    def __init__(
        self,
        app: ASGIApp,
        headers: dict[str, str],
        *,
        token: str | None = None,
        names: Collection[str] = (),
    ) -> None:
        self._app, self._headers = app, headers
        self._token = None if token is None else token.encode()
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        try:
            self._check(scope)
        except Refused as error:
            await refusal(error)(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Refused(
                421,
                "expected the address that quickvision has printed, got another name; allow a name"
                " with --host NAME",
            )
        if scope["method"] not in ("GET", "HEAD"):
            _check_site(headers, host)
        if self._token is not None and scope["path"] not in OPEN:
            self._check_token(scope, headers)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            asked = parse_qs(scope["query_string"].decode("latin-1"))
            shown = asked.get("token", [""])[0]
        if not hmac.compare_digest(shown.strip().encode(), self._token or b""):
            raise Refused(
                401,
                "expected the token of this server, got none or another; scan the code again, or"
                " open the whole address that quickvision has printed",
                {"WWW-Authenticate": "Bearer"},
            )


def _check_site(headers: Headers, host: str) -> None:
    """Refuse what another site's page has a browser send; curl says nothing of a site."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    own = origin is None or origin.lower().partition("://")[2] == host.lower()
    if site not in (None, "same-origin", "none") or not own:
        raise Refused(403, "expected a request of this server's own page, got one of another site")
