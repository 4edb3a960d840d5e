"""Simulated shops: all offers together against visitors held out of every one of them, until three months later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from offerlift.experiments.testing import Behaviour, SimulatedProgramme, SimulatedShop
from offerlift.stats import Audience, compare_means, compare_proportions, money_per_week

from .offer_estimates import HABITS, OFFERS
from .simulated import holds, moments
from .tables import Average, Cell, Row, Table, share

__all__ = ["HOLDOUT"]

RUNS = 1_000
VISITORS = 20_000
WEEKS = 26
COLUMNS = ("conversion", "repeat_rate", "margin_per_visitor", "customer_value")


def programme(cell: Mapping[str, Cell]) -> SimulatedProgramme:
    """Three experiments of an offer against a control each, or as many of nothing."""
    offers = OFFERS if cell["offers"] == "three" else {name: Behaviour() for name in OFFERS}
    shops = {name: SimulatedShop({"control": Behaviour(), "offer": offer}, HABITS) for name, offer in offers.items()}
    return SimulatedProgramme(shops, float(cell["held out"]))


def measure(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    shops = programme(cell)
    truth = {name: shops.truth.difference(name, "offered") for name in COLUMNS}
    lift = shops.truth.lift("customer_value", "offered")
    hits: dict[str, int] = defaultdict(int)
    summed, missed = [], []
    rng = np.random.default_rng([seed, runs])
    for run in range(runs):
        arms = shops.arrays([seed, run], VISITORS)
        found = moments(arms, *COLUMNS)
        pair = found["offered"], found["held_out"]
        for name in ("conversion", "repeat_rate"):
            hits[name] += holds(compare_proportions(*pair, name).difference, truth[name])
        hits["margin of a week"] += holds(compare_means(*pair, "margin_per_visitor").difference, truth[COLUMNS[2]])
        later = compare_means(*pair, "customer_value")
        hits["margin of three months"] += holds(later.difference, truth["customer_value"])
        hits["its lift"] += holds(later.lift, lift)
        counted = Audience.weekly(int(rng.poisson(VISITORS)), days=28)
        money = money_per_week(later.difference, counted).over(WEEKS)
        hits["money of half a year"] += holds(money, truth["customer_value"] * VISITORS / 4 * WEEKS)
        hits["found"] += not holds(later.difference, 0.0)
        summed.append(sum_of_experiments(shops, arms["offered"]) - truth["customer_value"])
        missed.append(later.difference.estimate - truth["customer_value"])
    return {
        **{name.replace("_", " "): share(count, runs) for name, count in hits.items()},
        "holdout - truth": Average.of(missed),
        "sum of the experiments - truth": Average.of(summed),
        "true margin of a week": truth["margin_per_visitor"],
        "of three months": truth["customer_value"],
    }


def sum_of_experiments(shops: SimulatedProgramme, offered) -> float:
    """What each experiment finds among the offered, times the share that has its offer."""
    total = 0.0
    for key, shop in shops.shops.items():
        has, value = offered[key] == list(shop.behaviours).index("offer"), offered["customer_value"]
        total += shop.shares["offer"] * float(value[has].mean() - value[~has].mean())
    return total


HOLDOUT = Table(
    "holdout",
    "All offers together, against a holdout",
    "Three experiments on the same 20,000 visitors (the offers above, each against a control), under one holdout: the "
    "offered get whatever the experiments give, withheld and lost offers, refunds and repeat purchases included. "
    "Coverage of the 95 % interval of each difference until three months after exposure, of its lift and of its money "
    "in half a year, of an audience counted for four weeks; how often the margin of three months is found to differ; "
    "and how far the holdout's estimate, and the sum of what the experiments find, are from the truth, in money a "
    "visitor.",
    [
        {"offers": "three", "held out": 0.1},
        {"offers": "three", "held out": 0.5},
        {"offers": "of nothing", "held out": 0.1},
    ],
    measure,
    lambda _: RUNS,
)
