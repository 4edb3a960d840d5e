"""One request's visitor, as the web helpers hand it to a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...errors import InputError
from ..assigner import Assigner, Assignment
from ..hashing import canonical_visitor
from ..recording import Recording

if TYPE_CHECKING:
    from ..steps import Step

__all__ = ["COOKIE", "COOKIE_MAX_AGE", "Identify", "ReadAttributes", "Visit"]

COOKIE = "offerlift_visitor"
"""Name of the cookie that keeps the visitor id, unless the shop names another."""

COOKIE_MAX_AGE = 400 * 24 * 3600
"""Seconds that the cookie lives: browsers cap a cookie's life at 400 days."""

Identify = Callable[[Any], str | int | None]
"""From the framework's request to the visitor id; None where the cookie should decide."""

ReadAttributes = Callable[[Any], Mapping[str, Any]]
"""From the framework's request to the attributes that eligibility rules look at."""


class Visit:
    """Assigns, exposes and records for the visitor of one request.

    Nothing happens before the first use: neither is the visitor identified nor an id made, so a page without an
    experiment sets no cookie and stays cacheable.

    Args:
        assigner: decides the arms.
        recorder: takes exposures and outcomes.
        request: the framework's request, for `identify` and `attributes`.
        cookie: the visitor id that the browser sent, None for none. One that cannot be an id counts as none.
        identify: the shop's own visitor id from the request. It must not change while an experiment runs: an id that
            changes at login moves the visitor to another arm.
        attributes: what eligibility rules look at, from the request; read once.
    """

    def __init__(
        self,
        assigner: Assigner,
        recorder: Recording,
        *,
        request: Any = None,
        cookie: str | None = None,
        identify: Identify | None = None,
        attributes: ReadAttributes | None = None,
    ):
        self._assigner = assigner
        self._recorder = recorder
        self._request = request
        self._cookie = cookie
        self._identify = identify
        self._read_attributes = attributes
        self._visitor: str | None = None
        self._attributes: Mapping[str, Any] | None = None
        self._from_cookie = False
        self._new = False

    @property
    def visitor(self) -> str:
        """The visitor id: what `identify` says, else the cookie's, else a new random one.

        Raises:
            InputError: `identify` returned something that cannot be an id.
        """
        if self._visitor is None:
            own = self._identify(self._request) if self._identify is not None else None
            if own is not None:
                self._visitor = canonical_visitor(own)
            else:
                kept = _usable(self._cookie)
                self._visitor = kept or uuid4().hex
                self._from_cookie, self._new = True, kept is None
        return self._visitor

    @property
    def depends_on_cookie(self) -> bool:
        """Whether the response must vary by cookie: the cookie's visitor was used."""
        return self._from_cookie

    @property
    def new_cookie(self) -> str | None:
        """The id to set as cookie; None where the browser has it or nobody asked."""
        return self._visitor if self._new else None

    def assign(self, experiment: str, attributes: Mapping[str, Any] | None = None, **options: Any) -> Assignment:
        """The visitor's arm. Records nothing.

        Args:
            experiment: its key.
            attributes: added to those of the request; of one name, these count.
            options: further keywords of `Assigner.assign`.
        """
        if self._attributes is None:
            self._attributes = self._read_attributes(self._request) if self._read_attributes is not None else {}
        merged = {**self._attributes, **attributes} if attributes else self._attributes
        return self._assigner.assign(experiment, self.visitor, merged, **options)

    def expose(self, assignment: Assignment) -> None:
        """Record the exposure; call it where the arms could first differ, for the control too."""
        self._recorder.expose(assignment)

    def assign_and_expose(
        self, experiment: str, attributes: Mapping[str, Any] | None = None, **options: Any
    ) -> Assignment:
        """The visitor's arm, recorded as an exposure; arguments as for `assign`."""
        assignment = self.assign(experiment, attributes, **options)
        self.expose(assignment)
        return assignment

    def offer_step(self, assignment: Assignment, step: Step, **details: Any) -> None:
        """Record how far the visitor came with the offer; `details` as for `Recorder.offer_step` (offer, reason)."""
        self._recorder.offer_step(assignment, step, **details)

    def outcome(self, outcome_id: str | int, name: str, **details: Any) -> None:
        """Record what the visitor did; `details` as for `Recorder.outcome` (value, cost, quantity, currency, ...)."""
        self._recorder.outcome(outcome_id, self.visitor, name, **details)


def _usable(cookie: str | None) -> str | None:
    # The browser sends what it likes; a request must not fail for it.
    try:
        return canonical_visitor(cookie) if cookie is not None else None
    except InputError:
        return None
