"""Many days at once: the same numbers as one comparison after the other."""

import math

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import Moments, compare, compare_days

COLUMNS = ["bought", "revenue", "orders", "past"]
METRICS = {
    "mean": {"metric": "revenue"},
    "ratio": {"metric": "revenue", "per": "orders"},
    "adjusted": {"metric": "revenue", "covariate": "past"},
    "conversion": {"metric": "bought", "kind": "conversion"},
    "less": {"metric": "bought", "kind": "conversion", "direction": "decrease"},
}
FIELDS = {
    "difference": lambda row: row.difference and row.difference.estimate,
    "se": lambda row: row.difference and row.difference.se,
    "df": lambda row: row.difference and row.difference.df,
    "low": lambda row: row.difference and row.difference.low,
    "high": lambda row: row.difference and row.difference.high,
    "p_value": lambda row: row.difference and row.difference.p_value,
    "lift": lambda row: row.lift.estimate,
    "lift_low": lambda row: row.lift.low,
    "lift_high": lambda row: row.lift.high,
    "anytime_low": lambda row: row.anytime and row.anytime.low,
    "anytime_high": lambda row: row.anytime and row.anytime.high,
    "anytime_p_value": lambda row: row.anytime and row.anytime.p_value,
    "probability_better": lambda row: row.bayes and row.bayes.probability_better,
    "expected_loss": lambda row: row.bayes and row.bayes.expected_loss,
}


def cumulative(seed, lift, sizes=(0, 1, 3, 30, 400, 5000, 5000)):
    """From nobody by way of a handful to thousands: every kind of a lift's set comes up."""
    rng, total, days = np.random.default_rng(seed), Moments.zero(COLUMNS), []
    for n in sizes:
        past, bought = rng.gamma(1, 10, n), rng.random(n) < 0.1 * (1 + lift)
        orders = bought * (1 + (rng.random(n) < 0.2))
        revenue = orders * rng.lognormal(3, 1, n) + 0.1 * past * bought
        total = total + Moments.from_arrays({"bought": bought, "revenue": revenue, "orders": orders, "past": past})
        days.append(total)
    return days


DAYS = {"control": cumulative(1, 0, (0, 2, 5, 60, 900, 5000, 7000)), "b": cumulative(2, 0.1), "c": cumulative(3, 0.8)}


@pytest.mark.parametrize("name", METRICS)
def test_a_day_among_many_is_that_day_alone(name):
    """Every number of every day and arm is the one of `compare` at that day, to 1e-12; one that is missing is NaN."""
    options = METRICS[name]
    course = compare_days(DAYS, control="control", **options)
    kinds = set()
    for day in range(len(DAYS["control"])):
        alone = compare(
            {arm: days[day] for arm, days in DAYS.items()},
            control="control",
            **({"kind": "mean"} | options if "per" not in options else options),
        )
        for at, arm in enumerate(course.arms):
            row = alone[arm]
            kinds.add(row.lift.kind)
            assert str(course.lift_kind[at, day]) == row.lift.kind
            for field, of in FIELDS.items():
                got, expected = float(getattr(course, field)[at, day]), of(row)
                if field in ("probability_better", "expected_loss") and row.difference is None:
                    continue
                if expected is None:
                    assert math.isnan(got), (day, arm, field)
                else:
                    assert got == pytest.approx(expected, rel=1e-12, abs=1e-12 * abs(row.difference.se)), (
                        day,
                        arm,
                        field,
                    )
    assert {"bounded", "undefined"} <= kinds


def test_awkward_lifts_are_covered():
    """The days above have unbounded sets and complements as well."""
    course = compare_days(DAYS, "revenue", control="control")
    assert {"bounded", "undefined"} < set(course.lift_kind.ravel().tolist())


def test_rows_of_days():
    """One row an arm and day, None where there is no number, and an infinite df stays one."""
    course = compare_days(DAYS, "bought", control="control", kind="conversion")
    rows = course.to_dicts()
    assert [(row["arm"], row["day"]) for row in rows[:2]] == [("b", 1), ("b", 2)]
    assert rows[0]["difference"] is None
    assert rows[6]["n"] == DAYS["b"][6].n
    assert course.to_pandas().shape == course.to_polars().shape == (14, len(rows[0]))
    assert "last day" in str(course)


@pytest.mark.parametrize(
    ("days", "options", "words"),
    [
        ({"a": DAYS["b"]}, {"control": "a"}, "another arm"),
        (DAYS, {"control": "z"}, "'z'"),
        ({"a": DAYS["b"], "b": DAYS["c"][:2]}, {"control": "a"}, "different numbers of days"),
        (DAYS, {"control": "b", "per": "orders", "covariate": "past"}, "ratio"),
        (DAYS, {"control": "b", "metric": "nothing"}, "nothing"),
        (DAYS, {"control": "b", "metric": "revenue", "kind": "conversion"}, "not 0/1"),
        (DAYS, {"control": "b", "alpha": 5}, "between 0 and 1"),
    ],
)
def test_refused_days(days, options, words):
    """Arms that do not fit each other and options that do not go together are refused in words."""
    with pytest.raises(InputError, match=words):
        compare_days(days, **options)
