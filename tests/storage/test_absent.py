"""Who stays away: shares of those without an outcome in a late window, with covariates, as one less who came."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from offerlift.experiments.metrics import BUILT_IN_METRICS, Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome

USE = CovariateUse("history")
CAME = Metric("came", "retention", Column(None, "converted"), window_start=10, window_end=20, covariate=USE)
AWAY = Metric("away", "retention", Column(None, "absent"), window_start=10, window_end=20, covariate=USE)


@pytest.fixture
def shop(store, make_published, at):
    """60 visitors in two arms, some of whom did something before, in and after the window, some with a history."""
    random = Random(7)
    store.publish(make_published(metrics=(CAME, AWAY)))
    store.write_exposures(Exposure("exit", f"v{i}", "ab"[i % 2], at(0)) for i in range(60))
    store.write_outcomes(
        Outcome(f"o{i}", f"v{random.randrange(60)}", random.choice(("visit", "purchase")), at(random.randrange(30)))
        for i in range(50)
    )
    store.write_covariates(Covariate(f"v{i}", "history", random.random(), at(0)) for i in range(40))
    return store


def test_absence_is_one_less_presence(shop, at):
    """Mean, variance, skew and the product with the covariate: those of 1 - x, whose visitors have no row to sum."""
    found = shop.observations("exit", as_of=at(100)).moments
    for arm in "ab":
        came, away = found["came"][arm], found["away"][arm]
        assert came.n == away.n == 30
        assert 0 < came.mean[0] < 1
        np.testing.assert_allclose(away.mean[0], 1 - came.mean[0], rtol=1e-12)
        np.testing.assert_allclose(away.m2[0, 0], came.m2[0, 0], rtol=1e-12)
        np.testing.assert_allclose(away.m3[0], -came.m3[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(away.m2[0, 1:], -came.m2[0, 1:], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(away.m2[1:, 1:], came.m2[1:, 1:], rtol=1e-12)


def test_by_day_and_by_visitor_too(shop, at):
    """The last day of the course has the moments of the report, and a visitor's value is 1 - x as well."""
    found = shop.observations("exit", as_of=at(100)).moments["away"]
    course = shop.cumulative("exit", as_of=at(100)).moments["away"]
    for arm in "ab":
        last = course[arm][-1]
        assert last.n == found[arm].n
        np.testing.assert_allclose(last.mean, found[arm].mean, rtol=1e-12)
        np.testing.assert_allclose(last.m2, found[arm].m2, rtol=1e-9, atol=1e-12)
    seen = shop.visitor_values("exit", "a", as_of=at(100))
    came, away = (seen.positions[name][0] for name in ("came", "away"))
    np.testing.assert_array_equal(seen.values[:, away], 1 - seen.values[:, came])
    assert seen.visitors @ seen.values[:, away] == found["a"].n * found["a"].mean[0]


def test_the_ready_made_metric_is_of_that_kind():
    """`never_return` is a share that should be small."""
    metric = BUILT_IN_METRICS["never_return"]
    assert (metric.kind, metric.numerator.measure, metric.desired_change) == ("retention", "absent", "decrease")
