"""What single visitors did: the same moments as the grouped sums, from combinations of values."""

from __future__ import annotations

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Link, Outcome
from offerlift.stats import Moments
from offerlift.storage import read_table
from offerlift.storage.engine import read
from offerlift.storage.origins import store_origin
from offerlift.storage.times import to_micros
from offerlift.storage.versions import latest_version
from offerlift.storage.visitors import read_visitors

PAST = CovariateUse("past")
METRICS = (
    Metric("revenue", "revenue", Column("purchase", "value"), window_end=50, refund_window=50, cap=900, covariate=PAST),
    Metric("conversion", "conversion", Column("purchase", "converted"), window_end=100),
    Metric("order_value", "ratio", Column("purchase", "value"), Column("purchase", "count"), window_end=100),
    Metric("unsubscribed", "conversion", Column("unsubscribe", "converted"), window_end=100),
)
VISITORS = 60


@pytest.fixture
def shop(store, make_published, at):
    """60 visitors of arm a and 40 of b, with orders, refunds, a covariate of most, and two ids of one person."""
    store.publish(make_published(metrics=METRICS, arms=("a", "b")))
    names = [f"{arm}{n}" for arm, size in (("a", VISITORS), ("b", 40)) for n in range(size)]
    store.write_exposures(Exposure("exit", name, name[0], at(n)) for n, name in enumerate(names))
    store.write_covariates(Covariate(name, "past", 0.1 * (n % 7), at(0)) for n, name in enumerate(names) if n % 5)
    store.write_outcomes(
        Outcome(f"{name}/{k}", name, "purchase", at(n + k + 1), value=n % 6 + k)
        for n, name in enumerate(names)
        if n % 3 == 0
        for k in range(n % 4)
    )
    store.write_outcomes([Outcome("r", "a3", "purchase", at(60), value=2, refund_of="a3/2")])
    store.write_outcomes([Outcome("u", "a9", "unsubscribe", at(20))])
    store.write_links([Link("a6", "a12", at(1))])
    return store


def test_their_moments_are_those_of_the_grouped_sums(shop, at):
    """Every metric's moments of the arm's visitors, from the combinations of values, are those of the observations."""
    as_of = at(1_000)
    found = shop.visitor_values("exit", "a", as_of=as_of)
    observations = shop.observations("exit", as_of=as_of)
    assert found.analysed == found.visitors.sum() == observations.moments["conversion"]["a"].n == VISITORS - 1
    assert len(found.visitors) == len(np.unique(found.values, axis=0)) < VISITORS
    for metric in METRICS:
        expected = observations.moments[metric.name]["a"]
        columns = [found.values[:, i].repeat(found.visitors) for i in found.positions[metric.name]]
        moments = Moments.from_arrays(dict(zip(metric.moment_columns, columns, strict=True)))
        assert moments.mean == pytest.approx(expected.mean)
        assert moments.m2 == pytest.approx(expected.m2)


def test_only_visitors_whose_windows_have_all_passed_count(shop, at):
    """At 109 with a window of 100 those exposed from 0 to 9; the others are no zeros."""
    assert shop.visitor_values("exit", "a", as_of=at(109)).visitors.sum() == 10


def test_of_too_many_visitors_a_part_is_read(shop, at):
    """A part that the visitors' numbers choose, the same each time; how many there were is said."""
    as_of = to_micros(at(1_000))

    def some(connection):
        origin = store_origin(connection, latest_version(connection, "exit"), as_of)
        return read_visitors(connection, origin, "a", at_most=20)

    first, again = read(shop.engine, some), read(shop.engine, some)
    assert first.analysed == VISITORS - 1
    assert 8 <= first.visitors.sum() <= 32
    assert np.array_equal(first.values, again.values)


def test_an_unknown_arm_is_refused(shop):
    """An arm without visitors has no values."""
    with pytest.raises(InputError, match="no visitors in an arm 'z'"):
        shop.visitor_values("exit", "z")


def test_a_file_has_the_same_values_as_its_moments(write):
    """The control's rows of a table, equal ones together."""
    lines = [f"{n},{'ab'[n % 2]},{n % 3 % 2},{(n % 3 % 2) * (n % 5)}.50,{'' if n % 4 else n}" for n in range(80)]
    path = write("id,arm,bought,spent,past\n" + "\n".join(lines) + "\n")
    table = read_table(
        path, arm="arm", control="a", visitor="id", revenue="spent", conversion="bought", covariate="past"
    )
    found = table.visitor_values("a")
    observations = table.observations()
    assert found.analysed == found.visitors.sum() == 40
    for metric in table.definition.metrics:
        columns = [found.values[:, i].repeat(found.visitors) for i in found.positions[metric.name]]
        moments = Moments.from_arrays(dict(zip(metric.moment_columns, columns, strict=True)))
        assert moments.m2 == pytest.approx(observations.moments[metric.name]["a"].m2)
        assert moments.mean == pytest.approx(observations.moments[metric.name]["a"].mean)
