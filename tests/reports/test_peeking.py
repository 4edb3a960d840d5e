"""Peek honesty: experiments without an effect, reviewed every week through the real store and the real review."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.experiments.records import Exposure, Outcome
from offerlift.reports.recording import record_look
from offerlift.reports.tree import Scorecard
from offerlift.storage import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = 86_400_000_000
WEEKS = 12
VISITORS = 1_500
"""Of every experiment; 125 come with each week's mail, so the days are few and a review is fast."""

BUYERS = 0.5
"""Share of the visitors: two arms have the orders that a verdict needs from the second week on."""

METRICS = (
    Metric("revenue_per_visitor", "revenue", Column("purchase", "value"), window_end=DAY),
    Metric("margin_per_visitor", "margin", Column("purchase", "margin"), window_end=DAY, non_inferiority_margin=0.1),
)


@dataclass(frozen=True)
class Plans:
    """One way to plan: how many arms, whether looks are planned, and whether there are guardrails."""

    arms: int
    looks: bool
    guardrails: bool

    def definition(self, key: str) -> Definition:
        share = 10_000 // self.arms
        return Definition(
            key,
            "control",
            tuple(Arm(name, share) for name in ("control", "b", "c", "d")[: self.arms]),
            METRICS if self.guardrails else METRICS[:1],
            Plan(
                "revenue_per_visitor",
                guardrails=("margin_per_visitor",) if self.guardrails else (),
                looks=tuple((week + 1) / WEEKS for week in range(WEEKS)) if self.looks else (),
                sample_size=VISITORS if self.looks else None,
                minimum_detectable_effect=0.05,
            ),
        )


ALL = [Plans(arms, looks, guardrails) for arms in (2, 4) for looks in (True, False) for guardrails in (False, True)]


def shop(store: Store, seed: int, plans: Sequence[Plans], each: int) -> Iterator[tuple[Plans, str]]:
    """Fill a store with so many experiments of each plan on the same visitors and orders, each split anew at random.

    No arm does anything, so what a visitor buys is the same whatever the split; given the orders, the splits and with
    them the experiments are independent.
    """
    rng = np.random.default_rng(seed)
    times = [START + timedelta(weeks=at * WEEKS // VISITORS, minutes=at % 125) for at in range(VISITORS)]
    buys = rng.random(VISITORS) < BUYERS
    values = np.round(np.exp(rng.normal(4.0, 0.6, VISITORS)), 2)
    costs = np.round(values * rng.uniform(0.4, 0.8, VISITORS), 2)
    store.write_outcomes(
        Outcome(f"o{at}", f"v{at}", "purchase", times[at], value=Decimal(str(values[at])), cost=Decimal(str(costs[at])))
        for at in np.flatnonzero(buys)
    )
    for number in range(each):
        for plan in plans:
            key = f"plan-{ALL.index(plan)}-{number}"
            version = publish(plan.definition(key), None, at=START)
            store.publish(version)
            version = start(version, START)
            store.publish(version)
            arms = [arm.name for arm in version.definition.arms]
            split = rng.integers(0, len(arms), VISITORS)
            store.write_exposures(
                Exposure(key, f"v{at}", arms[split[at]], times[at], 1, version.assignment_hash)
                for at in range(VISITORS)
            )
            yield plan, key


@dataclass
class Course:
    """What twelve weekly reviews said of one experiment, arm by arm."""

    verdicts: dict[str, str]
    taken_back: list[str]

    def add(self, card: Scorecard) -> None:
        """Compare a review with those before it; while health fails there is no verdict to compare."""
        if not card.healthy:
            return
        for arm in card.arms:
            before = self.verdicts.get(arm.arm)
            if before is not None and arm.verdict != before:
                self.taken_back.append(f"{card.experiment}, {arm.arm}: {before}, then {arm.verdict}")
            if arm.verdict in ("ship", "stop_harm", "stop_no_effect"):
                self.verdicts[arm.arm] = arm.verdict

    @property
    def is_false(self) -> bool:
        """Whether an arm that does nothing was shipped or rolled back."""
        return bool({"ship", "stop_harm"} & set(self.verdicts.values()))


def review_weekly(store: Store, key: str) -> Course:
    course = Course({}, [])
    for week in range(1, WEEKS + 1):
        course.add(record_look(store, key, START + timedelta(weeks=week)).scorecard)
    return course


def reviewed(folder: Path, seed: int, plans: Sequence[Plans], each: int) -> list[tuple[Plans, Course]]:
    """So many experiments of each plan in a store of their own, reviewed to their end."""
    with Store.open(f"sqlite:///{folder / f'{seed}.db'}") as store:
        return [(plan, review_weekly(store, key)) for plan, key in shop(store, seed, plans, each)]


def check_honesty(courses: list[tuple[Plans, Course]]) -> None:
    """At most 5 % and 3.5 standard errors end falsely, of all and of each plan, and no verdict is taken back."""
    assert [line for _, course in courses for line in course.taken_back] == []
    assert sum(course.is_false for _, course in courses) <= most_false(len(courses))
    for plan in {plan for plan, _ in courses}:
        own = [course.is_false for its, course in courses if its == plan]
        assert sum(own) <= most_false(len(own)), plan
    # What never ends proves nothing: planned experiments do.
    planned = [course for plan, course in courses if plan.looks]
    assert sum(bool(course.verdicts) for course in planned) > 0.9 * len(planned)


def most_false(number: int) -> float:
    return 0.05 * number + 3.5 * math.sqrt(0.05 * 0.95 * number)


@pytest.mark.slow
@pytest.mark.parametrize("arms", [2, pytest.param(4, marks=pytest.mark.full)])
def test_weekly_reviews_of_nothing_end_falsely_in_one_of_twenty(tmp_path, arms):
    """60 experiments without an effect, twelve reviews each: ship or stop_harm at most as often as promised."""
    check_honesty(reviewed(tmp_path, 20_261_128, [plan for plan in ALL if plan.arms == arms], each=15))


@pytest.mark.full
@pytest.mark.slow
def test_two_thousand_experiments_end_falsely_in_one_of_twenty(tmp_path):
    """The same of 2,000 experiments in ten shops, where 3.5 standard errors are 1.7 %."""
    check_honesty([one for seed in range(10) for one in reviewed(tmp_path, seed, ALL, each=25)])
