"""Simulated shops: effects of offers, who would have bought anyway, thresholds, what comes after, money."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from offerlift.experiments.testing import Behaviour, Choice, Habits, SimulatedShop
from offerlift.experiments.testing.expected import lognormal_below
from offerlift.stats import (
    Audience,
    Histogram,
    compare_adjusted,
    compare_means,
    compare_proportions,
    compare_ratios,
    course_since_exposure,
    incrementality,
    money_per_week,
    threshold_bunching,
)

from .simulated import experiments, holds, moments
from .tables import Cell, Row, Table, share

__all__ = ["ANYWAY", "COURSE_AFTER", "EFFECTS", "THRESHOLD"]

RUNS = 1_000
VISITORS = 6_000
HABITS = Habits(purchase=0.2)

OFFERS = {
    "15 % off": Behaviour(price=0.85, withheld=0.1, undelivered=0.1, repeat=0.8, refund=1.3),
    "free from 59": Behaviour(free_shipping_from=59.0),
    "lighter model": Behaviour(
        choices=(Choice("lighter", 0.6, 0.45, gain=0.03, swap=0.08, later=0.3),), undelivered=0.2
    ),
}


def measure_effects(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    shop = SimulatedShop({"control": Behaviour(), "offer": OFFERS[str(cell["offer"])]}, HABITS)
    names = ("conversion", "revenue_per_visitor", "margin_per_visitor", "repeat_rate", "customer_value")
    truth = {name: shop.truth.difference(name, "offer") for name in (*names, "average_order_value")}
    hits: dict[str, int] = defaultdict(int)
    rng = np.random.default_rng([seed, runs])
    for arms in experiments(shop, seed, runs, VISITORS):
        known = {arm: {**columns, **_known(columns["past_revenue"])} for arm, columns in arms.items()}
        found = moments(known, *names, "orders_per_visitor", "past", "missing")
        pair = found["offer"], found["control"]
        for name in ("conversion", "repeat_rate"):
            hits[name] += holds(compare_proportions(*pair, name).difference, truth[name])
        for name in ("revenue_per_visitor", "margin_per_visitor", "customer_value"):
            hits[name] += holds(compare_means(*pair, name).difference, truth[name])
        order = compare_ratios(*pair, "revenue_per_visitor", "orders_per_visitor").difference
        hits["average_order_value"] += holds(order, truth["average_order_value"])
        adjusted = compare_adjusted(*pair, "margin_per_visitor", ("past", "missing")).difference
        hits["margin, adjusted"] += holds(adjusted, truth["margin_per_visitor"])
        seen = compare_means(*pair, "margin_per_visitor").difference
        weekly = Audience.weekly(int(rng.poisson(VISITORS)), days=28)
        money = money_per_week(seen, weekly)
        hits["money a week"] += holds(money, truth["margin_per_visitor"] * VISITORS / 4)
    return {name.replace("_", " "): share(count, runs) for name, count in sorted(hits.items())}


def _known(past: np.ndarray) -> dict[str, np.ndarray]:
    missing = np.isnan(past)
    return {"past": np.where(missing, 0.0, past), "missing": missing.astype(float)}


EFFECTS = Table(
    "effects",
    "Effects of offers on all visitors",
    "Two arms of 3,000 visitors, 20 % buying; offers that are withheld, lost on the way, refunded and repeated as the "
    "simulated shop has it. Coverage of the 95 % interval of each difference; `money a week` with an audience that was "
    "counted for four weeks.",
    [{"offer": name} for name in OFFERS],
    measure_effects,
    lambda _: RUNS,
)


def measure_anyway(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    shop = SimulatedShop({"control": Behaviour(), "offer": Behaviour(price=1 - float(cell["off"]))}, HABITS)
    truth = shop.truth
    orders, given = (
        {arm: truth.value(name, arm) for arm in shop.behaviours} for name in ("conversion", "discount_cost")
    )
    incremental = truth.incremental_share("offer")
    true = {
        "incremental share": incremental,
        "its cost": given["offer"] * incremental,
        "cost of the others": given["offer"] * (1 - incremental),
        "cost an incremental order": given["offer"] / (orders["offer"] - orders["control"]),
        "break-even lift": truth.break_even_lift("offer"),
    }
    hits = dict.fromkeys(true, 0)
    defined = 0
    for arms in experiments(shop, seed, runs, VISITORS):
        found = moments(arms, "conversion", "margin_per_visitor", "discount_cost")
        split = incrementality(
            found["offer"], found["control"], orders="conversion", margin="margin_per_visitor", cost="discount_cost"
        )
        each = split.cost_per_incremental_order
        defined += each.kind != "undefined"
        for name, one in zip(
            true,
            (split.share_incremental, split.cost_incremental, split.cost_non_incremental, each, split.break_even_lift),
            strict=True,
        ):
            hits[name] += holds(one, true[name])
    return {
        name: share(count, defined if name == "cost an incremental order" else runs) for name, count in hits.items()
    } | {"truly incremental": incremental}


ANYWAY = Table(
    "anyway",
    "Who would have bought anyway, on the simulated shop",
    "A discount for everybody, whose takers are mostly buyers anyway. Coverage of the 95 % intervals.",
    [{"off": off} for off in (0.1, 0.25)],
    measure_anyway,
    lambda _: RUNS,
)

BELOW, ABOVE, WIDTH = 50.0, 60.0, 10.0


def measure_threshold(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    habits = Habits(purchase=0.3, top_up=float(cell["top_up"]), above=0.08)
    offer = Behaviour(free_shipping_from=60.0)
    shop = SimulatedShop({"control": Behaviour(), "offer": offer}, habits)
    bands = {edge: lognormal_below(edge, habits.basket, habits.spread)[0] for edge in (45.0, 50.0, 60.0, 70.0)}
    added = habits.top_up * (bands[60.0] - bands[45.0]) * (1 - np.exp(-WIDTH / (habits.above * 60)))
    below = -habits.top_up * (bands[60.0] - bands[50.0])
    rate = {arm: shop.truth.value("conversion", arm) for arm in shop.behaviours}
    a_visitor = rate["offer"] * (bands[70.0] - bands[60.0] + added) - rate["control"] * (bands[70.0] - bands[60.0])
    hits = dict.fromkeys(("below", "above", "above, a visitor"), 0)
    for arms in experiments(shop, seed, runs, VISITORS):
        values = {arm: columns["value"] for arm, columns in arms.items()}
        cents = {arm: np.rint(100 * one[one > 0]).astype(int).tolist() for arm, one in values.items()}
        found = threshold_bunching(
            Histogram.of(cents["offer"], scale=100),
            Histogram.of(cents["control"], scale=100),
            threshold=60,
            width=10,
            visitors_treatment=len(values["offer"]),
            visitors_control=len(values["control"]),
        )
        hits["below"] += holds(found.below.difference, below)
        hits["above"] += holds(found.above.difference, added)
        hits["above, a visitor"] += holds(found.above.per_visitor, a_visitor)
    return {name: share(count, runs) for name, count in hits.items()}


THRESHOLD = Table(
    "threshold",
    "Baskets that were filled up to ship free",
    "Free shipping from 60; that share of the orders between 45 and 60 is added to. Coverage of the difference of the "
    "shares of orders in 50 to 60 and in 60 to 70, and of orders in 60 to 70 a visitor.",
    [{"top_up": share_added} for share_added in (0.0, 0.4)],
    measure_threshold,
    lambda _: RUNS,
)


def measure_course(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    habits = Habits(purchase=0.25, repeat=0.5)
    offer = Behaviour(appeal=float(cell["appeal"]), repeat=float(cell["repeat"]))
    shop = SimulatedShop({"control": Behaviour(), "offer": offer}, habits)
    early, later = shop.truth.difference("conversion", "offer"), shop.truth.difference("repeat_rate", "offer")
    readings: dict[str, int] = defaultdict(int)
    covered = defined = in_all = 0
    for arms in experiments(shop, seed, runs, VISITORS):
        found = moments(arms, "conversion", "orders_in_all")
        course = course_since_exposure(found["offer"], found["control"], {7: "conversion", 91: "orders_in_all"})
        readings[course.reading] += 1
        in_all += holds(course.days[-1].cumulative, early + later)
        if course.given_back.kind != "undefined":
            defined += 1
            covered += holds(course.given_back, -later / early)
    return {
        "difference after 91 days": share(in_all, runs),
        "share given back": share(covered, defined),
        **{f"read as {name}": share(readings[name], runs) for name in ("falls back", "holds", "grows")},
        "truly given back": -later / early,
    }


COURSE_AFTER = Table(
    "course_after",
    "Bought now instead of later",
    "An offer whose buyers come back less often: `repeat` is the factor. Coverage of the difference of all orders "
    "after 91 days and of the share of the early difference that is given back, and how the course is read.",
    [{"appeal": appeal, "repeat": repeat} for appeal, repeat in ((1.3, 1.0), (1.3, 0.75), (1.3, 0.5))],
    measure_course,
    lambda _: RUNS,
)
