"""Offers in Django: `request.offers` is the request's `Visit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from ..assigner import Assigner
from ..recording import Recording
from .visit import COOKIE, COOKIE_MAX_AGE, Identify, ReadAttributes, Visit

__all__ = ["offers_middleware"]


def offers_middleware(
    assigner: Assigner,
    recorder: Recording,
    *,
    cookie: str = COOKIE,
    identify: Identify | None = None,
    attributes: ReadAttributes | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A sync and async middleware that gives every request `request.offers` and keeps the visitor id in a cookie.

    List the dotted path of the result in `MIDDLEWARE`. `cookie` is the cookie's name; the others are as for `Visit`.
    """
    visit = partial(Visit, assigner, recorder, identify=identify, attributes=attributes)

    def begin(request: Any) -> None:
        request.offers = visit(request=request, cookie=request.COOKIES.get(cookie))

    def finish(request: Any, response: Any) -> Any:
        if request.offers.depends_on_cookie:
            patch_vary_headers(response, ("Cookie",))
            new, secure = request.offers.new_cookie, request.is_secure()
            if new is not None:
                response.set_cookie(cookie, new, COOKIE_MAX_AGE, secure=secure, httponly=True, samesite="Lax")
        return response

    @sync_and_async_middleware
    def middleware(get_response: Callable[..., Any]) -> Callable[..., Any]:
        async def respond_async(request: Any) -> Any:
            begin(request)
            return finish(request, await get_response(request))

        def respond(request: Any) -> Any:
            begin(request)
            return finish(request, get_response(request))

        return respond_async if iscoroutinefunction(get_response) else respond

    return middleware
