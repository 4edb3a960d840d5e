"""Offers in ASGI applications (Starlette, FastAPI, Litestar): `request.state.offers` is the request's `Visit`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .visit import COOKIE, COOKIE_MAX_AGE, Visit

__all__ = ["OffersMiddleware"]

_STARTS = ("http.response.start", "websocket.accept")


class OffersMiddleware:
    """ASGI middleware that puts a `Visit` into `scope["state"]["offers"]` and keeps the visitor id in a cookie.

    `cookie` is the cookie's name; `options` are `assigner`, `recorder`, `identify` and `attributes` of `Visit`. The
    request that the latter two get is the scope.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], *, cookie: str = COOKIE, **options: Any):
        Visit(**options)  # A missing or misspelt option fails when the application is built, not in a request.
        self._app, self._cookie, self._visit = app, cookie, partial(Visit, **options)

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        """Serve one connection; what is neither HTTP nor a websocket goes through untouched."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        visit = self._visit(request=scope, cookie=_read(scope, self._cookie))
        scope.setdefault("state", {})["offers"] = visit

        async def send_with_cookie(message: Any) -> None:
            if message["type"] in _STARTS and visit.depends_on_cookie:
                headers = [*message.get("headers", ()), (b"vary", b"Cookie")]
                if visit.new_cookie is not None:
                    secure = "; Secure" if scope.get("scheme") in ("https", "wss") else ""
                    text = (
                        f"{self._cookie}={visit.new_cookie}; Max-Age={COOKIE_MAX_AGE}; Path=/; HttpOnly; SameSite=Lax"
                    )
                    headers.append((b"set-cookie", f"{text}{secure}".encode("latin-1")))
                message = {**message, "headers": headers}
            await send(message)

        return await self._app(scope, receive, send_with_cookie)


def _read(scope: Any, name: str) -> str | None:
    # By hand: http.cookies gives up at the first cookie that it dislikes, and a lost id would move the visitor.
    sent = b";".join(value for key, value in scope["headers"] if key == b"cookie").decode("latin-1")
    pairs = (pair.strip().partition("=") for pair in sent.split(";"))
    return next((value for key, _, value in pairs if key == name), None)
