"""Observations: the statements against plain Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.stats.moments import Moments
from offerlift.storage.store import Store

NAMES = count()
TIMES = st.integers(0, 30)
VISITORS = st.sampled_from(["v1", "v2", "v3", "v4", "v5"])
MONEY = st.none() | st.integers(-2000, 2000)
EXPOSURES = st.lists(st.tuples(VISITORS, st.sampled_from("abc"), TIMES), max_size=8)
OUTCOMES = st.lists(st.tuples(VISITORS, st.sampled_from(["purchase", "click"]), TIMES, MONEY, MONEY), max_size=12)
COVARIATES = st.lists(
    st.tuples(VISITORS, st.sampled_from(["history", "age"]), TIMES, st.floats(-100, 100)),
    max_size=8,
    unique_by=lambda one: one[:3],
)
EVENTS = st.sampled_from(["purchase", "click", "never", None])


@st.composite
def metrics(draw):
    drawn = []
    for i in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conversion", "count", "revenue", "margin", "ratio", "retention"]))
        measure = {"conversion": "converted", "retention": "converted", "revenue": "value", "ratio": "value"}
        numerator = Column(draw(EVENTS), measure.get(kind, kind))
        denominator = Column(draw(EVENTS), "count") if kind == "ratio" else None
        start = draw(st.integers(0, 4)) if kind == "retention" else 0
        end = draw(st.none() | st.sampled_from([start + 1, start + 7]))
        use = draw(
            st.none() | st.builds(CovariateUse, st.sampled_from(["history", "age", "none"]), st.none() | st.just(5))
        )
        drawn.append(Metric(f"m{i}", kind, numerator, denominator, start, end, use))
    return tuple(drawn)


def column_value(column, outcomes, exposed, metric):
    """One visitor's number, from all outcomes."""
    hits = [
        (value or 0, cost or 0)
        for event, at, value, cost in outcomes
        if column.event in (None, event)
        and at >= exposed + metric.window_start
        and (metric.window_end is None or at < exposed + metric.window_end)
    ]
    match column.measure:
        case "converted":
            return float(bool(hits))
        case "count":
            return float(len(hits))
        case "value":
            return sum(value for value, _ in hits) / 100
        case "margin":
            return sum(value - cost for value, cost in hits) / 100


