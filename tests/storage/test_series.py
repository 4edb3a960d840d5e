"""Courses over time against plain Python, on the random small shops of the statements, with hours for microseconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import assume, given
from hypothesis import strategies as st
from offerlift.experiments.metrics import DAY, Metric
from offerlift.stats import Histogram, LargestValues

from . import model
from .conftest import START
from .model import ARMS, Shop
from .test_statements import EXAMPLES, assert_moments, fill, metrics, shops
from .test_statements import shared_store as shared_store

NUMBERS = count()
HOUR = DAY // 24
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
    definition = replace(published.definition, utc_offset_minutes=offset)
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
    key = published_in(shared_store, make_published, used, phase, 0)
    fill(shared_store, key, shop, at)
    found = shared_store.distributions(key, as_of=at(as_of))
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
