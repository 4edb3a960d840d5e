"""Offers in Flask: `g.offers` is the request's `Visit`."""

from __future__ import annotations

from functools import partial

import flask

from ..assigner import Assigner
from ..recording import Recording
from .visit import COOKIE, COOKIE_MAX_AGE, Identify, ReadAttributes, Visit

__all__ = ["Offers"]


class Offers:
    """Flask extension that gives every request `g.offers` and keeps the visitor id in a cookie.

    `app` may be None where a factory calls `init_app`; `cookie` is the cookie's name; the others are as for `Visit`.
    """

    def __init__(
        self,
        app: flask.Flask | None,
        assigner: Assigner,
        recorder: Recording,
        *,
        cookie: str = COOKIE,
        identify: Identify | None = None,
        attributes: ReadAttributes | None = None,
    ):
        self._cookie = cookie
        self._visit = partial(Visit, assigner, recorder, identify=identify, attributes=attributes)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Attach to an application."""
        app.extensions["offerlift"] = self
        app.before_request(self._begin)
        app.after_request(self._finish)

    def _begin(self) -> None:
        # The visit outlives the proxy, whose declared type hides the way to what it stands for.
        request = flask.request._get_current_object()  # type: ignore[attr-defined]
        flask.g.offers = self._visit(request=request, cookie=request.cookies.get(self._cookie))

    def _finish(self, response: flask.Response) -> flask.Response:
        visit: Visit | None = flask.g.get("offers")
        if visit is not None and visit.depends_on_cookie:
            response.vary.add("Cookie")
            if visit.new_cookie is not None:
                secure = flask.request.is_secure
                response.set_cookie(
                    self._cookie, visit.new_cookie, COOKIE_MAX_AGE, secure=secure, httponly=True, samesite="Lax"
                )
        return response