def brute_force(metric, first, outcomes, covariates, as_of):
    """Arm -> moments of one metric."""
    data = {arm: [] for arm in "abc"}
    for visitor, (exposed, arm) in first.items():
        if metric.window_end is not None and exposed + metric.window_end > as_of:
            continue
        row = [
            column_value(column, [one[1:] for one in outcomes if one[0] == visitor], exposed, metric)
            for column in metric.columns
        ]
        if (use := metric.covariate) is not None:
            known = [
                (at, value)
                for who, name, at, value in covariates
                if (who, name) == (visitor, use.name)
                and at <= exposed
                and (use.window is None or at >= exposed - use.window)
            ]
            row += [max(known)[1], 0.0] if known else [0.0, 1.0]
        data[arm].append(row)
    return {
        arm: Moments.from_arrays(dict(zip(metric.moment_columns, zip(*rows, strict=True), strict=True)))
        if rows
        else Moments.zero(metric.moment_columns)
        for arm, rows in data.items()
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_store(request):
    """A store that all examples of a property share, for speed."""
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    with Store.open(url) as opened:
        yield opened


@given(EXPOSURES, OUTCOMES, COVARIATES, metrics(), st.integers(0, 40))
@settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_observations_are_what_plain_python_counts(
    engine_store, make_published, at, exposures, outcomes, covariates, used, as_of
):
    """Counts, windows, maturity, crossovers, covariates and moments agree with a brute force, at any as_of."""
    if any(m.denominator is not None and m.denominator == m.numerator for m in used):
        return
    prefix = f"{next(NAMES)}-"
    published = make_published(prefix + "x", used)
    store = engine_store
    store.publish(published)
    store.write_exposures(Exposure(prefix + "x", prefix + v, arm, at(t)) for v, arm, t in exposures)
    store.write_outcomes(
        Outcome(
            f"{prefix}{i}",
            prefix + v,
            event,
            at(t),
            value=None if value is None else Decimal(value) / 100,
            cost=None if cost is None else Decimal(cost) / 100,
        )
        for i, (v, event, t, value, cost) in enumerate(outcomes)
    )
    store.write_covariates(Covariate(prefix + v, name, value, at(t)) for v, name, t, value in covariates)

    seen = store.observations(prefix + "x", as_of=at(as_of))

    records = sorted((t, arm, v) for v, arm, t in exposures)
    # The first of all times, as the store keeps it; what is later than as_of had not happened.
    first = {v: (t, arm) for t, arm, v in reversed(records)}
    first = {v: one for v, one in first.items() if one[0] <= as_of}
    happened = [one for one in outcomes if one[2] <= as_of]
    for arm in "abc":
        own = {v for v, (_, of) in first.items() if of == arm}
        assert seen.arms[arm].visitors == len(own)
        assert seen.arms[arm].crossovers == len({v for t, of, v in records if v in own and of != arm and t <= as_of})
        counted = []
        for v, event, t, _, _ in happened:
            takes = {
                column.event
                for m in used
                for column in m.columns
                if v in own
                and column.event in (None, event)
                and t >= first[v][0] + m.window_start
                and (m.window_end is None or t < first[v][0] + m.window_end)
            }
            counted += [event] if event in takes else ["*"] if takes else []
        assert {event: n for event, n in seen.arms[arm].outcomes.items() if n} == {e: counted.count(e) for e in counted}
    times = [t for t, _ in first.values()]
    assert seen.first_exposure == (at(min(times)) if times else None)
    assert seen.last_exposure == (at(max(times)) if times else None)
    assert (seen.as_of, seen.state, seen.definition) == (at(as_of), "running", published.definition)
    days = Counter((at(t).date(), arm) for t, arm in first.values())
    assert {(day.date(), arm): n for day, arms in seen.exposures_by_day for arm, n in arms.items() if n} == days
    for metric in used:
        for arm, expected in brute_force(metric, first, happened, covariates, as_of).items():
            got = seen.moments[metric.name][arm]
            assert (got.columns, got.n) == (expected.columns, expected.n)
            scale = np.sqrt(np.outer(np.diag(expected.m2), np.diag(expected.m2))) + 1e-6
            np.testing.assert_allclose(got.mean, expected.mean, rtol=1e-10, atol=1e-12)
            assert (np.abs(got.m2 - expected.m2) <= 1e-10 * scale + 1e-9).all()
            np.testing.assert_allclose(got.m3, expected.m3, rtol=1e-8, atol=1e-5)


def test_where_windows_begin_and_end(store, make_published, at):
    """An outcome at the exposure counts, one at the window's end does not; a covariate counts at both of its ends."""
    metric = Metric("m", "revenue", Column("purchase", "value"), window_end=10, covariate=CovariateUse("history", 5))
    store.publish(make_published(metrics=(metric,)))
    for visitor, known_at, bought_at in (("v", 15, 19), ("w", 20, 20), ("x", 14, 30), ("y", 21, 29)):
        store.write_exposures([Exposure("exit", visitor, "a", at(20))])
        store.write_outcomes([Outcome(visitor, visitor, "purchase", at(bought_at), value=1)])
        store.write_covariates([Covariate(visitor, "history", 1.0, at(known_at))])
    got = store.observations("exit", as_of=at(30)).moments["m"]["a"]
    assert (got.n, got.sum_of("purchase:value"), got.sum_of("covariate:history")) == (4, 2.0, 2.0)
    assert got.sum_of("covariate:history:missing") == 2.0
    assert store.observations("exit", as_of=at(29)).moments["m"]["a"].n == 0


def test_a_crossover_counts_from_when_it_happened(store, make_published, at):
    """Before the second exposure there was no crossover to be known."""
    store.publish(make_published())
    store.write_exposures([Exposure("exit", "v", "a", at(1)), Exposure("exit", "v", "b", at(5))])
    assert store.observations("exit", as_of=at(4)).arms["a"].crossovers == 0
    assert store.observations("exit", as_of=at(5)).arms["a"].crossovers == 1


REVENUE = Metric("revenue", "revenue", Column("purchase", "value"), covariate=CovariateUse("year"))


def fill(store, make_published, at, amounts, years, *, metric=REVENUE):
    store.publish(make_published(metrics=(metric,), arms=("a", "b")))
    ids = [f"v{i}" for i in range(len(amounts))]
    store.write_exposures(Exposure("exit", one, "a", at(5)) for one in ids)
    store.write_outcomes(
        Outcome(one, one, "purchase", at(6), value=value) for one, value in zip(ids, amounts, strict=True)
    )
    store.write_covariates(Covariate(one, "year", year, at(1)) for one, year in zip(ids, years, strict=True))
    return store.observations("exit").moments["revenue"]["a"]


def test_large_numbers_that_hardly_differ_do_not_cancel(store, make_published, at):
    """Amounts near a billion that differ by cents, and years, keep twelve digits of their variance."""
    generator = np.random.default_rng(3)
    cents = (10**11 + generator.integers(0, 300, 500)).tolist()
    years = (2020.5 + generator.normal(0, 1e-3, 500)).tolist()
    got = fill(store, make_published, at, [Decimal(one) / 100 for one in cents], years)
    expected = Moments.from_sums(["x"], 500, [sum(cents)], {("x", "x"): sum(c * c for c in cents)}, [0], scale=[100])
    assert got.variance_of("purchase:value") == pytest.approx(expected.variance_of("x"), rel=1e-12)
    assert got.mean_of("purchase:value") == pytest.approx(expected.mean_of("x"), rel=1e-15)
    assert got.variance_of("covariate:year") == pytest.approx(np.var(years, ddof=1), rel=1e-9)


def test_the_largest_amounts_do_not_overflow(store, make_published, at):
    """Sums, squares and cubes of many amounts of 2**53 cents are beyond 64 bits and still right to twelve digits."""
    largest = Decimal(2**53) / 100
    amounts = [largest, -largest, largest, largest] * 300
    got = fill(store, make_published, at, amounts, [1.0] * len(amounts))
    expected = Moments.from_arrays({"x": [float(one) for one in amounts]})
    assert got.mean_of("purchase:value") == pytest.approx(expected.mean_of("x"), rel=1e-12)
    assert got.variance_of("purchase:value") == pytest.approx(expected.variance_of("x"), rel=1e-12)
    assert got.m3[0] == pytest.approx(expected.m3[0], rel=1e-9)


def test_the_smallest_and_largest_covariates(store, make_published, at):
    """Cubes neither underflow, which PostgreSQL refuses, nor overflow."""
    for i, value in enumerate([5e-324, 1e-145, -1e-59, 1e60, -1e60]):
        published = make_published(f"exit{i}", metrics=(replace(REVENUE, covariate=CovariateUse(f"c{i}")),))
        store.publish(published)
        store.write_exposures(Exposure(f"exit{i}", f"v{j}", "a", at(5)) for j in range(3))
        store.write_covariates(Covariate(f"v{j}", f"c{i}", value * j, at(1)) for j in range(2))
        got = store.observations(f"exit{i}").moments["revenue"]["a"]
        expected = value / 3 if abs(value) > 1e-60 else 0.0
        assert got.mean_of(f"covariate:c{i}") == pytest.approx(expected, rel=1e-12, abs=0)


def test_one_visitor_with_many_of_the_largest_amounts(store, make_published, at):
    """A visitor's own sum may exceed 64 bits too."""
    store.publish(make_published(metrics=(replace(REVENUE, covariate=None),)))
    store.write_exposures([Exposure("exit", "v", "a", at(1))])
    store.write_outcomes(Outcome(i, "v", "purchase", at(2), value=Decimal(2**53) / 100) for i in range(1100))
    got = store.observations("exit").moments["revenue"]["a"]
    assert got.mean_of("purchase:value") == pytest.approx(1100 * 2**53 / 100, rel=1e-12)


def test_only_what_is_asked_is_answered(store, make_published, at):
    """Exposures in an arm that the definition no longer has are counted by its name."""
    store.publish(make_published())
    store.write_exposures([Exposure("exit", "v", "c", at(1)), Exposure("exit", "w", "a", at(1))])
    store.publish(make_published(arms=("a", "b"), version=2))
    seen = store.observations("exit")
    assert dict(seen.unknown_arms) == {"c": 1}
    assert list(seen.arms) == ["a", "b"]
    assert seen.arms["a"].visitors == 1


def test_nobody_came(store, make_published):
    """An experiment without exposures has zeros everywhere."""
    store.publish(make_published())
    seen = store.observations("exit")
    assert [arm.visitors for arm in seen.arms.values()] == [0, 0, 0]
    assert seen.arms["a"].outcomes == {"purchase": 0}
    assert seen.moments["conversion"]["b"].n == 0
    assert seen.first_exposure is None


def test_a_draft_has_nobody(store, make_published):
    """Before it is started, an experiment can be analysed in every way: zeros, no days, and statements to print."""
    published = make_published()
    definition = replace(published.definition, segments=("country",))
    store.publish(replace(published, definition=definition, state="draft", phase=0))
    seen = store.observations("exit")
    assert (seen.state, [arm.visitors for arm in seen.arms.values()]) == ("draft", [0, 0, 0])
    assert store.breakdown("exit", "country").values == {}
    assert (store.cumulative("exit").days, store.since_exposure("exit").days) == ((), 0)
    assert store.cumulative("exit").moments["conversion"] == {"a": (), "b": (), "c": ()}
    assert store.distributions("exit").metrics["revenue_per_visitor"]["a"].visitors.n == 0
    assert store.analysis_sql("exit", "trino")
    assert store.audit("exit").mismatching == 0


def test_what_is_not_computed_yet_is_refused(memory, make_published):
    """A filter is never silently ignored."""
    memory.publish(make_published(metrics=(replace(REVENUE, filters=(("quantity", "gt", 1),)),)))
    with pytest.raises(InputError, match="not executed yet"):
        memory.observations("exit")
