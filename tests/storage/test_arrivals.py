"""How late outcomes arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from offerlift.experiments.records import Exposure, Outcome
from offerlift.storage.arrivals import Arrivals


def test_outcomes_that_were_written_late_are_counted_by_arm(store, make_published):
    """On time, two days late, and a year late, which is an import; before the exposure it is not of the experiment."""
    now = datetime.now(UTC)
    store.publish(make_published())
    store.write_exposures(Exposure("exit", arm, arm, now - timedelta(days=500)) for arm in "ab")
    ages = {"now": 0.01, "late": 2, "later": 29, "old": 365, "before": 501}
    store.write_outcomes(Outcome(name, "a", "purchase", now - timedelta(days=age)) for name, age in ages.items())
    store.write_outcomes([Outcome("b", "b", "purchase", now - timedelta(hours=1))])
    assert store.arrivals("exit") == {"a": Arrivals(4, 2, 1), "b": Arrivals(1, 0, 0)}
    assert store.arrivals("exit", as_of=now - timedelta(days=10)) == {"a": Arrivals(2, 1, 1)}
