"""Whether outcomes arrive: missing ones block at a stated false-alarm rate, and few sales are no alarm."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from offerlift.reports import scorecard
from offerlift.reports.completeness import OUTCOMES_ALARM, outcomes
from offerlift.stats import Moments
from offerlift.storage.observations import ArmCounts


def found(observed, sample, arms, **given):
    return outcomes(observed({arm: sample(*numbers) for arm, numbers in arms.items()}, **given), 1)


@pytest.mark.parametrize(("visitors", "status"), [(100, "not_run"), (200, "warn"), (3_400, "warn"), (3_500, "fail")])
def test_no_outcomes_at_all(observed, sample, visitors, status):
    """Two arms without a single one: too few to say, a warning, and from 6,905 visitors on a failure that blocks."""
    seen = observed({"control": sample(visitors, 0), "b": sample(visitors, 0)}, outcomes={"control": 0, "b": 0})
    check = outcomes(seen, 1)
    assert check.status == status
    assert f"{2 * visitors:,} visitors" in check.reason
    assert (scorecard(seen).decision.action == "do_not_read") == (status == "fail")


def test_a_shop_that_sells_little_is_not_blocked(observed, sample):
    """A hundred visitors before the first order are nothing strange where one in a hundred buys."""
    none = {"control": 0, "b": 0}
    seen = observed({"control": sample(75, 0), "b": sample(75, 0)}, outcomes=none)
    assert scorecard(seen).healthy


def test_the_primary_event_may_be_the_one_that_is_missing(observed, sample):
    """Outcomes of other events arrive and no purchase does: the event is named."""
    arms = {"control": sample(5_000, 0, unsubscribed=50), "b": sample(5_000, 0, unsubscribed=50)}
    seen = observed(arms)
    arms = {name: ArmCounts(5_000, 0, {"purchase": 0, "unsubscribe": 50}) for name in arms}
    check = outcomes(replace(seen, arms=arms), 1)
    assert check.status == "fail"
    assert check.reason.startswith("No “purchase” is recorded for any of the 10,000 visitors")


@pytest.mark.parametrize(("orders", "status"), [(10, "ok"), (11, "fail")])
def test_an_arm_without_outcomes(observed, sample, orders, status):
    """Two equal arms: 2 · (1/2)^11 = .00098 fails, and 2 · (1/2)^10 does not."""
    check = found(observed, sample, {"control": (1_000, orders), "b": (1_000, 0)})
    assert check.status == status
    if status == "fail":
        assert check.p_value == pytest.approx(2 * 0.5**11)
        assert "at least 11 visitors" in check.reason


def test_many_orders_of_one_visitor_are_not_many_visitors(observed, sample):
    """Thirty orders of a single visitor say nothing about the arm without any."""
    seen = observed({"control": sample(1_000, 1), "b": sample(1_000, 0)}, outcomes={"control": 30, "b": 0})
    assert outcomes(seen, 1).status == "ok"


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.1])
def test_false_alarms_are_as_rare_as_stated(observed, sample, rate):
    """Healthy experiments, asked after every hundred visitors: at most one in a thousand fails at any time.

    An arm of a fifth of the visitors, which is without outcomes the longest; 3,000 runs, three standard errors.
    """
    random, runs, alarms = Random(5), 3_000, 0
    empty = observed({"control": sample(4, 1), "b": sample(1, 0)}, weights=(4, 1))
    column = ("purchase:converted",)
    metric = next(one for one in empty.definition.metrics if one.name == "conversion")
    definition = replace(empty.definition, metrics=(metric,), plan=replace(empty.definition.plan, primary="conversion"))
    for _ in range(runs):
        visitors, buyers = {"control": 0, "b": 0}, {"control": 0, "b": 0}
        while 0 in buyers.values() and sum(visitors.values()) < 20_000:
            for _ in range(100):
                arm = "control" if random.random() < 0.8 else "b"
                visitors[arm] += 1
                buyers[arm] += random.random() < rate
            moments = {
                arm: Moments.from_sums(column, n, [buyers[arm]], {(column[0], column[0]): buyers[arm]})
                for arm, n in visitors.items()
            }
            seen = replace(
                empty,
                definition=definition,
                arms={arm: ArmCounts(n, 0, {"purchase": buyers[arm]}) for arm, n in visitors.items()},
                moments={"conversion": moments},
            )
            if outcomes(seen, 1).status == "fail":
                alarms += 1
                break
    assert alarms <= runs * OUTCOMES_ALARM + 3 * (runs * OUTCOMES_ALARM) ** 0.5
