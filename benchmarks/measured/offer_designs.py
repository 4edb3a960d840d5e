"""Simulated shops: factorials, tested prices and depths, segments, agents, overlapping experiments."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from offerlift.experiments.testing import Behaviour, Group, Habits, Population, SimulatedShop
from offerlift.experiments.testing.behaviour import combined
from offerlift.stats import (
    Moments,
    choose_price,
    compare_clusters,
    compare_factorial,
    compare_means,
    compare_segments,
    demand_curve,
    dose_response,
    overlap_interactions,
)

from .simulated import experiments, holds, moments
from .tables import Average, Cell, Row, Table, share

__all__ = ["AGENTS", "DEPTHS", "FACTORS", "OVERLAPPING", "PRICED", "SEGMENTED"]

RUNS = 1_000
VISITORS = 6_000

LEVELS = {
    "price": {"list": Behaviour(), "off": Behaviour(price=0.9)},
    "message": {"plain": Behaviour(), "urgent": Behaviour(appeal=1.15)},
    "shipping": {"paid": Behaviour(), "free": Behaviour(free_shipping_from=59.0)},
}
FACTORS_OF = {name: tuple(levels) for name, levels in LEVELS.items()}
CELLS = {".".join(cell): cell for cell in itertools.product(*FACTORS_OF.values())}


def measure_factors(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    scale, metric = str(cell["scale"]), str(cell["metric"])
    behaviours = {
        name: combined(*(LEVELS[factor][level] for factor, level in zip(LEVELS, levels, strict=True)))
        for name, levels in CELLS.items()
    }
    truth = SimulatedShop(behaviours, Habits(purchase=0.3)).truth
    shop = SimulatedShop(behaviours, Habits(purchase=0.3))
    signs = {name: [1.0 if level != FACTORS_OF[f][0] else -1.0 for f, level in zip(LEVELS, levels, strict=True)]
             for name, levels in CELLS.items()}  # fmt: skip

    def true(*factors: int) -> float:
        weights = {
            name: float(np.prod([sign[f] for f in factors])) / 2 ** (3 - len(factors)) for name, sign in signs.items()
        }
        return truth.contrast(metric, weights, log=scale == "log")

    terms = {"price": true(0), "message": true(1), "shipping": true(2), "price:message": true(0, 1),
             "price:shipping": true(0, 2)}  # fmt: skip
    hits: dict[str, int] = defaultdict(int)
    raw, shrunk, said, best = [], [], [], 0
    for arms in experiments(shop, seed, runs, VISITORS):
        cells = {CELLS[arm]: one for arm, one in moments(arms, metric).items()}
        found = compare_factorial(cells, FACTORS_OF, metric, scale=scale)
        for term, value in terms.items():
            hits[term] += holds(found[term].contrasts[0], value)
        hits["rejected"] += found["price:message"].test.p_value < 0.05
        chosen = found.best
        name = ".".join(map(str, chosen.levels))
        value = truth.value(metric, name)
        raw.append(chosen.mean - value)
        shrunk.append(chosen.shrunk - value)
        said.append(chosen.probability_best)
        best += name == truth.best(metric)
    return {
        **{term: share(hits[term], runs) for term in terms},
        "price:message rejected": share(hits["rejected"], runs),
        "best cell: raw - truth": Average.of(raw),
        "shrunk - truth": Average.of(shrunk),
        "P(best) said": Average.of(said),
        "was the best": share(best, runs),
    }


FACTORS = Table(
    "factors",
    "A factorial of price, message and shipping",
    "Eight cells of 750 visitors, 30 % buying. Coverage of main effects and interactions; how often an interaction of "
    "price and message is found (on the log scale of conversion there is none). Then the cell that is picked as the "
    "best: how far its raw and its shrunk mean are above its true one, and how sure it is said to be the best.",
    [{"metric": "margin_per_visitor", "scale": "additive"}, {"metric": "conversion", "scale": "log"}],
    measure_factors,
    lambda _: RUNS,
)

PRICES = {"80": 0.8, "90": 0.9, "100": 1.0, "110": 1.1, "125": 1.25}


def measure_prices(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    habits = {"basket": 60.0, "cost_share": 0.55, "shipping": 0.0, "refund": 0.0, "purchase": 0.18, "spread": 0.3}
    asked = {arm: 60 * price for arm, price in PRICES.items()}
    covered = fitted = 0
    said, regret, lost = (defaultdict(list) for _ in range(3))
    best: dict[str, int] = defaultdict(int)
    for run in range(runs):
        elasticity = -2.5 if cell["elasticity"] == "-2.5" else float(rng.uniform(-4.5, -0.8))
        shop = SimulatedShop(
            {arm: Behaviour(price=price) for arm, price in PRICES.items()}, Habits(elasticity=elasticity, **habits)
        )
        found = moments(shop.arrays([seed, run], int(cell["visitors"])), "conversion", "margin_per_visitor")
        demand = demand_curve(found, asked, "conversion")
        covered += holds(demand.elasticity, elasticity)
        fitted += demand.fit.p_value < 0.05
        chosen = choose_price(found, asked, "conversion", unit_cost=33.0, margin="margin_per_visitor")
        for by, arm in (("arms", chosen.best), ("curve", chosen.model_best)):
            one = chosen[arm]
            said[by].append(one.probability_best if by == "arms" else one.model_probability_best)
            regret[by].append(one.expected_regret if by == "arms" else one.model_expected_regret)
            lost[by].append(shop.truth.regret("margin_per_visitor", arm))
            best[by] += arm == shop.truth.best("margin_per_visitor")
    row: dict[str, Cell] = {
        "coverage of elasticity": share(covered, runs),
        "lack of fit below .05": share(fitted, runs),
    }
    for by in ("arms", "curve"):
        row[f"{by}: P(best) said"] = Average.of(said[by])
        row[f"{by}: was the best"] = share(best[by], runs)
        row[f"{by}: regret said"] = Average.of(regret[by])
        row[f"{by}: regret"] = Average.of(lost[by])
    return row


PRICED = Table(
    "priced",
    "Five tested prices",
    "Order values vary with a sigma of 0.3 around five prices, from 20 % below to 25 % above a basket of 60 that "
    "costs 33; 18 % buy at the list price. Coverage of the elasticity. Then the price that is picked by the arms' "
    "margins alone and by the demand curve: said and true chance to be the best of those tested, said and true "
    "expected regret a visitor. Chances are calibrated over truths that vary (`drawn` from -4.5 to -0.8), not at "
    "every single one; the arms alone, with a flat prior on each, are too sure of what they picked and say too "
    "large a regret. The curve is calibrated, where its form is right as here.",
    [
        {"elasticity": elasticity, "visitors": visitors}
        for elasticity, visitors in (("-2.5", 5_000), ("drawn", 5_000), ("drawn", 15_000))
    ],
    measure_prices,
    lambda _: RUNS,
)

DEPTHS_OF = {"0": 0.0, "10": 0.1, "20": 0.2, "30": 0.3}


def measure_depths(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    dose = np.array(list(DEPTHS_OF.values()))
    scaled = dose / dose[-1]
    linear = (scaled - scaled.mean()) / ((scaled - scaled.mean()) ** 2).sum()
    quadratic = np.linalg.pinv(np.vander(scaled, 3))[0]
    covered = {"linear": 0, "quadratic": 0}
    said, regret, lost = [], [], []
    best = 0
    for run in range(runs):
        elasticity = -2.5 if cell["elasticity"] == "-2.5" else float(rng.uniform(-4.0, -1.0))
        shop = SimulatedShop(
            {arm: Behaviour(price=1 - off) for arm, off in DEPTHS_OF.items()},
            Habits(purchase=0.1, elasticity=elasticity, cost_share=0.4),
        )
        truth = np.array([shop.truth.value("margin_per_visitor", arm) for arm in DEPTHS_OF])
        found = dose_response(
            moments(shop.arrays([seed, run], VISITORS), "margin_per_visitor"), DEPTHS_OF, "margin_per_visitor"
        )
        covered["linear"] += holds(found.linear, float(linear @ truth))
        covered["quadratic"] += holds(found.quadratic, float(quadratic @ truth))
        chosen = found[found.best]
        said.append(chosen.probability_best)
        regret.append(chosen.expected_regret)
        lost.append(shop.truth.regret("margin_per_visitor", found.best))
        best += found.best == shop.truth.best("margin_per_visitor")
    return {
        **{name: share(count, runs) for name, count in covered.items()},
        "P(best) said": Average.of(said),
        "was the best": share(best, runs),
        "regret said": Average.of(regret),
        "regret": Average.of(lost),
    }


DEPTHS = Table(
    "depths",
    "Depth of a discount as a dose",
    "Nothing, 10, 20 and 30 % off; margin a visitor, 1,500 visitors a depth. Coverage of both contrasts, and the depth "
    "that is picked by the arms alone: too sure of itself, as above.",
    [{"elasticity": elasticity} for elasticity in ("-2.5", "drawn")],
    measure_depths,
    lambda _: RUNS,
)


def measure_segments(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    differ = cell["groups"] == "differ"
    groups = tuple(
        Group(name, part, purchase=often, elasticity=elasticity if differ else 1.0)
        for name, part, often, elasticity in (
            ("new", 0.4, 0.8, 1.6), ("casual", 0.3, 1.0, 1.0), ("regular", 0.2, 1.3, 0.6), ("loyal", 0.1, 1.5, 0.1),
        )
    )  # fmt: skip
    shop = SimulatedShop(
        {"control": Behaviour(), "offer": Behaviour(price=0.8)},
        Habits(purchase=0.2, shipping=0.0),
        Population(groups=groups),
    )
    truth = {
        group.name: np.log(shop.truth.value("conversion", "offer", group.name))
        - np.log(shop.truth.value("conversion", "control", group.name))
        for group in groups
    }
    found_any = covered = shrunk_covered = contrast_covered = 0
    errors = []
    for arms in experiments(shop, seed, runs, VISITORS):
        cells = {
            (group.name, arm): Moments.from_arrays({"conversion": one["conversion"][one["group"] == number]})
            for arm, one in arms.items()
            for number, group in enumerate(groups)
        }
        comparison = compare_segments(
            {"customer": cells}, "conversion", control="control", declared=["customer"], kind="conversion", scale="log"
        )
        (one,) = comparison.segmentations
        found_any += one.test.p_value < 0.05
        for effect in one.effects:
            true = truth[effect.value]
            others = {name: group.share for name, group in zip(truth, groups, strict=True) if name != effect.value}
            rest = sum(part * truth[name] for name, part in others.items()) / sum(others.values())
            covered += holds(effect.lift, float(np.expm1(true)))
            contrast_covered += holds(effect.against_others, float(true - rest))
            shrunk_covered += abs(effect.shrunk.shrunk - true) <= 1.959964 * effect.shrunk.shrunk_se
            errors.append(((effect.shrunk.shrunk - true) ** 2, (effect.shrunk.raw - true) ** 2))
    squares = np.mean(errors, axis=0)
    every = runs * len(groups)
    return {
        "test below .05": share(found_any, runs),
        "lift of a segment": share(covered, every),
        "against the others": share(contrast_covered, every),
        "shrunk ± 1.96": share(shrunk_covered, every),
        "squared error, of the raw's": float(squares[0] / squares[1]),
    }


SEGMENTED = Table(
    "segmented",
    "For whom",
    "Four kinds of customers of 40, 30, 20 and 10 %, whose conversion an offer lifts by the same factor (`alike`), "
    "or by different ones. How often the interaction is found, coverage of a segment's lift, of its contrast with "
    "the others (weighted by the visitors seen) and of the shrunk effect give or take 1.96 of its standard errors, "
    "and the shrunk effects' squared error as a share of the raw ones'. Where the smallest segment differs most, as"
    " in `differ`, shrinkage draws it too near and gains nothing.",
    [{"groups": groups} for groups in ("alike", "differ")],
    measure_segments,
    lambda _: RUNS,
)


def measure_agents(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    people = Population(agents=int(cell["agents"]), agent_spread=0.5)
    shop = SimulatedShop({"control": Behaviour(), "offer": Behaviour(appeal=1.1)}, Habits(purchase=0.15), people)
    truth = shop.truth.difference("margin_per_visitor", "offer")
    covered = naive = 0
    for run in range(runs):
        arms = shop.arrays([seed, run], VISITORS, unit=cell["randomised"])
        clusters = {
            arm: {
                int(agent): (
                    int((one["agent"] == agent).sum()),
                    float(one["margin_per_visitor"][one["agent"] == agent].sum()),
                )
                for agent in np.unique(one["agent"])
            }
            for arm, one in arms.items()
        }
        covered += holds(compare_clusters(clusters["offer"], clusters["control"]).difference, truth)
        found = moments(arms, "margin_per_visitor")
        naive += holds(compare_means(found["offer"], found["control"], "margin_per_visitor").difference, truth)
    return {"cluster-robust": share(covered, runs), "as if independent": share(naive, runs)}


AGENTS = Table(
    "agents",
    "Agents as clusters",
    "6,000 customers of agents who sell by up to half more, or less, than the mean. Coverage of the margin's "
    "difference: cluster-robust (CR2), and by Welch's test, which takes customers of one agent as independent.",
    [
        {"randomised": unit, "agents": agents}
        for unit, agents in (("visitor", 12), ("visitor", 40), ("agent", 12), ("agent", 40))
    ],
    measure_agents,
    lambda _: RUNS,
)


def measure_overlapping(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    together = float(cell["together"])
    both = {
        "old.no": Behaviour(),
        "new.no": Behaviour(appeal=1.15),
        "old.yes": Behaviour(price=0.9),
        "new.yes": Behaviour(price=0.9, appeal=1.15 * together),
    }
    shop = SimulatedShop(both, Habits(purchase=0.25))
    weights = {"new.yes": 1.0, "new.no": -1.0, "old.yes": -1.0, "old.no": 1.0}
    scale, metric = str(cell["scale"]), str(cell["metric"])
    truth = shop.truth.contrast(metric, weights, log=scale == "log")
    covered = found_any = 0
    for arms in experiments(shop, seed, runs, VISITORS):
        cells = {tuple(arm.split(".")): one for arm, one in moments(arms, metric).items()}
        found = overlap_interactions(
            {("banner", "price"): cells}, {"banner": ("old", "new"), "price": ("no", "yes")}, metric, scale=scale
        )
        covered += holds(found.pairs[0].contrasts[0], truth)
        found_any += bool(found.interacting())
    return {
        "coverage": share(covered, runs),
        "listed as interacting": share(found_any, runs),
        "truth": round(truth, 6) + 0.0,
    }


OVERLAPPING = Table(
    "overlapping",
    "Experiments that share visitors",
    "Two experiments on the same visitors, whose effects multiply (`together` 1), or help each other. Coverage of the "
    "interaction, and how often it is listed.",
    [
        {"metric": metric, "scale": scale, "together": together}
        for metric, scale, together in (
            ("conversion", "log", 1.0),
            ("margin_per_visitor", "additive", 1.0),
            ("conversion", "log", 1.25),
        )
    ],
    measure_overlapping,
    lambda _: RUNS,
)
