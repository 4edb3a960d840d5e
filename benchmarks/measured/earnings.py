"""What offers earn: incremental orders, money, programmes, and what comes after the sale."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from offerlift.stats import (
    Audience,
    Moments,
    PastExperiment,
    course_since_exposure,
    incrementality,
    money_per_week,
    programme_total,
    sceptical_prior,
    shrink_by_experience,
)

from .tables import Cell, Row, Table, share

__all__ = ["COURSE", "EXPERIENCE", "INCREMENTAL", "MONEY", "PROGRAMME"]

MDE = 0.05
COLUMNS = ("orders", "margin", "cost")
MARGIN, COST = 12.0, 4.0
"""Of an order: what it brings without the offer, and what the offer takes of it on average."""


def arm_of(rng: np.random.Generator, n: int, rate: float, costs: bool) -> Moments:
    """Visitors with one order or none; margins and costs of orders vary with their values."""
    buyers = rng.binomial(n, rate)
    size = rng.lognormal(-0.32, 0.8, buyers)
    cost = COST * size if costs else np.zeros(buyers)
    rows = np.stack([np.ones(buyers), MARGIN * size - cost, cost])
    mean = rows.sum(axis=1) / n
    return Moments(COLUMNS, n, mean, rows @ rows.T - n * np.outer(mean, mean), np.zeros(3))


def measure_incremental(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, rate, lift = cell["n"], cell["rate"], cell["lift"]
    rng = np.random.default_rng(seed)
    rate_t = rate * (1 + lift)
    truth = {
        "share": lift / (1 + lift),
        "cost of incremental": COST * (rate_t - rate),
        "cost of others": COST * rate,
        "cost an order": COST * rate_t / (rate_t - rate) if lift else None,
        "break-even": MARGIN / (MARGIN - COST) - 1,
    }
    hits = dict.fromkeys(truth, 0)
    bounded = undefined = answered = 0
    for _ in range(runs):
        t, c = arm_of(rng, n, rate_t, True), arm_of(rng, n, rate, False)
        found = incrementality(t, c, orders="orders", margin="margin", cost="cost")
        if found.status != "ok":
            continue
        answered += 1
        each = found.cost_per_incremental_order
        bounded += each.kind == "bounded"
        undefined += each.kind == "undefined"
        hits["share"] += holds(found.share_incremental, truth["share"])
        hits["break-even"] += holds(found.break_even_lift, truth["break-even"])
        hits["cost of incremental"] += holds(found.cost_incremental, truth["cost of incremental"])
        hits["cost of others"] += holds(found.cost_non_incremental, truth["cost of others"])
        if lift and each.kind != "undefined":
            hits["cost an order"] += holds(each, truth["cost an order"])
    row: dict[str, Cell] = {
        name: share(hits[name], answered) for name in ("share", "cost of incremental", "cost of others", "break-even")
    }
    row["cost an order"] = share(hits["cost an order"], answered - undefined) if lift else "-"
    row["of it bounded"] = share(bounded, answered)
    row["undefined"] = share(undefined, answered)
    return row


def holds(found, truth: float) -> bool:
    kind = getattr(found, "kind", "bounded")
    if kind == "complement":
        return truth <= found.low or truth >= found.high
    if kind == "undefined":
        return False
    return (found.low is None or found.low <= truth) and (found.high is None or truth <= found.high)


INCREMENTAL = Table(
    "incremental",
    "Who would have bought anyway",
    "An offer that costs a third of the margin of each order. Coverage of the incremental share of orders, of its and "
    "the others' part of the cost, of the break-even lift, and of the cost per incremental order where the treatment "
    "had more orders (`undefined`: it had not).",
    [
        {"n": n, "rate": rate, "lift": lift}
        for n, rate, lift in itertools.product((1_000, 10_000, 100_000), (0.05,), (0.0, 0.1, 0.5))
    ],
    measure_incremental,
    lambda cell: 4_000 if cell["n"] < 100_000 else 1_500,
)


def measure_money(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    z, spread = cell["difference in standard errors"], cell["error of the audience"]
    rng = np.random.default_rng(seed)
    truth = z * 10_000.0
    covered = agrees = 0
    for d, off in zip(rng.normal(z, 1, runs).tolist(), rng.normal(0, spread, runs).tolist(), strict=True):
        seen = 10_000 * (1 + off)
        margin = 1.959964 * spread * 10_000
        audience = Audience(seen, max(seen - margin, 0.0), seen + margin) if spread else Audience(seen)
        found = money_per_week((d, d - 1.959964, d + 1.959964), audience)
        covered += found.low <= truth <= found.high
        agrees += ((d > 1.959964) == (found.low > 0)) and ((d < -1.959964) == (found.high < 0))
    return {"coverage": share(covered, runs), "0 left out as by the difference": share(agrees, runs)}


MONEY = Table(
    "money",
    "Money a week",
    "A difference a visitor times an audience, each with its 95 % interval; the audience's standard error as a share "
    "of it.",
    [
        {"difference in standard errors": z, "error of the audience": spread}
        for z, spread in itertools.product((0.0, 2.0, 10.0), (0.0, 0.05, 0.2))
    ],
    measure_money,
    lambda _: 20_000,
)


def measure_programme(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    k, tau, se = cell["experiments"], cell["tau"], cell["se"]
    rng = np.random.default_rng(seed)
    mu = 0.005 if k >= 10 else 0.0
    spread = np.sqrt(sceptical_prior(MDE)) if tau == "as the prior" else tau
    covered = some = 0
    sums = np.zeros(3)
    for _ in range(runs):
        truth = rng.normal(mu, spread, k)
        errors = se * rng.uniform(0.6, 1.4, k)
        seen = truth + rng.normal(0, errors)
        shipped = seen > 1.96 * errors
        past = [
            PastExperiment(str(i), *pair, bool(yes))
            for i, (pair, yes) in enumerate(zip(zip(seen.tolist(), errors.tolist(), strict=True), shipped, strict=True))
        ]
        found = programme_total(past, smallest_effect=MDE)
        if not found.shipped:
            continue
        some += 1
        true = truth[shipped].sum()
        covered += found.total.low <= true <= found.total.high
        sums += true, found.raw, found.total.estimate
    return {
        "any shipped": share(some, runs),
        "coverage": share(covered, some),
        "true": float(sums[0] / some),
        "raw": float(sums[1] / some),
        "shrunk": float(sums[2] / some),
    }


PROGRAMME = Table(
    "programme",
    "The total of a programme",
    "Effects N(μ, τ²) of k experiments, those with z above 1.96 shipped: the shipped together. Below ten experiments "
    "the sceptical prior of a minimum detectable effect of 5 % (μ = 0; τ = 2.55 % is that prior), from ten on the "
    "experiments' own distribution (μ = 0.5 %).",
    [
        {"experiments": 5, "tau": "as the prior", "se": 0.02},
        {"experiments": 5, "tau": 0.01, "se": 0.02},
        {"experiments": 5, "tau": 0.05, "se": 0.02},
        *({"experiments": k, "tau": tau, "se": 0.02} for k, tau in itertools.product((10, 40), (0.0, 0.01, 0.03))),
    ],
    measure_programme,
    lambda _: 2_000,
)


def measure_experience(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    k, tau = cell["past experiments"], cell["tau"]
    rng = np.random.default_rng(seed)
    covered = raw = 0
    gain = []
    for _ in range(runs):
        past = rng.normal(0.005, tau, k) + rng.normal(0, 0.02, k)
        truth = rng.normal(0.005, tau)
        seen = truth + rng.normal(0, 0.02)
        found = shrink_by_experience(seen, 0.0004, past, [0.0004] * k, MDE)
        covered += abs(found.shrunk - truth) <= 1.959964 * found.shrunk_se
        raw += abs(seen - truth) <= 1.959964 * 0.02
        gain.append(((found.shrunk - truth) ** 2, (seen - truth) ** 2))
    squares = np.mean(gain, axis=0)
    return {
        "coverage": share(covered, runs),
        "of the raw": share(raw, runs),
        "squared error, of the raw's": float(squares[0] / squares[1]),
    }


EXPERIENCE = Table(
    "experience",
    "A new effect beside past ones",
    "Effects N(0.5 %, τ²), standard errors 2 %. Coverage of the shrunk effect give or take 1.96 of its standard "
    "errors, and its squared error as a share of the raw estimate's.",
    [{"past experiments": k, "tau": tau} for k, tau in itertools.product((10, 40), (0.0, 0.01, 0.02, 0.04))],
    measure_experience,
    lambda _: 5_000,
)


def measure_course(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    n, early, later = cell["n"], cell["early lift"], cell["later lift"]
    rng = np.random.default_rng(seed)
    readings = dict.fromkeys(("falls back", "holds", "grows", "no early difference"), 0)
    covered = defined = 0
    for _ in range(runs):
        t, c = (followed(rng, n, *lifts) for lifts in ((early, later), (0.0, 0.0)))
        found = course_since_exposure(t, c, {7: "week", 28: "month"})
        readings[found.reading] += 1
        if found.given_back.kind != "undefined" and early:
            defined += 1
            covered += holds(found.given_back, -(0.06 * later) / (0.04 * early))
    return {
        **{name: share(hits, runs) for name, hits in readings.items()},
        "share given back": share(covered, defined) if early else "-",
    }


def followed(rng: np.random.Generator, n: int, early: float, later: float) -> Moments:
    """Visitors with 4 % orders in the first week and 6 % in the three after it; who is keen is keen in both."""
    keen = rng.gamma(2.0, 0.5, n)
    week = rng.poisson(0.04 * (1 + early) * keen).astype(float)
    month = week + rng.poisson(0.06 * (1 + later) * keen)
    return Moments.from_arrays({"week": week, "month": month})


COURSE = Table(
    "course",
    "After the sale: does the difference fall back?",
    "Orders in the first week after exposure (.04 a visitor) and in the three after it (.06); how the course is read, "
    "and the coverage of the share given back among those with a clear early difference.",
    [
        {"n": 10_000, "early lift": early, "later lift": later}
        for early, later in ((0.0, 0.0), (0.5, 0.0), (0.5, -0.2), (0.5, 0.3), (2.0, -0.5))
    ],
    measure_course,
    lambda _: 2_000,
)
