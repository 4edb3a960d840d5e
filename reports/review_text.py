"""The weekly review for a terminal or a chat: a line or two an experiment, and what was recorded."""

from __future__ import annotations

from . import format as fmt
from .overview import lifts
from .review import GROUPS, Review, ReviewRow
from .terminal import wrapped

__all__ = ["render_review", "summary"]


def render_review(review: Review) -> str:
    """The overview as text, without a final newline."""
    parts = [wrapped(f"Review as of {fmt.moment(review.at)}. {summary(review)}", "")]
    for group, heading in GROUPS.items():
        rows = [row for row in review.rows if row.group == group]
        if rows:
            parts.append([heading.upper(), *(line for row in rows for line in _lines(row))])
    parts.append(_recorded(review))
    return "\n\n".join("\n".join(part) for part in parts)


def summary(review: Review) -> str:
    """How many experiments there are, and how many of them need what."""
    number = len(review.rows)
    if not number:
        return "The store has no experiments yet."
    said = [f"{number} experiment{'' if number == 1 else 's'}"]
    waiting, unhealthy = review.count("needs_decision"), review.count("unhealthy")
    said.append(f"{waiting or 'none'} need{'s' if waiting in (0, 1) else ''} a decision")
    if unhealthy:
        said.append(f"{unhealthy} {'is' if unhealthy == 1 else 'are'} unhealthy")
    return f"{', '.join(said)}."


def _lines(row: ReviewRow) -> list[str]:
    card, step = row.card, row.step
    owner = f", {card.definition.owner}" if card.definition.owner else ""
    following = f" {step.following}" if step.following else ""
    command = f" [{step.command}]" if step.command else ""
    said = wrapped(f"{card.experiment} ({row.state}{owner}): {step.action}.{following}{command}")
    primary = lifts(card)
    arms = [
        f"{arm.arm} {arm.lift} ({arm.interval})" if arm.interval else f"{arm.arm} {arm.lift}" for arm in primary.arms
    ]
    return said + wrapped(f"{primary.metric}: {'; '.join(arms) or primary.absent}", "      ")


def _recorded(review: Review) -> list[str]:
    """The looks, and of what was to be revealed also why it was not."""
    said = [row for row in review.rows if row.reviewed.look is not None or row.is_revealed]
    heading = "WOULD BE RECORDED" if review.dry_run else "RECORDED"
    if not said:
        return [heading, "  Nothing."]
    return [heading, *(line for row in said for line in wrapped(f"{row.card.experiment}: {row.reviewed.reason}"))]
