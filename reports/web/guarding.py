"""What stands before every page: the name that the server is called by, the token, and the headers of each answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...errors import InputError
from ..html import style_hash
from .pages import message_page, sign_in_page

__all__ = ["LEAST_TOKEN", "Guard", "host_name"]

LEAST_TOKEN = 16
"""Characters that a token has at least: it is all that keeps others out."""

COOKIE = "offerlift_dashboard"
COOKIE_SECONDS = 12 * 3600
FORM_BYTES = 4096
LOOPBACK = ("localhost", "127.0.0.1", "::1")

ASGI = Callable[[Any, Any, Any], Awaitable[None]]


class Guard:
    """ASGI middleware around the dashboard.

    Args:
        app: the pages.
        token: that readers must have; None: none is asked for.
        hosts: names by which the server may be called, besides localhost and addresses in digits, which no other site
            can point elsewhere (DNS rebinding); "*" for any, where something in front has checked it.

    Raises:
        InputError: a token of less than 16 characters.
    """

    def __init__(self, app: ASGI, *, token: str | None, hosts: Iterable[str]):
        if token is not None and len(token) < LEAST_TOKEN:
            raise InputError(
                f"the token has {len(token)} characters, and needs at least {LEAST_TOKEN}",
                hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        self._app, self._hosts = app, {host.lower() for host in hosts}
        self._token = None if token is None else token.encode()
        rest = "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        self._policy = f"default-src 'none'; style-src '{style_hash()}'; {rest}"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one request; what is not HTTP gets nothing but the start and the end of the application."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1000})

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ours = {name.lower() for name, _ in self._headers()}
                kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in ours]
                message = {**message, "headers": [*kept, *self._headers()]}
            await send(message)

        answer = await self._refusal(Request(scope, receive))
        return await (answer or self._app)(scope, receive, send_guarded)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-security-policy", self._policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"x-robots-tag", b"noindex"),
        ]

    async def _refusal(self, request: Request) -> Response | None:
        """What is answered instead of the page; None where the page may be shown."""
        if not self._is_known(request.headers.get("host", "")):
            said = "This server is not known by the name in the address."
            hint = "Start it with --allow-host NAME, or open it by that machine's address in digits."
            return message_page(400, "Not this server", said, hint)
        if request.scope["path"].removeprefix(request.scope.get("root_path", "")) == "/sign-in":
            return await self._sign_in(request)
        if request.method not in ("GET", "HEAD"):
            said = "This dashboard only shows; nothing can be sent to it."
            return message_page(405, "Read only", said, headers={"Allow": "GET, HEAD"})
        return None if self._may_read(request) else _ask(request)

    def _is_known(self, host: str) -> bool:
        name = host_name(host)
        if "*" in self._hosts or name in self._hosts or name in LOOPBACK:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _may_read(self, request: Request) -> bool:
        if self._token is None:
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(given.strip().encode(), self._token)
        until, _, signed = request.cookies.get(COOKIE, "").partition(".")
        if not (until.isascii() and until.isdecimal()) or int(until) < time.time():
            return False
        return hmac.compare_digest(signed.encode(), self._signed(until).encode())

    def _signed(self, until: str) -> str:
        """The cookie knows that the token was given, not the token."""
        return hmac.new(self._token or b"", f"{COOKIE} until {until}".encode(), hashlib.sha256).hexdigest()

    async def _sign_in(self, request: Request) -> Response:
        if self._token is None:
            return RedirectResponse("./", status_code=303)
        if request.method != "POST":
            return _ask(request)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return message_page(403, "Not from here", "The form was sent by another site.")
        form = parse_qs((await _body(request)).decode("utf-8", "replace"))
        given = form.get("token", [""])[0].strip()
        if not hmac.compare_digest(given.encode(), self._token):
            return sign_in_page(form.get("next", [""])[0], is_wrong=True)
        answer = RedirectResponse(f"./{_ours(form.get('next', [''])[0])}", status_code=303)
        until = str(int(time.time()) + COOKIE_SECONDS)
        answer.set_cookie(
            COOKIE,
            f"{until}.{self._signed(until)}",
            max_age=COOKIE_SECONDS,
            path=f"{request.scope.get('root_path', '')}/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer


def host_name(host: str) -> str:
    """The name in a Host header, without its port and the brackets of IPv6, in lower case."""
    found = re.fullmatch(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d+)?", host.strip().lower())
    return (found.group(1) or found.group(2)) if found else ""


def _ask(request: Request) -> Response:
    """The form, or for what is no browser one line."""
    if "text/html" not in request.headers.get("accept", ""):
        said = "A token is needed: send it as `Authorization: Bearer TOKEN`."
        return Response(f"{said}\n", 401, {"WWW-Authenticate": "Bearer"}, "text/plain")
    path = request.url.path.rpartition("/")[2] if request.url.path else ""
    return sign_in_page(_ours(f"{path}?{request.url.query}" if request.url.query else path), is_wrong=False)


def _ours(place: str) -> str:
    """A page of this dashboard, relative to its root; "" for anything else."""
    return place if re.fullmatch(r"(?:experiment|compare)?(?:\?[\x21-\x7e]*)?", place) and "\\" not in place else ""


async def _body(request: Request) -> bytes:
    """The form, as far as one of ours can be long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_BYTES:
            return b""
    return body
