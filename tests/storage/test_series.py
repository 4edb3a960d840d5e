"""Courses over time against plain Python, on the random small shops of the statements, with hours for microseconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments.metrics import DAY, Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.stats import Histogram, LargestValues, Moments

from . import model
from .conftest import START
from .model import ARMS, Shop
from .test_statements import EXAMPLES, assert_moments, fill, metrics, shops
from .test_statements import shared_store as shared_store

NUMBERS = count()
HOUR = DAY // 24
MINUTE = HOUR // 60
QUARTER = 6 * HOUR
"""What a time of 1 in a drawn shop stands for: 30 of them are a week."""

offsets = st.sampled_from([0, 60, -330, 360, 14 * 60, -12 * 60])


def slowed(shop: Shop) -> Shop:
    return Shop(
        [(visitor, phase, arm, t * QUARTER) for visitor, phase, arm, t in shop.exposures],
        [replace(one, at=one.at * QUARTER) for one in shop.orders],
        [(visitor, name, t * QUARTER, value) for visitor, name, t, value in shop.covariates],
        [(anonymous, customer, t * QUARTER) for anonymous, customer, t in shop.links],
        shop.segments,
    )


def slowed_metric(metric: Metric) -> Metric:
    use = metric.covariate
    return replace(
        metric,
        window_start=metric.window_start * QUARTER,
        window_end=None if metric.window_end is None else metric.window_end * QUARTER,
        refund_window=metric.refund_window * QUARTER,
        covariate=use if use is None or use.window is None else replace(use, window=use.window * QUARTER),
    )


@st.composite
def cases(draw, plain=False):
    used = tuple(map(slowed_metric, draw(metrics())))
    assume(all(metric.denominator != metric.numerator for metric in used))
    return slowed(draw(shops(plain=plain))), used, draw(st.just(45) | st.integers(0, 45)) * QUARTER


def published_in(store, make_published, used, phase, offset):
    published = make_published(f"s{next(NUMBERS)}", used)
    definition = replace(published.definition, utc_offset_minutes=offset, segments=("country",))
    published = replace(published, definition=definition, phase=phase)
    store.publish(published)
    return definition.experiment


def day_ends(shop, persons, used, as_of, offset):
    """The end of each day on which somebody was exposed or an outcome or refund began to count."""
    ahead = (START - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) + offset * 60_000_000
    times = {one.at for one in persons}
    for person in persons:
        for metric in used:
            for column in metric.columns:
                times |= set(model.effects(shop, person, metric, column, as_of))
    return sorted({t - (t + ahead) % DAY + DAY for t in times})


def check_days(store, make_published, at, shop, used, phase, as_of, offset):
    key = published_in(store, make_published, used, phase, offset)
    fill(store, key, shop, at)
    compare_days(store, key, at, shop, used, phase, as_of, offset)


def compare_days(store, key, at, shop, used, phase, as_of, offset):
    series = store.cumulative(key, as_of=at(as_of))
    persons = model.people(shop, phase, as_of)
    ends = day_ends(shop, persons, used, as_of, offset)
    assert [day + timedelta(days=1) for day in series.days] == [at(end) for end in ends]
    assert all(day.utcoffset() == timedelta(minutes=offset) and day.hour == day.minute == 0 for day in series.days)
    assert list(series.by_phase) == list(range(1, phase + 1))
    for number, courses in series.by_phase.items():
        for metric in used:
            for arm in ARMS:
                own = [one for one in persons if (one.phase, one.arm) == (number, arm)]
                got = courses[metric.name][arm]
                assert len(got) == len(ends)
                for moments, end in zip(got, ends, strict=True):
                    exposed = [(one, min(end - 1, as_of)) for one in own if one.at < end]
                    assert_moments(moments, model.moments_at(shop, exposed, metric), metric)


def check_ages(store, make_published, at, shop, used, phase, as_of, most):
    key = published_in(store, make_published, used, phase, 0)
    fill(store, key, shop, at)
    compare_ages(store, key, at, shop, used, phase, as_of, most)


def compare_ages(store, key, at, shop, used, phase, as_of, most):
    curves = store.since_exposure(key, days=most, as_of=at(as_of))
    persons = model.people(shop, phase, as_of)
    assert curves.days == min(max(((as_of - one.at) // DAY for one in persons), default=0), most)
    for number, courses in curves.by_phase.items():
        for metric in used:
            for arm in ARMS:
                own = [one for one in persons if (one.phase, one.arm) == (number, arm)]
                got = courses[metric.name][arm]
                assert len(got) == curves.days
                for k, moments in enumerate(got, start=1):
                    observed = [(one, one.at + k * DAY - 1) for one in own if one.at + k * DAY <= as_of]
                    assert_moments(moments, model.moments_at(shop, observed, metric), metric)


def check_money(store, make_published, at, shop, used, phase, as_of):
    key = published_in(store, make_published, used, phase, 0)
    fill(store, key, shop, at)
    compare_money(store, key, at, shop, used, phase, as_of)


def compare_money(store, key, at, shop, used, phase, as_of):
    found, alone = store.distributions(key, as_of=at(as_of)), store.largest(key, as_of=at(as_of))
    persons = model.people(shop, phase, as_of)
    money = [metric for metric in used if metric.numerator.is_money]
    for number, by_metric in found.by_phase.items():
        assert list(by_metric) == [metric.name for metric in money]
        for metric in money:
            for arm in ARMS:
                own = [
                    one
                    for one in persons
                    if (one.phase, one.arm) == (number, arm) and model.is_mature(metric, one, as_of)
                ]
                got = by_metric[metric.name][arm]
                assert got.orders == Histogram.of(model.order_values(shop, own, metric, as_of), scale=100)
                values = [model.number(shop, one, metric, metric.numerator, as_of) for one in own]
                assert got.visitors == Histogram.of(values, scale=100)
                largest = sorted((value / 100 for value in values if value > 0), reverse=True)[:10]
                assert got.largest == LargestValues(tuple(largest), sum(values) / 100)
                first = alone[number].get(metric.name, {}).get(arm, LargestValues((), 0.0))
                assert first == LargestValues(tuple(largest[:1]), sum(values) / 100)


@given(cases(), st.integers(1, 3), offsets)
@EXAMPLES
def test_each_day_has_what_plain_python_finds(shared_store, make_published, at, case, phase, offset):
    """At the end of every day: everybody exposed by then with what had come by then, whatever else happened."""
    shop, used, as_of = case
    check_days(shared_store, make_published, at, shop, used, phase, as_of, offset)


@given(cases(plain=True), offsets)
@EXAMPLES
def test_each_day_of_one_phase_without_links(shared_store, make_published, at, case, offset):
    """The statements of the plain case, which are others, agree as well."""
    shop, used, as_of = case
    check_days(shared_store, make_published, at, shop, used, 1, as_of, offset)


@given(cases(), st.integers(1, 3), st.integers(1, 12))
@EXAMPLES
def test_each_day_since_the_exposure_has_what_plain_python_finds(shared_store, make_published, at, case, phase, most):
    """After k days: those observed for k whole days, with what came in the first k days after their exposure."""
    shop, used, as_of = case
    check_ages(shared_store, make_published, at, shop, used, phase, as_of, most)


@given(cases(), st.integers(1, 3))
@EXAMPLES
def test_distributions_have_what_plain_python_finds(shared_store, make_published, at, case, phase):
    """Orders and visitors of each bin, the largest values and the total are those of the mature persons."""
    shop, used, as_of = case
    check_money(shared_store, make_published, at, shop, used, phase, as_of)


WEEK = Metric("revenue", "revenue", Column("purchase", "value"), window_end=7 * DAY)


def test_the_last_day_is_the_scorecard(store, make_published, at):
    """Once every window has passed, the last day has the moments of the observations; no later day changes them."""
    use = CovariateUse("history")
    metrics = (
        replace(WEEK, covariate=use, cap=4000),
        Metric("conversion", "conversion", Column("purchase", "converted"), window_end=3 * DAY),
        Metric("order", "ratio", Column("purchase", "value"), Column("purchase", "count"), window_end=7 * DAY),
    )
    store.publish(make_published(metrics=metrics))
    store.write_covariates(Covariate(f"v{i}", "history", i / 7, at(-1)) for i in range(0, 60, 2))
    store.write_exposures(Exposure("exit", f"v{i}", ARMS[i % 3], at(i * 5 * HOUR)) for i in range(60))
    store.write_outcomes(
        Outcome(f"o{i}", f"v{i % 60}", "purchase", at((i * 11 % 400) * HOUR), Decimal(i % 50)) for i in range(200)
    )
    plain = store.observations("exit", as_of=at(60 * DAY)).moments
    series = store.cumulative("exit", as_of=at(60 * DAY))
    assert len(series.days) > 10
    for metric in metrics:
        for arm in ARMS:
            assert plain[metric.name][arm].n == 20
            assert_moments(series.moments[metric.name][arm][-1], plain[metric.name][arm], metric)


def test_what_costs_its_digits_is_read_about_its_mean(store, make_published, at):
    """Values of 10¹² minor units that differ by a few keep their variance at the end of every day."""
    store.publish(make_published(metrics=(replace(WEEK, covariate=CovariateUse("age")),)))
    store.write_covariates(Covariate(f"v{i}", "age", 1e9 + i % 3, at(0)) for i in range(60))
    store.write_exposures(Exposure("exit", f"v{i}", "a", at(0)) for i in range(60))
    store.write_outcomes(
        Outcome(f"o{i}", f"v{i}", "purchase", at(i % 3 * DAY), Decimal(10**10 + i % 5)) for i in range(60)
    )
    last = store.cumulative("exit", as_of=at(9 * DAY)).moments["revenue"]["a"][-1]
    expected = Moments.from_arrays({"x": [i % 5 for i in range(60)], "c": [i % 3 for i in range(60)]})
    np.testing.assert_allclose(last.m2[:2, :2], expected.m2, rtol=1e-9)
    aged = store.since_exposure("exit", as_of=at(9 * DAY)).moments["revenue"]["a"][-1]
    np.testing.assert_allclose(aged.m2[:2, :2], expected.m2, rtol=1e-9)


def test_exposures_are_counted_on_days_of_the_offset(memory, make_published, at):
    """Midnight is where the definition's clock has it: the split is watched by the days that reports show."""
    published = make_published()
    memory.publish(replace(published, definition=replace(published.definition, utc_offset_minutes=-90)))
    times = [90 * MINUTE - 1, 90 * MINUTE, 90 * MINUTE + DAY - 1, 90 * MINUTE + DAY]
    memory.write_exposures(Exposure("exit", f"v{i}", "a", at(t)) for i, t in enumerate(times))
    days = memory.observations("exit", as_of=at(9 * DAY)).exposures_by_day
    assert [(day, arms["a"]) for day, arms in days] == [
        (at(90 * MINUTE - DAY), 1),
        (at(90 * MINUTE), 2),
        (at(90 * MINUTE + DAY), 1),
    ]


