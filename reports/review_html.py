"""The weekly review as one HTML file: an overview that a meeting can go through, then a section an experiment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import format as fmt
from .bars import Scale, axis
from .html import render_page
from .look_sentences import share_reached
from .overview import NARROWEST, lifts, overview_scale, week_money
from .review import GROUPS, Review, ReviewRow
from .review_text import summary
from .section import section
from .tree import Scorecard

__all__ = ["overview", "overview_axis", "render_review_html"]


def render_review_html(review: Review) -> str:
    """The page as a string; it needs neither network nor JavaScript."""
    sections = [section(at, row.card, note=row.reviewed.reason) for at, row in enumerate(review.rows, start=1)]
    ids = {row.card.experiment: one["id"] for row, one in zip(review.rows, sections, strict=True)}
    heading = f"Review of {fmt.moment(review.at)}"
    return render_page(
        "review.html.j2",
        title=heading,
        heading=heading,
        summary=summary(review),
        recorded=_recorded(review),
        to_overview="#overview",
        sections=sections,
        look_heading="Recorded now",
        groups=overview(review, lambda key: f"#{ids[key]}"),
        lift_axis=overview_axis(review),
        generated_by=review.rows[0].card.generated_by if review.rows else "offerlift",
    )


def overview(review: Review, href: Callable[[str], str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The groups of the overview that are not empty: their headings and what is shown of each experiment.

    Args:
        review: whose rows they are.
        href: where the page of an experiment is, by its key.
    """
    scale = _scale(review)
    return [
        (words, [_overview_row(row, href(row.card.experiment), scale) for row in review.rows if row.group == group])
        for group, words in GROUPS.items()
        if review.count(group)
    ]


def overview_axis(review: Review) -> str:
    """The ticks of the scale that all bars of the overview share."""
    return axis(_scale(review), lambda x: fmt.lift(x, 0.2) if x else "0%", most=4, narrowest=NARROWEST)


def _scale(review: Review) -> Scale:
    """That of the experiments that need a decision, where there are any: what is still vague leaves it."""
    decided = [row.card for row in review.rows if row.group == "needs_decision"]
    return overview_scale(decided or [row.card for row in review.rows])


def _recorded(review: Review) -> str:
    """What was recorded, in one sentence."""
    if review.dry_run:
        return "Nothing was recorded: this was a dry run."
    new = [row for row in review.rows if row.reviewed.look is not None]
    looks = sum(row.card.progress is not None for row in new)
    verdicts = len(new) - looks
    said = [f"{looks} look{'' if looks == 1 else 's'}"] if looks else []
    said += [f"the verdicts of {verdicts} experiment{'' if verdicts == 1 else 's'}"] if verdicts else []
    return f"This review recorded {fmt.join(said)}." if said else "This review recorded no look."


def _overview_row(row: ReviewRow, href: str, scale: Scale) -> dict[str, Any]:
    return {
        "href": href,
        "card": row.card,
        "state": row.state,
        "step": row.step,
        "lifts": lifts(row.card, scale),
        "money": week_money(row.card),
        "weeks": _weeks(row.weeks_left),
        "look": _look(row),
        "progress": _progress(row.card),
    }


def _weeks(weeks: float | None) -> str:
    if weeks is None:
        return fmt.ABSENT
    return "< 1" if weeks < 1 else fmt.count(round(weeks))


def _look(row: ReviewRow) -> str:
    """Which look this review recorded; "" where it recorded none."""
    if row.reviewed.look is None:
        return ""
    if row.card.progress is None:
        return "verdict"
    return f"look {row.reviewed.look}{'' if row.reviewed.planned else ', not planned'}"


def _progress(card: Scorecard) -> str:
    """How far the plan of looks has come."""
    progress = card.progress
    if progress is None:
        return "read once" if card.source == "table" else "no looks planned"
    made = f"{progress.looks or 'no'} look{'' if progress.looks in (0, 1) else 's'} so far"
    return f"{made}, {share_reached(progress.clock)} of the sample"
