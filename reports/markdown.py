"""Reports for a chat: a few lines of Markdown that Slack and Teams show as they are meant, without tables.

Names stand in code spans, in which nothing is a link, a mention or a format; other text from files is escaped.
"""

from __future__ import annotations

from . import format as fmt
from .overview import lifts
from .review import GROUPS, Review, ReviewRow
from .review_text import summary
from .tree import Scorecard

__all__ = ["card_markdown", "code", "escaped", "review_markdown"]

SPECIAL = "\\`*_[]<>|~#"


def code(name: str) -> str:
    """A name as a code span."""
    inside = "".join(character if character.isprintable() else "�" for character in name).replace("`", "'")
    return f"`{inside}`"


def escaped(text: str) -> str:
    """Text that was written by somebody, so that nothing in it is taken for a format, a link or a mention."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return "".join(f"\\{character}" if character in SPECIAL else character for character in shown)


def review_markdown(review: Review) -> str:
    """The overview of a review: a bullet an experiment, in the order of the meeting."""
    lines = [f"**Review of {fmt.moment(review.at)}.** {summary(review)}"]
    for group, heading in GROUPS.items():
        rows = [row for row in review.rows if row.group == group]
        if rows:
            lines += ["", f"**{heading}**", *map(_bullet, rows)]
    if review.dry_run:
        lines += ["", "Nothing was recorded: this was a dry run."]
    return "\n".join(lines)


def _bullet(row: ReviewRow) -> str:
    owner = f", {escaped(row.card.definition.owner)}" if row.card.definition.owner else ""
    said = f"- {code(row.card.experiment)} ({row.state}{owner}): **{escaped(row.step.action)}.**"
    parts = [said, escaped(row.step.following), _primary(row.card)]
    if row.step.command:
        parts.append(f"Next: {code(row.step.command)}")
    return " ".join(filter(None, parts))


def card_markdown(card: Scorecard) -> str:
    """One experiment: what is to be done and why, whether to trust it, and the primary metric."""
    arm = f" {code(card.decision.arm)}" if card.decision.arm else ""
    state = "read once" if card.source == "table" else card.state
    lines = [
        f"**{code(card.experiment)}** ({state}, {fmt.moment(card.as_of)}): **{fmt.label(card.decision.action)}**{arm}",
        escaped(card.decision.reason),
    ]
    wrong = [one for one in card.health if one.status in ("fail", "warn")]
    lines += [f"- Health, {one.status}: {fmt.label(one.check)}. {escaped(one.reason)}" for one in wrong]
    if not wrong:
        lines.append("- Health: no check fails or warns.")
    lines.append(f"- {_primary(card)}")
    counts = [f"{code(one.arm)} {fmt.count(one.visitors)}" for one in card.arms]
    lines.append(f"- Visitors: {', '.join(counts)}.")
    return "\n".join(lines)


def _primary(card: Scorecard) -> str:
    """The primary metric's lift in each arm, by the interval that decides, or why there is none."""
    shown = lifts(card)
    arms = [f"{code(one.arm)} {one.lift}{f' ({one.interval})' if one.interval else ''}" for one in shown.arms]
    return f"{escaped(shown.metric)}: {', '.join(arms) or shown.absent}."
