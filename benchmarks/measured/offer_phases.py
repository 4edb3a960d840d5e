"""Simulated shops whose split changed while demand did: what offers brought, prices and agents over two phases.

The phases are two kinds of visitors, quiet and busy days; an arm keeps a share of those who come to it in each, so that
the split moves from one phase to the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from offerlift.experiments.testing import Behaviour, Group, Habits, Population, SimulatedShop
from offerlift.stats import (
    Moments,
    compare_clusters_over_strata,
    compare_means_over_strata,
    demand_curve,
    dose_response,
    incrementality,
    moments_over_strata,
    stratum_weights,
)

from .simulated import Arms, holds
from .tables import Average, Cell, Row, Table, share

__all__ = ["AGENTS_PHASES", "ANYWAY_PHASES", "PRICED_PHASES"]

RUNS = 1_000
VISITORS = 10_000
"""Who come; an arm keeps a quarter of them in one of the phases."""
GROUPS = (Group("quiet", 0.5, purchase=0.5), Group("busy", 0.5, purchase=1.5))

Phases = list[dict[str, dict[str, NDArray[np.float64]]]]
"""Phase by phase: arm -> column -> one number a visitor."""


def phases_of(arms: Arms, kept: Mapping[str, tuple[float, float]], rng: np.random.Generator) -> Phases:
    """The visitors by phase, of whom each arm keeps its share."""
    found: Phases = [{}, {}]
    for arm, columns in arms.items():
        chance = rng.random(len(columns["group"]))
        for phase, stays in enumerate(kept[arm]):
            at = (columns["group"] == phase) & (chance < stays)
            found[phase][arm] = {name: values[at] for name, values in columns.items()}
    return found


def strata(phases: Phases, *columns: str) -> dict[str, list[Moments]]:
    """Moments of each arm, phase by phase."""
    return {
        arm: [Moments.from_arrays({name: phase[arm][name] for name in columns}) for phase in phases]
        for arm in phases[0]
    }


def drawn(
    shop: SimulatedShop,
    kept: Mapping[str, tuple[float, float]],
    seed: int,
    runs: int,
    *,
    unit: Literal["visitor", "agent"] = "visitor",
) -> Iterator[Phases]:
    """So many experiments."""
    for run in range(runs):
        arms = shop.arrays([seed, run], VISITORS, unit=unit)
        yield phases_of(arms, kept, np.random.default_rng([seed, run, 2]))


def true(shop: SimulatedShop, metric: str, arm: str, weights: Sequence[float]) -> float:
    """What is expected of all visitors, as many of each phase as were seen."""
    return sum(
        weight * shop.truth.value(metric, arm, group.name) for weight, group in zip(weights, GROUPS, strict=True)
    )


MOVED = {"control": (0.25, 1.0), "offer": (1.0, 0.25)}


def measure_anyway(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    habits, people = Habits(purchase=0.2), Population(groups=GROUPS)
    shop = SimulatedShop({"control": Behaviour(), "offer": Behaviour(price=1 - float(cell["off"]))}, habits, people)
    columns = {"orders": "conversion", "margin": "margin_per_visitor", "cost": "discount_cost"}
    hits: dict[str, int] = defaultdict(int)
    defined = together = 0
    for phases in drawn(shop, MOVED, seed, runs):
        found = strata(phases, *columns.values())
        weights = stratum_weights(list(found.values()))
        split = incrementality(*(moments_over_strata(found[arm], weights) for arm in ("offer", "control")), **columns)
        orders, margin = (
            {arm: true(shop, name, arm, weights) for arm in shop.behaviours}
            for name in ("conversion", "margin_per_visitor")
        )
        given, brought = true(shop, "discount_cost", "offer", weights), 1 - orders["control"] / orders["offer"]
        even = margin["control"] / orders["control"] / (margin["offer"] / orders["offer"]) - 1
        each = split.cost_per_incremental_order
        defined += each.kind != "undefined"
        hits["incremental share"] += holds(split.share_incremental, brought)
        hits["its cost"] += holds(split.cost_incremental, given * brought)
        hits["cost of the others"] += holds(split.cost_non_incremental, given * (1 - brought))
        hits["cost an incremental order"] += holds(each, given / (orders["offer"] - orders["control"]))
        hits["break-even lift"] += holds(split.break_even_lift, even)
        pooled = incrementality(*(Moments.merge(found[arm]) for arm in ("offer", "control")), **columns)
        together += holds(pooled.share_incremental, brought)
    return {
        **{name: share(count, defined if "an incremental" in name else runs) for name, count in hits.items()},
        "share, phases together": share(together, runs),
    }


ANYWAY_PHASES = Table(
    "anyway_phases",
    "Who would have bought anyway, over two phases",
    "The same discounts while demand triples from the first phase to the second and the split goes from 4:1 to 1:4: "
    "5,000 visitors. Coverage of the 95 % intervals with phases as strata; and of the share's with all visitors "
    "together, where the offer seems to lose orders.",
    [{"off": off} for off in (0.1, 0.25)],
    measure_anyway,
    lambda _: RUNS,
)

PRICES = {"low": 0.85, "list": 1.0, "high": 1.2}
TOWARDS_HIGH = {"low": (1.0, 0.25), "list": (0.5, 0.5), "high": (0.25, 1.0)}


def measure_prices(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    rng = np.random.default_rng(seed)
    asked = {arm: 60 * price for arm, price in PRICES.items()}
    hits: dict[str, int] = defaultdict(int)
    said, regret, lost = [], [], []
    for run in range(runs):
        elasticity = float(rng.uniform(-4.0, -0.8)) if cell["elasticity"] == "drawn" else float(cell["elasticity"])
        habits = Habits(purchase=0.15, elasticity=elasticity, cost_share=0.55, shipping=0.0, spread=0.3)
        shop = SimulatedShop(
            {arm: Behaviour(price=price) for arm, price in PRICES.items()}, habits, Population(groups=GROUPS)
        )
        phases = phases_of(shop.arrays([seed, run], 12_000), TOWARDS_HIGH, np.random.default_rng([seed, run, 2]))
        found = strata(phases, "conversion", "margin_per_visitor")
        weights = stratum_weights(list(found.values()))
        margin = {arm: true(shop, "margin_per_visitor", arm, weights) for arm in PRICES}
        gains = dose_response(
            {arm: moments_over_strata(one, weights) for arm, one in found.items()}, asked, "margin_per_visitor"
        )
        curve = demand_curve(found, asked, "conversion")
        hits["coverage of elasticity"] += holds(curve.elasticity, elasticity)
        hits["lack of fit below .05"] += curve.fit.p_value < 0.05
        for arm, value in margin.items():
            hits[f"margin at {arm}"] += holds(gains[arm], value)
        slope = np.polyfit([(price - 0.85) / 0.35 for price in PRICES.values()], list(margin.values()), 1)[0]
        hits["linear"] += holds(gains.linear, float(slope))
        pooled = demand_curve({arm: Moments.merge(one) for arm, one in found.items()}, asked, "conversion")
        hits["elasticity, phases together"] += holds(pooled.elasticity, elasticity)
        best = gains.best
        said.append(gains[best].probability_best)
        regret.append(gains[best].expected_regret)
        lost.append(max(margin.values()) - margin[best])
        hits["was the best"] += lost[-1] == 0
    return {
        **{name: share(count, runs) for name, count in hits.items() if name != "was the best"},
        "P(best) said": Average.of(said),
        "was the best": share(hits["was the best"], runs),
        "regret said": Average.of(regret),
        "regret": Average.of(lost),
    }


PRICED_PHASES = Table(
    "priced_phases",
    "Three tested prices over two phases",
    "Prices 15 % below and 20 % above a basket of 60; demand triples while visitors are moved from the lowest price to "
    "the highest. Coverage of the elasticity, of each price's margin and of the linear contrast with phases as strata, "
    "and of the elasticity with all visitors together; then the price that is picked by the arms' margins, as above.",
    [{"elasticity": elasticity} for elasticity in ("-1.5", "-2.5", "drawn")],
    measure_prices,
    lambda _: RUNS,
)


def measure_agents(cell: Mapping[str, Cell], runs: int, seed: int) -> Row:
    people = Population(groups=GROUPS, agents=int(cell["agents"]), agent_spread=0.5)
    habits = Habits(purchase=0.15)
    shop = SimulatedShop({"control": Behaviour(), "offer": Behaviour(price=0.9)}, habits, people)
    hits: dict[str, int] = defaultdict(int)
    unit = "agent" if cell["randomised"] == "agent" else "visitor"
    for phases in drawn(shop, MOVED, seed, runs, unit=unit):
        found = strata(phases, "margin_per_visitor")
        weights = stratum_weights(list(found.values()))
        offer, control = (true(shop, "margin_per_visitor", arm, weights) for arm in ("offer", "control"))
        t, c = ([_by_agent(phase[arm]) for phase in phases] for arm in ("offer", "control"))
        robust = compare_clusters_over_strata(t, c, "margin_per_visitor")
        hits["cluster-robust"] += holds(robust.difference, offer - control)
        apart = compare_clusters_over_strata([t[0], _renamed(t[1])], [c[0], _renamed(c[1])], "margin_per_visitor")
        hits["agents of either phase as others"] += holds(apart.difference, offer - control)
        alone = compare_means_over_strata(found["offer"], found["control"], "margin_per_visitor")
        hits["as if independent"] += holds(alone.difference, offer - control)
    return {name: share(count, runs) for name, count in hits.items()}


def _by_agent(columns: Mapping[str, NDArray[np.float64]]) -> dict[Hashable, Moments]:
    agents, values = columns["agent"], columns["margin_per_visitor"]
    return {
        f"{agent:.0f}": Moments.from_arrays({"margin_per_visitor": values[agents == agent]})
        for agent in np.unique(agents)
    }


def _renamed(clusters: Mapping[Hashable, Moments]) -> dict[Hashable, Moments]:
    return {f"{name} again": one for name, one in clusters.items()}


AGENTS_PHASES = Table(
    "agents_phases",
    "Agents over two phases",
    "Agents who sell by up to half more, or less, than the mean, and work on while demand triples and the split goes "
    "from 4:1 to 1:4; 5,000 customers. Coverage of the margin's difference: cluster-robust over phases (CR2); with the "
    "agents of the second phase taken for others; and with customers as independent.",
    [{"randomised": unit, "agents": agents} for unit in ("visitor", "agent") for agents in (12, 40)],
    measure_agents,
    lambda _: RUNS,
)
