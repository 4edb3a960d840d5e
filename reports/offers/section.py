"""What the page shows of the parts, ready for their templates in `templates/offers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import format as fmt
from .showing import amount, bounds, money, part_note
from .tree import Estimate, IntervalKind, Money, Offers, Waiting

__all__ = ["INTERVALS", "offers_section"]

INTERVALS: Mapping[IntervalKind | None, str] = {
    "sequential": "the sequential interval, which decides",
    "always_valid": "the always-valid 95% interval, which decides",
    "fixed_sample": "fixed-sample 95% intervals, which do not decide",
    None: "",
}

Parts = dict[str, Any]


def offers_section(offers: Offers, currency: str, prefix: str) -> Parts:
    """What `offers/*.html.j2` show, a key a part; None where the experiment does not ask for it.

    Args:
        offers: the scorecard's.
        currency: of its money.
        prefix: of the ids in figures.
    """
    parts: Parts = {field.name: None for field in fields(Offers)}
    return parts | {
        "money": offers.money and _money(offers.money, currency),
        "waiting": offers.waiting and _waiting(offers.waiting, currency),
    }


def _money(part: Money, currency: str) -> Parts:
    def cell(found: Estimate) -> tuple[str, str]:
        return fmt.change(found.estimate, currency, fmt.half_width(found.low, found.high)), bounds(found, currency)

    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "interval": INTERVALS[part.interval],
        "measures": "Margin" if part.measures == "margin" else "Revenue",
        "audience": part.audience[:1].upper() + part.audience[1:].rstrip("."),
        "horizon": "" if part.horizon_weeks is None else weeks(part.horizon_weeks),
        "switching": amount(-part.switching_cost, currency) if part.switching_cost else "",
        "rows": [
            {
                "row": row,
                "visitor": cell(row.per_visitor),
                "week": money(row.per_week, currency),
                "horizon": money(row.over_horizon, currency),
            }
            for row in part.arms
        ],
    }


def _waiting(part: Waiting, currency: str) -> Parts:
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "horizon": "" if part.horizon_weeks is None else weeks(part.horizon_weeks),
        "rows": [
            {
                "row": row,
                "gain": amount(row.expected_gain, currency),
                "loss": amount(row.expected_loss, currency).lstrip("+"),
                "value": amount(row.value_of_week, currency).lstrip("+"),
                "cost": amount(row.cost_of_week, currency).lstrip("+"),
                "waiting": amount(row.gain_of_waiting, currency),
                "advice": ""
                if row.gain_of_waiting is None
                else "worth waiting"
                if row.gain_of_waiting > 0
                else "a week more costs more than it tells",
            }
            for row in part.arms
        ],
    }


def weeks(number: float) -> str:
    """A length in weeks."""
    return f"{number:,.3g} week{'' if number == 1 else 's'}"
