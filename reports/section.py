"""What the page shows of one experiment: its parts in the order of the page, numbers in words."""

from __future__ import annotations

import shlex
from typing import Any

from . import format as fmt
from .changes import decided_in_words
from .charts import Truth
from .forest import guardrail_rows, money_rows, primary_forest
from .numbers import bayes_rows, metric_table, sureness
from .offers.section import offers_section
from .outlook import caveats, what_would_change
from .sentences import decides
from .timeline import course_panels, exposure_panels, plan_changes, progress_shown
from .tree import HealthCheck, Scorecard
from .words import arm_in_words, metric_in_words, offer_pairs, plan_pairs, setup_pairs

__all__ = ["CHECKS", "ICONS", "STATUS_ICONS", "heading", "section"]

ICONS = {
    "ship": "▲",
    "stop_harm": "▼",
    "stop_no_effect": "■",
    "collecting": "…",
    "review": "?",
    "do_not_read": "✕",
}
STATUS_ICONS = {"ok": "✓", "warn": "!", "fail": "✕", "not_run": "–"}
CHECKS = {
    "srm": "Sample ratio",
    "srm_sequential": "Sample ratio, at any look",
    "srm_by_day": "Sample ratio day by day",
    "srm_by_segment": "Sample ratio by segment",
    "srm_mature": "Sample ratio of analysed visitors",
    "crossovers": "Crossovers",
    "outcomes": "Exposure without outcome data",
    "currencies": "Currencies",
    "refunds": "Refunds",
    "outliers": "Outliers",
    "covariates": "Bias before the exposure",
    "late_data": "Late data",
    "conflicts": "Conflicts and refused records",
    "phases": "Phases",
    "unknown_arms": "Unknown arms",
    "rows": "Refused rows of the table",
}


def section(number: int, card: Scorecard, truth: Truth | None = None, *, note: str = "") -> dict[str, Any]:
    """What `experiment.html.j2` shows of a scorecard.

    Args:
        number: sets its ids apart from those of the others on the page.
        card: the scorecard.
        truth: metric -> arm -> (true difference, true lift), where a simulator knows them.
        note: a sentence below the decision.
    """
    background = card.background
    has_numbers = not card.withheld and any(row.value is not None for metric in card.metrics for row in metric.arms)
    return {
        "id": f"experiment-{number}",
        "card": card,
        "heading": heading(card),
        "reason": _reason(card),
        "change": what_would_change(card),
        "note": note,
        "truth": truth is not None,
        "health": _health_summary(card),
        "checks": _checks(card),
        "forest": primary_forest(card, truth),
        "guardrails": guardrail_rows(card),
        "money": money_rows(card) if has_numbers else [],
        "course": course_panels(card),
        "exposures": exposure_panels(card),
        "progress": progress_shown(card),
        "arms": [_arm(card, arm.arm) for arm in card.arms],
        "metrics": [metric_table(card, metric, truth) for metric in card.metrics],
        "sureness": sureness(card),
        "decides": decides(card),
        "band": "sequential" if card.progress is not None else "always-valid 95%",
        "bayes": [row for metric in card.metrics for row in bayes_rows(metric)],
        "offers": offers_section(card.offers, card.currency, f"e{number}"),
        "setup": setup_pairs(card.definition),
        "plan": plan_pairs(card.definition),
        "plan_changes": plan_changes(card),
        "metric_words": [(metric.metric, metric.role, metric_in_words(metric.definition)) for metric in card.metrics],
        "caveats": caveats(card),
        "changes": [] if background is None else list(reversed(background.changes)),
        "decisions": [] if background is None else [(one, decided_in_words(one)) for one in background.decisions],
        "has_background": background is not None,
        "commands": _commands(card),
    }


def _commands(card: Scorecard) -> list[str]:
    """How the same numbers are got again; as of the same moment where they are of a store."""
    key = shlex.quote(card.experiment)
    if card.source == "table":
        return [f"offerlift analyze {key} --json", f"offerlift report {key} -o report.html"]
    at = f"{card.as_of:%Y-%m-%dT%H:%M:%SZ}"
    return [f"offerlift analyze {key} --as-of {at} --json", f"offerlift report {key} -o report.html"]


def _checks(card: Scorecard) -> list[HealthCheck]:
    """The checks of the scorecard, then those that only a page has."""
    found = list(card.health)
    if card.background is not None:
        found.append(card.background.late)
    return found


def heading(card: Scorecard) -> str:
    """The decision in a few words."""
    arm = fmt.quote(card.decision.arm) if card.decision.arm else ""
    words = {
        "ship": f"Ship {arm}",
        "stop_harm": f"Roll back {arm}",
        "stop_no_effect": "Stop, no effect",
        "collecting": "No decision from this table" if card.source == "table" else "Keep collecting",
        "review": f"Needs people: {arm}" if arm else "Needs people",
        "do_not_read": "Do not read the effects",
    }
    return words[card.decision.action].strip()


def _reason(card: Scorecard) -> str:
    """The decision's reason without the words that the heading already says."""
    reason, said = card.decision.reason, heading(card)
    for mark in (": ", ", "):
        if reason.startswith(said + mark):
            rest = reason.removeprefix(said + mark)
            return rest[:1].upper() + rest[1:]
    return reason


def _health_summary(card: Scorecard) -> dict[str, Any]:
    count = {status: sum(check.status == status for check in card.health) for status in STATUS_ICONS}
    said = [f"{count['ok']} ok"]
    if count["warn"]:
        said.append(f"{count['warn']} {'warning' if count['warn'] == 1 else 'warnings'}")
    if count["fail"]:
        said.append(f"{count['fail']} failed")
    if count["not_run"]:
        said.append(f"{count['not_run']} not run")
    verdict = "nothing blocks the verdict" if card.healthy else "the verdict is blocked"
    return {"verdict": verdict, "counts": ", ".join(said)}


def _arm(card: Scorecard, name: str) -> dict[str, Any]:
    row = next(arm for arm in card.arms if arm.arm == name)
    definition = card.definition.arm(name)
    table = card.source == "table"
    return {
        "row": row,
        "words": "Assigned outside offerlift." if table else arm_in_words(definition, card.currency),
        "pairs": offer_pairs(definition.offer, card.currency) if definition.offer else [],
        "share": fmt.percent(row.share, 0.001),
        "planned": fmt.percent(row.expected_share, 0.001),
        "levels": ", ".join(f"{factor}: {level}" for factor, level in row.levels.items()),
        "icon": ICONS.get(row.verdict or "", ""),
    }
