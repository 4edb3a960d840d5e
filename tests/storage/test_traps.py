"""Faults that only the store can make: what was not known at the exposure, and whom to count."""

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure, Outcome
from offerlift.stats import compare_adjusted, compare_means

REVENUE = Metric("revenue", "revenue", Column("purchase", "value"), covariate=CovariateUse("history", 50))


def compared(store, make_published, at, known_at, visitors=150):
    """The plain and the adjusted comparison where each visitor's covariate is what they spend, plus noise."""
    store.publish(make_published(metrics=(REVENUE,), arms=("a", "b")))
    rng = np.random.default_rng(1)
    spent = {(arm, k): int(x) for arm in "ab" for k, x in enumerate(rng.integers(1, 100, visitors))}
    store.write_exposures(Exposure("exit", f"{arm}{k}", arm, at(100)) for arm, k in spent)
    store.write_outcomes(
        Outcome(f"{arm}{k}", f"{arm}{k}", "purchase", at(110), value=x) for (arm, k), x in spent.items()
    )
    store.write_covariates(
        Covariate(f"{arm}{k}", "history", x + float(rng.normal()), at(known_at)) for (arm, k), x in spent.items()
    )
    moments = store.observations("exit").moments["revenue"]
    columns = (REVENUE.covariate.column, REVENUE.covariate.missing_column)
    plain = compare_means(moments["b"], moments["a"], "purchase:value")
    return plain, compare_adjusted(moments["b"], moments["a"], "purchase:value", columns)


def test_a_covariate_from_after_the_exposure_is_not_used(memory, make_published, at):
    """x := y + noise, known after the exposure, is not read: the adjusted comparison is the plain one, no narrower."""
    plain, adjusted = compared(memory, make_published, at, known_at=120, visitors=45)
    assert adjusted.adjustment.theta_treatment == (0.0, 0.0)
    assert adjusted.difference.se == plain.difference.se
    assert adjusted.difference.p_value == plain.difference.p_value


def test_a_covariate_that_all_have_from_after_the_exposure_is_refused(memory, make_published, at):
    """From a hundred visitors on it is no first day any more: the times are wrong, and the analysis says so."""
    with pytest.raises(InputError, match="known only after the exposure: 300 visitors have a value"):
        compared(memory, make_published, at, known_at=120)


def test_the_same_numbers_from_before_would_be_used(memory, make_published, at):
    """Known before the exposure they take nearly all variance away, so that only their time keeps them out."""
    plain, adjusted = compared(memory, make_published, at, known_at=90)
    assert adjusted.difference.se < 0.1 * plain.difference.se
