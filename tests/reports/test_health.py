"""Health checks: what fails, what warns, what is not run, and the sentence that goes with it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from offerlift.reports import scorecard
from offerlift.reports.health import health_checks
from offerlift.reports.tree import HealthCheck, Scorecard
from offerlift.storage.observations import ArmCounts, Stratum
from offerlift.storage.rejections import Rejections

from .conftest import NOW

NAMES = [
    "srm",
    "srm_sequential",
    "srm_mature",
    "srm_by_day",
    "srm_by_segment",
    "crossovers",
    "outcomes",
    "currencies",
    "refunds",
    "outliers",
    "covariates",
    "phases",
    "unknown_arms",
    "rows",
    "conflicts",
]


def check(card: Scorecard, name: str) -> HealthCheck:
    return next(check for check in card.health if check.check == name)


def blocked(card: Scorecard) -> bool:
    return card.decision.action == "do_not_read"


def test_a_healthy_experiment(observed, sample):
    """Every check is listed, those without what they need (a table, phases, days, ...) are not run, nothing blocks."""
    card = scorecard(observed({"control": sample(10_000, 500), "b": sample(10_050, 500, waiting=30)}))
    assert [check.check for check in card.health] == NAMES
    assert {check.check for check in card.health if check.status != "ok"} == {
        "phases",
        "rows",
        "srm_by_day",
        "srm_by_segment",
        "covariates",
        "outliers",
        "conflicts",
    }
    assert check(card, "rows").status == "not_run"
    assert not blocked(card)


def test_without_visitors_nothing_is_run(observed, sample):
    """No visitors: the tests are not_run and have no p-value; not_run is never ok."""
    card = scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}))
    for name in ("srm", "srm_sequential", "srm_mature", "crossovers", "outcomes"):
        assert (check(card, name).status, check(card, name).p_value) == ("not_run", None)


@pytest.mark.parametrize("source", ["assigner", "table"])
def test_a_sample_ratio_between_the_limits_warns(observed, sample, source):
    """Cookie Cats' 44,700 and 45,489: p = .0086 warns, says what is done with it, and does not block."""
    card = scorecard(observed({"control": sample(44_700, 8_502), "b": sample(45_489, 8_279)}, source=source))
    srm = check(card, "srm")
    assert srm.p_value == pytest.approx(0.0086, abs=0.0001)
    assert srm.status == "warn"
    assert srm.reason.startswith("44,700 and 45,489 visitors where 45,094.5 each were planned; p = .0086.")
    assert "the verdict stands" in srm.reason
    assert check(card, "srm_sequential").status == "ok"
    assert not blocked(card)


def test_a_wrong_split_blocks(observed, sample):
    """An assigned experiment is blocked by the sequential check, and the fixed one fails with it."""
    card = scorecard(observed({"control": sample(10_000, 500), "b": sample(9_000, 450)}))
    assert (check(card, "srm").status, check(card, "srm_sequential").status) == ("fail", "fail")
    assert blocked(card)


def test_a_wrong_split_that_later_visitors_dilute_still_blocks(observed, changed, sample):
    """900 and 650 on the first day fail for good, though 10,900 and 10,650 in all would pass."""
    seen = observed({"control": sample(10_900, 500), "b": sample(10_650, 490)})
    diluted = [("2026-03-01", (900, 650)), ("2026-03-02", (10_000, 10_000))]
    days = tuple((datetime.fromisoformat(f"{day}T00:00Z"), dict(zip(seen.arms, n, strict=True))) for day, n in diluted)
    assert check(scorecard(seen), "srm_sequential").status == "ok"
    card = scorecard(changed(seen, exposures_by_day=days))
    assert check(card, "srm_sequential").status == "fail"
    assert blocked(card)


def test_a_table_is_blocked_by_the_fixed_test_alone(observed, sample):
    """p < .001 with the sequential check silent blocks a table, which is read once, and warns where it is monitored."""
    arms = {"control": sample(10_000, 500), "b": sample(10_500, 525)}
    table, monitored = scorecard(observed(arms, source="table")), scorecard(observed(arms))
    for card in (table, monitored):
        assert check(card, "srm").p_value < 0.001
        assert check(card, "srm_sequential").status == "ok"
    assert (check(table, "srm").status, blocked(table)) == ("fail", True)
    assert (check(monitored, "srm").status, blocked(monitored)) == ("warn", False)
    assert "the sequential check decides" in check(monitored, "srm").reason


def test_planned_shares_are_exact(observed, sample):
    """Three equal arms are tested against thirds, not against 3334/3333/3333 buckets; 2:1 is a plan like any other."""
    third = 1_000_000
    card = scorecard(observed({name: sample(third, 50_000) for name in ("control", "b", "c")}))
    assert check(card, "srm").p_value == pytest.approx(1)
    card = scorecard(observed({"control": sample(20_000, 900), "b": sample(10_000, 450)}, weights=(2, 1)))
    assert check(card, "srm").p_value == pytest.approx(1)


def test_analysed_visitors_have_a_split_of_their_own(observed, sample):
    """Equal exposures of which one arm matures less only warn: the check on analysed counts sees the late filter."""
    card = scorecard(observed({"control": sample(10_000, 500), "b": sample(9_000, 450, waiting=1_000)}))
    assert check(card, "srm").status == "ok"
    assert check(card, "srm_mature").status == "warn"
    assert "10,000 and 9,000 analysed visitors" in check(card, "srm_mature").reason
    assert not blocked(card)


