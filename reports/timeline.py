"""What the page shows along the days: the cumulative lift, new visitors, progress, and what changed since the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import format as fmt
from .changes import changes_in_words
from .look_sentences import share_reached
from .panels import Marker, exposure_panel, lift_panel, progress_bar
from .tree import Change, MonitoredArm, Scorecard

__all__ = [
    "MOST_PANELS",
    "Marked",
    "course_panels",
    "exposure_panels",
    "marked",
    "marked_for_visitors",
    "monitored_arms",
    "plan_changes",
    "progress_shown",
]

MARKED = ("phase", "traffic", "paused", "resumed", "stopped", "shipped", "look", "reveal", "verdict")
"""Changes that are marked in charts: who comes in, and when somebody looked."""

MOST_PANELS = 4
"""Arms whose course has room."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A change that charts mark, by a number that the legend explains."""

    number: int
    change: Change


def course_panels(card: Scorecard) -> dict[str, Any] | None:
    """The cumulative lift of the arms with the monitoring band; None while withheld and where no days are known."""
    arms = monitored_arms(card)
    if not arms:
        return None
    changes = marked(card)
    markers = [Marker(one.change.at, one.number) for one in changes]
    panels = [(one.arm, lift_panel(one, card.control, markers)) for one in arms[:MOST_PANELS]]
    left = len(card.background.course) - len(panels) if card.background is not None else 0
    return {"metric": fmt.label(card.primary), "panels": panels, "legend": _legend(changes), "left": left}


def exposure_panels(card: Scorecard) -> dict[str, Any] | None:
    """New visitors of each arm a day against the planned split; None where no days are known."""
    background = card.background
    if background is None or not background.exposures:
        return None
    changes = marked_for_visitors(card)
    markers = [Marker(one.change.at, one.number) for one in changes]
    days = background.exposures
    arms = list(dict.fromkeys(arm for one in days for arm in one.visitors))
    audience = card.definition.plan.audience.per_week
    length = (days[-1].day - days[0].day).days + 1
    week = 7 * sum(sum(one.visitors.values()) for one in days) / length
    said = f"On average {fmt.count(round(week))} new visitors a week"
    said += f", where the plan counts on {fmt.count(audience)}." if audience is not None else "."
    return {
        "panels": [(arm, exposure_panel(arm, days, markers)) for arm in arms],
        "legend": _legend(changes),
        "said": said,
    }


def progress_shown(card: Scorecard) -> dict[str, str]:
    """How far the planned sample is, in words and, where one is planned, as a bar."""
    mature, waiting = sum(arm.mature for arm in card.arms), sum(arm.waiting for arm in card.arms)
    counted = f"{fmt.count(mature)} visitors are analysed, {fmt.count(waiting)} wait for their window to pass."
    progress = card.progress
    if progress is None:
        planned = card.definition.planned_sample
        if planned is None or card.source == "table":
            return {"bar": "", "said": f"No sample is planned. {counted}"}
        clock, looks, made = min(mature / planned, 1.0) if planned else 0.0, (1.0,), "No looks are planned."
    else:
        clock, looks, planned = progress.clock, progress.planned_looks, progress.planned_sample
        number = f"{progress.looks or 'No'} look{'' if progress.looks == 1 else 's'}"
        made = f"{number} made; planned at {fmt.join([fmt.setting(round(look, 4)) for look in looks])}."
    said = f"{share_reached(clock)} of the {fmt.count(planned)} planned visitors. {counted} {made}"
    return {"bar": progress_bar(clock, looks, said), "said": said}


def plan_changes(card: Scorecard) -> list[str]:
    """What differs between the version that froze the plan and the one of now, in words."""
    background = card.background
    if background is None or background.started is None:
        return []
    return list(changes_in_words(background.started.definition, background.versions[-1].definition))


def monitored_arms(card: Scorecard) -> list[MonitoredArm]:
    """The treatment arms whose lift has a band, the arm of the decision first; none while effects are withheld."""
    if card.background is None or card.withheld:
        return []
    drawn = (arm for arm in card.background.course if arm.last is not None)
    return sorted(drawn, key=lambda one: _order(card, one.arm))


def marked(card: Scorecard) -> list[Marked]:
    """The changes that charts mark, in their order."""
    found = [one for one in card.background.changes if one.kind in MARKED] if card.background is not None else []
    return [Marked(number, one) for number, one in enumerate(found, start=1)]


def marked_for_visitors(card: Scorecard) -> list[Marked]:
    """Those that concern who comes in, which a look does not, with the same numbers."""
    return [one for one in marked(card) if one.change.kind not in ("look", "reveal", "verdict")]


def _legend(changes: Sequence[Marked]) -> list[tuple[int, str, str]]:
    return [(one.number, fmt.moment(one.change.at), one.change.text) for one in changes]


def _order(card: Scorecard, arm: str) -> tuple[bool, float]:
    """The arm of the decision first, then the largest lift."""
    row = card.metric(card.primary).comparison(arm).lift
    return arm != card.decision.arm, -(row.estimate or 0.0)
