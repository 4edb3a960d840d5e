"""The dashboard as an ASGI application: which address shows what."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...errors import InputError, OfferliftError, StoreError
from ...errors.nearest import known_or_nearest
from ..csv_text import csv_text
from ..html import render_html
from ..review import Review, in_order
from ..review_html import render_review_html
from ..rows import card_rows, review_document, review_rows
from .cards import Cards, Kept, Wanted
from .guarding import Guard
from .pages import (
    Shown,
    age_in_words,
    comparison_page,
    experiment_page,
    message_page,
    overview_comparison_page,
    overview_page,
)

__all__ = ["app"]

PATIENCE = 10.0
"""Seconds that a page waits for an experiment that was not computed yet."""

GLANCE = 0.5
"""Seconds that a page waits for a later version or look, when it has an earlier one to show."""

EARLIEST_CLOCK = timedelta(hours=14)
"""By which the first place on earth is ahead of UTC: no experiment has a later day."""

MOST_KEY = 1_000
"""Characters of a key that is looked for."""


def app(
    store_url: str | Path,
    *,
    token: str | None = None,
    hosts: Collection[str] = (),
    schema: str | None = None,
    fresh_seconds: float = 60.0,
) -> Guard:
    """The dashboard, an ASGI application that can be served by itself or mounted under a prefix of another.

    It only reads: no look is recorded, what the review withholds is withheld, and the store is opened read-only. The
    first request is the first that reads it.

    Args:
        store_url: of the store, or the path of a SQLite file.
        token: that readers must give, at least 16 characters; None: whoever can connect may read.
        hosts: names by which the server may be called, besides localhost and addresses in digits; "*" for any, where
            the application around it has checked the name.
        schema: of PostgreSQL, the schema of the tables.
        fresh_seconds: how old numbers may be before they are computed anew in the background.

    Raises:
        InputError: a token of less than 16 characters.
    """
    dashboard = _Dashboard(Cards(store_url, schema=schema, fresh_seconds=fresh_seconds))
    pages: dict[str, Callable[[Request], Any]] = {
        "/": dashboard.overview,
        "/overview.html": dashboard.overview_file,
        "/overview.csv": dashboard.overview_file,
        "/overview.json": dashboard.overview_file,
        "/experiment": dashboard.experiment,
        "/experiment.html": dashboard.experiment_file,
        "/experiment.csv": dashboard.experiment_file,
        "/experiment.json": dashboard.experiment_file,
        "/compare": dashboard.compare,
    }
    handlers = {OfferliftError: _refused, HTTPException: _no_page, Exception: _failed}
    routes = [Route(path, page, methods=["GET"]) for path, page in pages.items()]
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token=token, hosts=hosts)


class _Dashboard:
    """The pages of one store."""

    def __init__(self, cards: Cards):
        self._cards = cards

    async def overview(self, request: Request) -> Response:
        """All experiments: those that were computed, and which are still to be."""
        day = _day(request, "as_of")
        wanted = await self._all(day)
        await self._wait([one for one in wanted if self._cards.known(one) is None], GLANCE)
        await self._wait([one for one in wanted if self._is_outdated(one)], GLANCE)
        kept = {one: self._cards.known(one) for one in wanted}
        found = [one for one in kept.values() if one is not None]
        missing = {one.key: self._why(one) for one, it in kept.items() if it is None}
        shown = Shown(None, day, self._freshness(wanted, found))
        return await run_in_threadpool(overview_page, _in_order(found), missing, shown)

    async def experiment(self, request: Request) -> Response:
        """One experiment."""
        wanted = await self._one(request, _day(request, "as_of"))
        kept = await self._kept(wanted)
        shown = Shown(wanted.key, wanted.day, self._freshness([wanted], [kept]))
        return await run_in_threadpool(experiment_page, kept, shown)

    async def compare(self, request: Request) -> Response:
        """One experiment, or all of them, as of the ends of two days."""
        days = (_needed_day(request, "from"), _needed_day(request, "to"))
        if "key" in request.query_params:
            both = [await self._one(request, day) for day in days]
            before, after = await asyncio.gather(*(self._kept(one) for one in both))
            shown = Shown(both[0].key, None, self._freshness(both, [before, after]))
            return await run_in_threadpool(comparison_page, before, after, shown, days)
        first, second = [await self._all(day) for day in days]
        wanted = [*first, *second]
        await self._wait([one for one in wanted if self._cards.known(one) is None], GLANCE)
        pairs = [(a.key, self._cards.known(a), self._cards.known(b)) for a, b in zip(first, second, strict=True)]
        found = [kept for _, *both in pairs for kept in both if kept is not None]
        shown = Shown(None, None, self._freshness(wanted, found))
        return await run_in_threadpool(overview_comparison_page, pairs, shown, days, len(wanted) - len(found))

    async def experiment_file(self, request: Request) -> Response:
        """One experiment as the file that the path ends in."""
        wanted = await self._one(request, _day(request, "as_of"))
        kept = await self._kept(wanted)
        card = kept.row.card
        made = {
            "html": lambda: render_html([card]),
            "csv": lambda: csv_text(card_rows(card)),
            "json": lambda: _json(card.to_dict()),
        }
        return await _file(request, made, "-".join(filter(None, (wanted.key, wanted.day))))

    async def overview_file(self, request: Request) -> Response:
        """All experiments as the file that the path ends in; they are waited for, as a file cannot be read again."""
        day = _day(request, "as_of")
        wanted = await self._all(day)
        await self._wait([one for one in wanted if self._cards.known(one) is None], PATIENCE)
        found = [kept for one in wanted if (kept := self._cards.known(one)) is not None]
        if len(found) < len(wanted):
            missing = len(wanted) - len(found)
            raise StoreError(
                f"{missing} of {len(wanted)} experiments are not computed yet", hint="Try again in a moment."
            )
        review = _in_order(found)
        made = {
            "html": lambda: render_review_html(review),
            "csv": lambda: csv_text(review_rows(review)),
            "json": lambda: _json(review_document(review)),
        }
        return await _file(request, made, "-".join(filter(None, ("review", day))))

    async def _all(self, day: str | None) -> list[Wanted]:
        """Every experiment of the store; what is not fresh begins to be computed."""
        keys = await run_in_threadpool(self._cards.revisions)
        wanted = [Wanted(key, day) for key in keys]
        for one in wanted:
            self._cards.refresh(one)
        return wanted

    async def _one(self, request: Request, day: str | None) -> Wanted:
        key = request.query_params.get("key", "")
        keys = await run_in_threadpool(self._cards.revisions)
        if key not in keys:
            said = f"There is no experiment {key[:MOST_KEY]!r} in this store."
            raise HTTPException(404, f"{said} {known_or_nearest(key, list(keys)) if len(key) <= MOST_KEY else ''}")
        return Wanted(key, day)

    async def _kept(self, wanted: Wanted) -> Kept:
        """The review, however old; waited for where there is none, or an outdated one.

        Raises:
            OfferliftError: it cannot be computed, or takes long.
        """
        future = self._cards.refresh(wanted, urgent=True)
        known = self._cards.known(wanted)
        if future is not None and (known is None or not self._cards.is_current(known)):
            await _finish([future], PATIENCE if known is None else GLANCE)
        kept = self._cards.known(wanted)
        if kept is not None:
            return kept
        error = self._cards.failure(wanted)
        raise error or StoreError("This experiment is being computed, which takes long.", hint="Reload in a moment.")

    async def _wait(self, wanted: Sequence[Wanted], seconds: float) -> None:
        await _finish([future for one in wanted if (future := self._cards.refresh(one)) is not None], seconds)

    def _is_outdated(self, wanted: Wanted) -> bool:
        kept = self._cards.known(wanted)
        return kept is not None and not self._cards.is_current(kept)

    def _why(self, wanted: Wanted) -> str:
        error = self._cards.failure(wanted)
        return "is being computed; reload in a moment" if error is None else str(error)

    def _freshness(self, wanted: Sequence[Wanted], found: Sequence[Kept]) -> list[str]:
        """How old the numbers are, and why no later ones can be had."""
        said = []
        if found:
            oldest = age_in_words(max(kept.age for kept in found))
            said.append(f"Computed {oldest} ago." if len(found) == 1 else f"The oldest was computed {oldest} ago.")
        if any(not self._cards.is_current(kept) for kept in found):
            said.append("Since then a version or a look was added: reload to see it.")
        if self._cards.trouble:
            said.append(f"The store cannot be read now: {self._cards.trouble}")
        for one in wanted:
            error = self._cards.failure(one)
            if error is not None and self._cards.known(one) is not None:
                said.append(f"{one.key} could not be computed anew: {error.message}")
        return said


async def _finish(futures: Sequence[Future[None]], seconds: float) -> None:
    """Wait until all are done, or the time is over."""
    if futures:
        await asyncio.wait([asyncio.wrap_future(one) for one in futures], timeout=seconds)


def _in_order(found: Sequence[Kept]) -> Review:
    return in_order([kept.row for kept in found], datetime.now(UTC), dry_run=True)


def _day(request: Request, name: str) -> str | None:
    """A day that is given as YYYY-MM-DD; None where none is, as in a form that was left empty."""
    text = request.query_params.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) else None
    except ValueError:
        day = None
    if day is None:
        raise InputError(f"{name} is a day such as 2026-05-04, seen {text[:40]!r}")
    if day > (datetime.now(UTC) + EARLIEST_CLOCK).date():
        raise InputError(f"{name} lies in the future, seen {day.isoformat()}", hint="Leave it out for now.")
    return day.isoformat()


def _needed_day(request: Request, name: str) -> str:
    day = _day(request, name)
    if day is None:
        raise InputError(f"a comparison needs two days, and {name} is not given", hint="Write ?from=DAY&to=DAY.")
    return day


async def _file(request: Request, made: Mapping[str, Callable[[], str]], name: str) -> Response:
    end = request.url.path.rpartition(".")[2]
    kinds = {"html": "text/html", "csv": "text/csv", "json": "application/json"}
    text = await run_in_threadpool(made[end])
    # In plain letters for old clients; in full, encoded, for the others.
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:100] or "experiment"
    full = quote(f"{name[:200]}.{end}".replace("/", "-").replace("\\", "-"), safe="", errors="replace")
    return Response(
        text,
        media_type=kinds[end],
        headers={"Content-Disposition": f"attachment; filename=\"{plain}.{end}\"; filename*=UTF-8''{full}"},
    )


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


async def _refused(request: Request, error: Exception) -> Response:
    """What cannot be shown: 400 where another address would do, 503 where waiting would."""
    assert isinstance(error, OfferliftError)
    if isinstance(error, InputError):
        return message_page(400, "That cannot be shown", error.message, error.hint or "")
    return message_page(503, "Not now", error.message, error.hint or "", headers={"Retry-After": "5"})


async def _no_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        said = error.detail if error.detail != "Not Found" else "There is no such page."
        return message_page(404, "Not here", said)
    return message_page(error.status_code, error.detail, "This dashboard only shows.", headers=error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    return message_page(500, "A mistake of offerlift", "The log of the server has what went wrong.")