def test_crossovers_that_differ_by_arm_block(observed, sample):
    """A share of crossovers that differs by first arm fails; the same share in both arms does not."""
    differing = {"control": sample(10_000, 500, crossovers=50), "b": sample(10_000, 500, crossovers=150)}
    card = scorecard(observed(differing))
    assert check(card, "crossovers").status == "fail"
    assert blocked(card)
    same = {"control": sample(10_000, 500, crossovers=100), "b": sample(10_000, 500, crossovers=110)}
    assert check(scorecard(observed(same)), "crossovers").status == "ok"


def test_few_crossovers_cannot_block(observed, sample):
    """Where fewer than five crossovers are expected in an arm the chi-square tail says nothing: a warning at most."""
    arms = {"control": sample(10_000, 500), "b": sample(100, 5, crossovers=4)}
    card = scorecard(observed(arms, weights=(100, 1)))
    crossovers = check(card, "crossovers")
    assert crossovers.p_value < 0.001
    assert crossovers.status == "warn"


def test_crossovers_of_a_table_are_not_run(observed, sample):
    """A table has one row a visitor: crossovers cannot be seen in it, which is not the same as ok."""
    card = scorecard(observed({"control": sample(1_000, 50), "b": sample(1_000, 50)}, source="table"))
    assert check(card, "crossovers").status == "not_run"


def test_unknown_arms_and_refused_rows_warn(observed, sample):
    """Exposures in undefined arms and rows that could not be read are counted, and block nothing."""
    arms = {"control": sample(1_000, 50), "b": sample(1_000, 50)}
    card = scorecard(observed(arms, unknown_arms={"old": 12}))
    assert check(card, "unknown_arms").status == "warn"
    assert "“old” (12)" in check(card, "unknown_arms").reason
    card = scorecard(observed(arms, source="table", refused_rows=7))
    assert check(card, "rows").status == "warn"
    assert check(card, "rows").reason.startswith("7 of 2,007 rows")
    assert not blocked(card)


@pytest.mark.parametrize(("visitors", "status"), [(9_440, "fail"), (9_480, "ok")])
def test_the_sequential_split_check_fails_below_one_in_a_hundred(observed, sample, visitors, status):
    """Always-valid p = .005 fails and p = .014 does not: the alarm is at .01, not at the fixed test's .001."""
    card = scorecard(observed({"control": sample(10_000, 500), "b": sample(visitors, 470)}))
    sequential = check(card, "srm_sequential")
    assert 0.001 < sequential.p_value < 0.02
    assert sequential.status == status


def test_money_in_another_currency_without_a_reporting_value_blocks(observed, changed, sample):
    """Rows that no money column has are counted, and the effects are not to be read."""
    seen = changed(observed({"control": sample(1_000, 100), "b": sample(1_000, 100)}), unreported_rows=3)
    card = scorecard(seen)
    assert check(card, "currencies").status == "fail"
    assert check(card, "currencies").reason.startswith("3 outcomes are in another currency without a reporting value")
    assert blocked(card)
    assert "the check of currencies failed" in card.decision.reason


def test_refunds_without_their_order_warn(observed, changed, sample):
    """They are counted, and nothing is blocked."""
    seen = changed(observed({"control": sample(1_000, 100), "b": sample(1_000, 100)}), orphaned_refunds=1)
    card = scorecard(seen)
    assert check(card, "refunds").status == "warn"
    assert check(card, "refunds").reason.startswith("1 refund names an order that is not stored")
    assert not blocked(card)


@pytest.mark.parametrize(
    ("rejections", "status", "said"),
    [
        (None, "not_run", "Only a store counts"),
        (Rejections(), "ok", "Every record was taken"),
        # 2,000 visitors and 200 outcomes: of 2,202 records 2 are less than one in a thousand, 3 are more.
        (Rejections(conflicts=1, refused=1, last=NOW), "ok", "2 records were not taken: 1 contradicted a stored one"),
        (Rejections(conflicts=3, last=NOW), "warn", "3 contradicted a stored one, which stays, the latest of 2026-"),
        (Rejections(refused=3, last=NOW), "warn", "3 could not be stored, the latest of 2026-"),
        (Rejections(since=NOW), "not_run", "Every record was taken since 2026-"),
        (Rejections(refused=1, last=NOW, since=NOW), "ok", "1 record was not taken since 2026-"),
        (Rejections(refused=9, last=NOW, since=NOW), "warn", "since 2026-"),
        (Rejections(since=NOW - timedelta(days=99)), "ok", "Every record was taken"),
    ],
)
def test_what_was_not_taken_is_said(observed, changed, sample, rejections, status, said):
    """It warns from one in a thousand on; what nobody counted is not run, and blocks nothing."""
    seen = observed({"control": sample(1_000, 100), "b": sample(1_000, 100)})
    card = scorecard(changed(seen, rejections=rejections))
    assert (check(card, "conflicts").status, blocked(card)) == (status, False)
    assert said in check(card, "conflicts").reason


def test_what_contradicts_in_a_table_is_among_its_refused_rows(observed, changed, sample):
    """Of a table the check of its rows says it."""
    arms = {"control": sample(1_000, 50), "b": sample(1_000, 50)}
    card = scorecard(changed(observed(arms, source="table"), rejections=Rejections(conflicts=3)))
    assert check(card, "conflicts").status == "not_run"


def test_visitors_of_two_phases_are_counted(observed, changed, sample):
    """Those who were seen again in a later phase are named with their number."""
    seen = observed({"control": sample(1_000, 100), "b": sample(1_000, 100)})
    first = Stratum(1, {"control": ArmCounts(10, returned=4), "b": ArmCounts(12, returned=3)}, {})
    found = {one.check: one for one in health_checks(changed(seen, phase=2, earlier=(first,)))}
    assert found["phases"].status == "ok"
    assert found["phases"].reason.startswith("7 visitors were seen again in a later phase")
