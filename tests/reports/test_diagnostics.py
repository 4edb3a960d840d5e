"""Diagnostics: they are shown beside the decision, and change none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.reports import render_html, render_text, scorecard
from offerlift.reports.details import Details
from offerlift.reports.health import health_checks
from offerlift.storage import Store

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)
MONEY = Metric("revenue_per_visitor", "revenue", Column("purchase", "value"))
CAPPED = replace(MONEY, name="capped_revenue", cap=20_000)


def shop(path, *, arms=(2_000, 2_000), rate=(0.1, 0.1), odd=None, late=0, segment="DE", covariate=None, looks=()):
    """A store of visitors who buy for 20 to 119; `odd` is the last order of b, `late` of b came a day later."""
    definition = Definition(
        "exit-offer",
        "control",
        (Arm("control", 5_000), Arm("b", 5_000)),
        (replace(MONEY, covariate=CovariateUse("past")), CAPPED),
        Plan("revenue_per_visitor", looks=looks, sample_size=4_000 if looks else None),
        segments=("country",),
    )
    if arms[0] != arms[1]:
        shares = [Arm("control", 9_000), Arm("b", 1_000)]
        definition = replace(definition, arms=tuple(shares))
    store = Store.open(f"sqlite:///{path / 'shop.db'}")
    draft = publish(definition, None, at=START)
    store.publish(draft)
    store.publish(start(draft, START))
    for arm, n, share in zip(("control", "b"), arms, rate, strict=True):
        names = [f"{arm}{i}" for i in range(n)]
        days = [timedelta(days=int(arm == "b" and i < late)) for i in range(n)]
        store.write_exposures(
            Exposure("exit-offer", name, arm, START + day, 1, "x", {"country": segment if arm == "b" else "DE"})
            for name, day in zip(names, days, strict=True)
        )
        bought = [Decimal(20 + 37 * i % 100) for i in range(round(n * share))]
        if odd is not None and arm == "b":
            bought[-1] = Decimal(odd)
        store.write_outcomes(
            Outcome(f"o-{name}", name, "purchase", START + timedelta(days=2), value=value)
            for name, value in zip(names, bought, strict=False)
        )
        if covariate is not None:
            store.write_covariates(
                Covariate(name, "past", float(i % 10 + (covariate if arm == "b" else 0)), START - timedelta(days=1))
                for i, name in enumerate(names)
            )
    return store


def read(store):
    seen = store.observations("exit-offer", as_of=NOW)
    return scorecard(seen, store.looks("exit-offer"), Details.of_store(store, seen))


def check(card, name):
    return next(one for one in card.health if one.check == name)


def test_one_order_a_thousand_times_too_large(tmp_path):
    """It is named with metric, arm and share, raises kappa, blocks nothing; the capped row hardly moves."""
    (tmp_path / "odd").mkdir()
    with shop(tmp_path) as usual, shop(tmp_path / "odd", odd=69_500) as odd:
        before, after = read(usual), read(odd)
    assert check(before, "outliers").status == "ok"
    found = check(after, "outliers")
    assert found.status == "warn"
    assert "of revenue per visitor in “b”" in found.reason
    assert "capped revenue" not in found.reason
    assert after.healthy
    assert abs(after.metric("revenue_per_visitor").comparison("b").skew) > 0.06
    kept, moved = (card.metric("capped_revenue").arm("b").value for card in (before, after))
    assert moved == pytest.approx(kept, rel=0.02)
    raw = [card.metric("revenue_per_visitor").arm("b").value for card in (before, after)]
    assert raw[1] > 3 * raw[0]


def test_values_are_read_only_where_a_check_needs_them(tmp_path):
    """An arm of a thousand orders of one size leaves no room for an outlier, and equal arms need no second test."""
    with shop(tmp_path, arms=(5_000, 5_000), rate=(0.2, 0.2)) as store:
        seen = store.observations("exit-offer", as_of=NOW)
    card = scorecard(seen, (), Details(values=lambda: pytest.fail("read")))
    assert check(card, "outliers").status == "ok"


def test_randomisation_stands_beside_a_review_for_skew(tmp_path):
    """Skew in unequal arms: its p-value is in the row, the words, text and page; the action stays review."""
    with shop(tmp_path, arms=(9_000, 1_000), rate=(0.1, 0.3), odd=1_500) as store:
        card = read(store)
        seen = store.observations("exit-offer", as_of=NOW)
    row = card.metric("revenue_per_visitor").comparison("b")
    assert row.skew > 0.06
    assert row.randomisation.resamples == 9_999
    assert row.randomisation.p_value == 0.0002
    assert 0 < row.randomisation.error < 0.001
    assert card.decision.action == "review"
    assert "the randomisation test, which needs no normality, gives p" in card.decision.reason
    assert "randomisation test of the skewed values" in render_text(card)
    assert "randomisation test" in render_html([card])
    assert card.metric("capped_revenue").comparison("b").randomisation is None
    without = scorecard(seen)
    assert without.decision.action == "review"
    row = without.metric("revenue_per_visitor").comparison("b")
    assert (row.randomisation, row.randomisation_reason) == (None, "The values of single visitors are not read here.")


def test_a_day_with_another_split_warns(tmp_path):
    """600 of b come a day late: the split of all is as planned, that of each day is not, and nothing is blocked."""
    with shop(tmp_path, late=600) as store:
        card = read(store)
    found = check(card, "srm_by_day")
    assert (found.status, check(card, "srm").status) == ("warn", "ok")
    assert "2026-03-02 has 0 and 600 visitors" in found.reason
    assert found.p_value < 0.001
    assert check(card, "srm_by_segment").status == "ok"


def test_a_segment_with_another_split_warns(tmp_path):
    """A country that only b has is named; without details the check is not run."""
    with shop(tmp_path, segment="AT") as store:
        seen, card = store.observations("exit-offer", as_of=NOW), read(store)
    assert check(card, "srm_by_segment").status == "warn"
    assert "country “" in check(card, "srm_by_segment").reason
    assert card.healthy
    checks = {one.check: one for one in health_checks(seen)}
    assert checks["srm_by_segment"].status == "not_run"


def test_covariates_that_differ_warn(tmp_path):
    """What was known before differs by half a standard deviation: warned, with the covariate's name; equal is ok."""
    (tmp_path / "same").mkdir()
    with shop(tmp_path, covariate=1.5) as apart, shop(tmp_path / "same", covariate=0) as same:
        assert check(read(apart), "covariates").status == "warn"
        assert "in past" in check(read(apart), "covariates").reason
        assert check(read(same), "covariates").status == "ok"
