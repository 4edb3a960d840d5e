"""What the page shows of the parts, ready for their templates in `templates/offers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import format as fmt
from ..drawing import to_svg
from .pictures import bunching_plot, course_plot, describe_bunching, describe_course
from .showing import amount, bounds, money, part_note, probability, set_in_words
from .tree import (
    AfterSale,
    ByExposures,
    Cluster,
    Estimate,
    ExposuresRow,
    Factorial,
    Funnel,
    Incremental,
    IntervalKind,
    Money,
    Offers,
    Response,
    Segments,
    Waiting,
)

__all__ = ["INTERVALS", "dose_in_words", "number_seen", "offers_section", "weeks"]

INTERVALS: Mapping[IntervalKind | None, str] = {
    "sequential": "the sequential interval, which decides",
    "always_valid": "the always-valid 95% interval, which decides",
    "fixed_sample": "fixed-sample 95% intervals, which do not decide",
    None: "",
}

DOSES = {"price": "Price", "discount": "Discount", "threshold": "Free shipping from"}

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
        "factorial": offers.factorial and _factorial(offers.factorial),
        "response": offers.response and _response(offers.response, currency, prefix),
        "incremental": offers.incremental and _incremental(offers.incremental, currency),
        "segments": [_segments(one) for one in offers.segments if one.label == "pre_declared"],
        "explored": [_segments(one) for one in offers.segments if one.label == "exploratory"],
        "funnel": offers.funnel and _funnel(offers.funnel),
        "after_sale": offers.after_sale and _after_sale(offers.after_sale, prefix),
        "waiting": offers.waiting and _waiting(offers.waiting, currency),
        "clusters": offers.clusters and _clusters(offers.clusters),
        "by_exposures": offers.by_exposures and _by_exposures(offers.by_exposures),
    }


def _cell(found: Estimate, unit: str) -> tuple[str, str]:
    """A difference and its interval, apart."""
    half = fmt.half_width(found.low, found.high)
    shown = fmt.lift(found.estimate, half) if unit == "lift" and found.estimate is not None else ""
    return shown or fmt.change(found.estimate, unit, half), bounds(found, unit)


def _level(found: Estimate, unit: str) -> tuple[str, str]:
    """A value and its interval, apart."""
    half = fmt.half_width(found.low, found.high)
    if found.low is None or found.high is None:
        return fmt.level(found.estimate, unit, half), ""
    return fmt.level(found.estimate, unit, half), f"{fmt.level(found.low, unit, half)} to " + fmt.level(
        found.high, unit, half
    )


def _money(part: Money, currency: str) -> Parts:
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "interval": INTERVALS[part.interval],
        "measures": "Margin" if part.measures == "margin" else "Revenue",
        "audience": part.audience[:1].upper() + part.audience[1:].rstrip("."),
        "horizon": "" if part.horizon_weeks is None or part.audience_per_week is None else weeks(part.horizon_weeks),
        "switching": amount(-part.switching_cost, currency) if part.switching_cost else "",
        "rows": [
            {
                "row": row,
                "visitor": _cell(row.per_visitor, currency),
                "week": money(row.per_week, currency),
                "horizon": money(row.over_horizon, currency),
            }
            for row in part.arms
        ],
        "worth": [
            (fmt.label(one.metric), f"{one.days:g} days", one.arm, _cell(one.per_visitor, currency))
            for one in part.customer_value
        ],
    }


def _factorial(part: Factorial) -> Parts:
    unit = "lift" if part.scale == "log" else part.unit
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "metric": fmt.label(part.metric),
        "terms": [
            {
                "term": one.term.replace(":", " × "),
                "one": one,
                "contrasts": [
                    {
                        "name": contrast.name,
                        "one": contrast,
                        "effect": _cell(contrast.effect, unit),
                        "p": fmt.p_value(contrast.p_value),
                        "detectable": fmt.ABSENT
                        if contrast.detectable is None
                        else fmt.percent(contrast.detectable, 0.01)
                        if unit == "lift"
                        else fmt.change(contrast.detectable, unit, contrast.detectable / 4).lstrip("+"),
                    }
                    for contrast in one.contrasts
                ],
                "p": fmt.p_value(one.p_value),
                "adjusted": fmt.p_value(one.adjusted_p_value) if one.in_family else "not in the tested family",
            }
            for one in part.terms
        ],
        "cells": [
            {
                "cell": cell,
                "levels": ", ".join(cell.levels.values()),
                "value": fmt.level(cell.value, part.unit),
                "shrunk": fmt.level(cell.shrunk, part.unit),
                "best": probability(cell.probability_best),
                "is_best": bool(cell.arm) and cell.arm == part.best,
            }
            for cell in part.cells
        ],
        "best_raw": _level(part.best_raw, part.unit),
        "best_shrunk": _level(part.best_shrunk, part.unit),
    }


def _response(part: Response, currency: str, prefix: str) -> Parts:
    figure = ""
    if part.bunching and part.status != "withheld":
        figure = to_svg(
            bunching_plot(part.bunching, currency),
            title="Order values in each arm",
            description=describe_bunching(part.bunching, currency),
            prefix=f"{prefix}-bunching",
        )
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "dose": DOSES[part.dose],
        "profit": fmt.label(part.profit_metric),
        "demand": fmt.label(part.demand_metric),
        "rows": [
            {
                "point": one,
                "dose": dose_in_words(one.dose, part.unit),
                "demand": _level(one.demand, "share"),
                "profit": _level(one.profit, currency),
                "best": probability(one.probability_best),
                "regret": fmt.loss(one.regret, currency, fmt.half_width(one.profit.low, one.profit.high)),
                "is_best": one.arm == part.best,
            }
            for one in part.points
        ],
        "elasticity": "" if part.elasticity.estimate is None else elasticity(part.elasticity),
        "figure": figure,
        "bunching": [
            (one.arm, dose_in_words(one.threshold, part.unit), _cell(one.excess, "share"), one.reason)
            for one in part.bunching
            if one.threshold is not None
        ],
    }


def elasticity(found: Estimate) -> str:
    """An elasticity in words."""
    low, high = fmt.level(found.low, "ratio", 0.05), fmt.level(found.high, "ratio", 0.05)
    return f"{fmt.level(found.estimate, 'ratio', 0.05)} ({low} to {high})"


def dose_in_words(dose: float | None, unit: str) -> str:
    """A price, a depth or a threshold."""
    if dose is None:
        return fmt.ABSENT
    return f"{dose:g}%" if unit == "percent" else fmt.level(dose, unit)


def _incremental(part: Incremental, currency: str) -> Parts:
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "rows": [
            {
                "row": row,
                "cost": _level(row.cost, currency),
                "share": set_in_words(row.share_incremental, "share"),
                "brought": _level(row.cost_incremental, currency),
                "anyway": _level(row.cost_non_incremental, currency),
                "each": set_in_words(row.cost_per_incremental_order, currency),
                "observed": set_in_words(row.observed_lift, "lift"),
                "break_even": set_in_words(row.break_even_lift, "lift"),
            }
            for row in part.arms
        ],
    }


def _segments(part: Segments) -> Parts:
    exploratory = part.label == "exploratory"
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "name": fmt.label(part.segment),
        "label": fmt.label(part.label) if exploratory else "pre-declared",
        "family": "exploratory cuts" if exploratory else "segments",
        "found": "A reason for a next test." if exploratory else "They do.",
        "metric": fmt.label(part.metric),
        "tests": [
            (one, fmt.p_value(one.p_value), fmt.p_value(one.adjusted_p_value) if one.status == "ok" else one.reason)
            for one in part.tests
        ],
        "rows": [
            {
                "row": row,
                "raw": _cell(row.raw, part.unit),
                "shrunk": _cell(row.shrunk, part.unit),
                "p": fmt.p_value(row.adjusted_p_value),
            }
            for row in part.rows
        ],
    }


def _funnel(part: Funnel) -> Parts:
    def many(number: int | None) -> str:
        return fmt.ABSENT if number is None else fmt.count(number)

    def reasons(counts: Mapping[str, int] | None) -> str:
        return ", ".join(f"{fmt.label(reason)} {fmt.count(n)}" for reason, n in (counts or {}).items())

    return {
        "part": part,
        "rows": [
            {
                "arm": row.arm,
                "visitors": fmt.count(row.visitors),
                "reached": many(row.reached),
                "withheld": reasons(row.withheld) or "none",
                "undelivered": (many(row.undelivered), reasons(row.undelivered_reasons)),
                "delivered": many(row.delivered),
                "accepted": (many(row.accepted), "" if row.accept_rate is None else fmt.percent(row.accept_rate, 0.01)),
                "declined": (many(row.declined), reasons(row.declined_reasons)),
            }
            for row in part.arms
        ],
    }


def _after_sale(part: AfterSale, prefix: str) -> Parts:
    known = [row for row in part.arms if row.course]
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "metric": fmt.label(part.metric),
        "figure": to_svg(
            course_plot(known, part.unit, part.split_day),
            title=f"Cumulative difference in {fmt.label(part.metric)} by days since the exposure",
            description=describe_course(known, part.unit),
            prefix=f"{prefix}-aftersale",
        )
        if known
        else "",
        "rows": [
            {
                "row": row,
                "early": _cell(row.early, part.unit),
                "late": _cell(row.late, part.unit),
                "words": row.words or row.reason,
            }
            for row in part.arms
        ],
    }


def _clusters(part: Cluster) -> Parts:
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "rows": [
            (row, "" if row.inflation is None else f"{row.inflation:.2g} times", fmt.p_value(row.p_value))
            for row in part.arms
        ],
    }


def _by_exposures(part: ByExposures) -> Parts:
    return {
        "part": part,
        "note": part_note(part.status, part.reason),
        "metric": fmt.label(part.metric),
        "rows": [(row, number_seen(row, part.most), fmt.level(row.value, part.unit)) for row in part.rows],
    }


def number_seen(row: ExposuresRow, most: int | None) -> str:
    """How many offers, the last number being open."""
    return f"{row.offers_seen} or more" if row.offers_seen == most else str(row.offers_seen)


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
            }
            for row in part.arms
        ],
    }


def weeks(number: float) -> str:
    """A length in weeks."""
    return f"{number:,.3g} week{'' if number == 1 else 's'}"
