"""The dashboard's pages, on the templates of the review and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlencode

from starlette.responses import HTMLResponse

from .. import format as fmt
from ..comparison import compare, in_short
from ..html import render_page
from ..review import Review
from ..review_html import overview, overview_axis
from ..review_text import summary
from .cards import Kept

__all__ = [
    "Shown",
    "age_in_words",
    "comparison_page",
    "experiment_page",
    "link",
    "message_page",
    "overview_comparison_page",
    "overview_page",
    "sign_in_page",
]

CURRENT = "Nothing is recorded by reading this page."


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page is of, for its links and its forms.

    Attributes:
        key: of the experiment; None for all.
        day: as of whose end; None for now.
        freshness: how old the numbers are, in sentences.
    """

    key: str | None
    day: str | None
    freshness: Sequence[str]


def link(page: str, **query: str | None) -> str:
    """A page of the dashboard, relative to its root; the key of an experiment is never part of the path."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{page}?{urlencode(given)}" if given else page


def overview_page(review: Review, missing: Mapping[str, str], shown: Shown) -> HTMLResponse:
    """All experiments in the order of the meeting; `missing` says of some why they are not among them yet."""
    heading = "Experiments, live" if shown.day is None else f"Experiments as of {shown.day}"
    counted = f"{summary(review)} {CURRENT}" if review.rows or not missing else CURRENT
    return _page(
        "dashboard.html.j2",
        shown,
        title=heading,
        heading=heading,
        summary=counted,
        recorded="",
        look_heading="Look due",
        groups=overview(review, lambda key: link("experiment", key=key, as_of=shown.day)),
        lift_axis=overview_axis(review),
        missing=[(key, link("experiment", key=key, as_of=shown.day), why) for key, why in missing.items()],
    )


def experiment_page(kept: Kept, shown: Shown) -> HTMLResponse:
    """One experiment, as `offerlift report` shows it."""
    return _page(
        "dashboard_experiment.html.j2",
        shown,
        title=f"{kept.row.card.experiment}: offerlift",
        heading="Experiment report, live" if shown.day is None else f"Experiment report as of {shown.day}",
        sections=[kept.section()],
        to_overview=link("./", as_of=shown.day),
    )


def comparison_page(before: Kept, after: Kept, shown: Shown, days: tuple[str, str]) -> HTMLResponse:
    """One experiment at two moments, side by side."""
    changes = compare(before.row, after.row)
    changed = sum(one.is_changed for one in changes)
    return _page(
        "comparison.html.j2",
        shown,
        title=f"{before.row.card.experiment}: what changed",
        heading=f"{before.row.card.experiment}: what changed",
        lead=f"{changed or 'None'} of {len(changes)} lines differ{'s' if changed == 1 else ''}. {CURRENT}",
        first="What",
        columns=[(day, link("experiment", key=shown.key, as_of=day)) for day in days],
        changes=[(one.what, "", one.before, one.after, one.is_changed) for one in changes],
        days=days,
    )


def overview_comparison_page(
    pairs: Sequence[tuple[str, Kept | None, Kept | None]], shown: Shown, days: tuple[str, str], missing: int
) -> HTMLResponse:
    """All experiments at two moments; those that changed come first."""
    changes = []
    for key, before, after in pairs:
        said = [in_short(kept.row) if kept else "not computed yet" for kept in (before, after)]
        href = link("compare", **{"key": key, "from": days[0], "to": days[1]})
        changes.append((key, href, *said, said[0] != said[1]))
    changes.sort(key=lambda one: not one[-1])
    number = sum(one[-1] for one in changes)
    lead = f"{number or 'None'} of {len(changes)} experiments differ{'s' if number == 1 else ''}. {CURRENT}"
    if missing:
        lead += f" {missing} of the reports are still being computed: reload in a moment."
    return _page(
        "comparison.html.j2",
        shown,
        title="What changed",
        heading="What changed",
        lead=lead,
        first="Experiment",
        columns=[(day, link("./", as_of=day)) for day in days],
        changes=changes,
        days=days,
    )


def message_page(
    status: int, heading: str, said: str, hint: str = "", *, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A page that says why there is no other."""
    page = render_page(
        "message.html.j2",
        title=f"{heading}: offerlift",
        heading=heading,
        said=said,
        hint=hint,
        sections=[],
        generated_by=_generated_by(),
    )
    return HTMLResponse(page, status, headers)


def sign_in_page(place: str, *, is_wrong: bool) -> HTMLResponse:
    """The form that asks for the token."""
    page = render_page(
        "sign_in.html.j2",
        title="Sign in: offerlift",
        heading="Experiments",
        is_wrong=is_wrong,
        next=place,
        sections=[],
        generated_by=_generated_by(),
    )
    return HTMLResponse(page, 401, {"WWW-Authenticate": "Bearer"})


def _page(template: str, shown: Shown, **given: Any) -> HTMLResponse:
    whole = link("./", as_of=shown.day)
    kinds = [("HTML", "html"), ("CSV", "csv"), ("JSON", "json")]
    page = "experiment" if shown.key is not None else "overview"
    settings = {
        "sections": [],
        "shown": shown,
        "today": datetime.now(UTC).date().isoformat(),
        "here": "./" if shown.key is None else "experiment",
        "overview_link": whole,
        "downloads": [(name, link(f"{page}.{end}", key=shown.key, as_of=shown.day)) for name, end in kinds],
        "days": ("", ""),
        "generated_by": _generated_by(),
    }
    return HTMLResponse(render_page(template, **(settings | given)))


def _generated_by() -> str:
    try:
        return f"offerlift {version('offerlift')}"
    except PackageNotFoundError:
        return "offerlift"


def age_in_words(seconds: float) -> str:
    """How long ago something was computed."""
    if seconds < 90:
        return f"{round(seconds)} second{'' if round(seconds) == 1 else 's'}"
    minutes = round(seconds / 60)
    return f"{fmt.count(minutes)} minutes" if minutes < 90 else f"{fmt.count(round(minutes / 60))} hours"
