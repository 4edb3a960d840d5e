"""The weekly review as one HTML file: an overview that a meeting can go through, then a section an experiment."""

from __future__ import annotations

from typing import Any

from . import format as fmt
from .html import render_page
from .look_sentences import share_reached
from .review import GROUPS, Review, ReviewRow, weeks_in_words
from .review_text import summary
from .section import lifts, section
from .tree import Scorecard

__all__ = ["render_review_html"]


def render_review_html(review: Review) -> str:
    """The page as a string; it needs neither network nor JavaScript."""
    sections = [section(at, row.card, note=row.reviewed.reason) for at, row in enumerate(review.rows, start=1)]
    shown = list(zip(review.rows, sections, strict=True))
    heading = f"Review of {fmt.moment(review.at)}"
    return render_page(
        "review.html.j2",
        title=heading,
        heading=heading,
        summary=summary(review),
        recorded=sum(row.reviewed.look is not None for row in review.rows),
        dry_run=review.dry_run,
        to_overview=True,
        sections=sections,
        groups=[
            (words, [_overview_row(row, one) for row, one in shown if row.group == group])
            for group, words in GROUPS.items()
            if review.count(group)
        ],
        generated_by=review.rows[0].card.generated_by if review.rows else "offerlift",
    )


def _overview_row(row: ReviewRow, shown: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": shown["id"],
        "card": row.card,
        "state": "table" if row.card.source == "table" else row.card.state,
        "step": row.step,
        "reason": shown["reason"],
        "lifts": lifts(row.card),
        "weeks": fmt.ABSENT if row.weeks_left is None else weeks_in_words(row.weeks_left).removesuffix(" left"),
        "look": _look(row),
        "progress": _progress(row.card),
    }


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
    made = f"{progress.looks} look{'' if progress.looks == 1 else 's'} so far"
    return f"{made}, {share_reached(progress.clock)} of the sample"