def test_the_first_day_of_all_lies_before_1970_there(memory, make_published):
    """An exposure in the first minutes of 1970 is of the last day of 1969 west of Greenwich."""
    published = make_published()
    memory.publish(replace(published, definition=replace(published.definition, utc_offset_minutes=-60)))
    memory.write_exposures([Exposure("exit", "v", "a", datetime(1970, 1, 1, 0, 1, tzinfo=UTC))])
    assert [day.isoformat() for day in memory.cumulative("exit").days] == ["1969-12-31T00:00:00-01:00"]


def test_nobody_has_no_days(memory, make_published, at):
    """Without visitors there are no days, no curve, and empty histograms."""
    memory.publish(make_published())
    assert memory.cumulative("exit").moments["conversion"] == {"a": (), "b": (), "c": ()}
    assert memory.since_exposure("exit").days == 0
    assert memory.distributions("exit").metrics["revenue_per_visitor"]["a"].visitors.n == 0


@pytest.mark.parametrize("days", [0, 367, True, 1.5])
def test_impossible_days_are_refused(memory, make_published, days):
    """Days since the exposure are whole and from 1 to 366."""
    memory.publish(make_published())
    with pytest.raises(InputError, match="from 1 to 366"):
        memory.since_exposure("exit", days=days)


def test_the_largest_bin_takes_what_is_larger(store, make_published, at):
    """Sums beyond what a bin can say are counted in the last one, on the database as in Python."""
    store.publish(make_published(metrics=(WEEK,)))
    store.write_exposures([Exposure("exit", "v", "a", at(0)), Exposure("exit", "w", "a", at(0))])
    most = Decimal(2**53) / 100
    store.write_outcomes(Outcome(f"o{i}", "v", "purchase", at(i), most) for i in range(20))
    store.write_outcomes(Outcome(f"p{i}", "w", "purchase", at(i), -most) for i in range(20))
    found = store.distributions("exit", as_of=at(9 * DAY)).metrics["revenue"]["a"]
    assert found.orders == Histogram.of([2**53, -(2**53)] * 20, scale=100)
    assert found.visitors == Histogram({99 * 10**15: 1, -99 * 10**15: 1}, 100)


def test_the_largest_ten_of_each_arm(store, make_published, at):
    """Only an arm's ten largest come, the largest first, beside the sum of all; alone, the first of them."""
    store.publish(make_published(metrics=(WEEK,)))
    store.write_exposures(Exposure("exit", f"{arm}{i}", arm, at(0)) for arm in "ab" for i in range(30))
    store.write_outcomes(
        Outcome(f"{arm}{i}", f"{arm}{i}", "purchase", at(1), Decimal(i * factor))
        for arm, factor in (("a", 1), ("b", 100))
        for i in range(30)
    )
    found = store.distributions("exit", as_of=at(9 * DAY)).metrics["revenue"]
    assert found["a"].largest == LargestValues(tuple(range(29, 19, -1)), 435)
    assert found["b"].largest == LargestValues(tuple(range(2900, 1900, -100)), 43500)
    assert found["c"].largest == LargestValues((), 0)
    alone = store.largest("exit", as_of=at(9 * DAY))[1]["revenue"]
    assert alone == {"a": LargestValues((29.0,), 435.0), "b": LargestValues((2900.0,), 43500.0)}
    # The window of none has passed.
    assert set(store.largest("exit", as_of=at(DAY))[1]["revenue"].values()) == {LargestValues((), 0.0)}
