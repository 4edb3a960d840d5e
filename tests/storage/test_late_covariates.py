"""A covariate from after the exposure is never used, and an experiment that has only such is told so."""

from __future__ import annotations

import pytest
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column, CovariateUse, Metric
from offerlift.experiments.records import Covariate, Exposure
from offerlift.storage.late_covariates import LEAST

METRICS = (Metric("conversion", "conversion", Column("purchase", "converted"), covariate=CovariateUse("history")),)


@pytest.fixture
def exposed(store, make_published, at):
    """A store with one visitor more than it takes to say so, all exposed at 10."""
    store.publish(make_published(metrics=METRICS))
    store.write_exposures(Exposure("exit", f"v{i}", "ab"[i % 2], at(10)) for i in range(LEAST + 1))
    return store


def values(at, when, count=LEAST):
    return [Covariate(f"v{i}", "history", float(i), at(when)) for i in range(count)]


def test_only_later_values_are_an_error(exposed, at):
    """It names the covariate, how many have it, and what it has to be."""
    exposed.write_covariates(values(at, 11))
    with pytest.raises(InputError, match=f"'history' is known only after the exposure: {LEAST} visitors") as error:
        exposed.observations("exit", as_of=at(20))
    assert "known before" in error.value.hint
    # Nobody knew yet.
    assert exposed.observations("exit", as_of=at(10)).arms["a"].visitors == LEAST // 2 + 1


@pytest.mark.parametrize("known", ["nobody's", "somebody's in time", "too few", "before, but too long ago"])
def test_what_is_right_or_not_yet_known_is_let_be(exposed, make_published, at, known):
    """No values at all, one in time, too few to say, or a window that is too short: none of them is this fault."""
    if known == "somebody's in time":
        exposed.write_covariates([*values(at, 11), Covariate("v1", "history", 1.0, at(10))])
    elif known == "too few":
        exposed.write_covariates(values(at, 11, LEAST - 1))
    elif known == "before, but too long ago":
        short = (Metric("c", "conversion", Column("purchase", "converted"), covariate=CovariateUse("history", 5)),)
        exposed.publish(make_published("short", short))
        exposed.write_exposures(Exposure("short", f"v{i}", "a", at(10)) for i in range(LEAST + 1))
        exposed.write_covariates([*values(at, 11), Covariate(f"v{LEAST}", "history", 1.0, at(1))])
        assert exposed.observations("short", as_of=at(20)).arms["a"].visitors == LEAST + 1
    assert exposed.observations("exit", as_of=at(20)).arms["b"].visitors == LEAST // 2
