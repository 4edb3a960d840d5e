"""One contender of benchmarks/analysis.py, in a process of its own: python benchmarks/analysis_peers.py NAME.

Prints the lift that it finds, then for each number of calls read from the input the CPU seconds that they took. All get
the same two arms as n, sum and sum of squares, which is what a database returns; tea-tasting and gbstats are asked for
less than offerlift computes (no posterior, no always-valid interval), never for more.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

ARMS = {
    "control": {"n": 50_000, "revenue": (112_500.0, 3_650_000.0), "conversion": (2_500.0, 2_500.0)},
    "treatment": {"n": 50_200, "revenue": (117_900.0, 3_810_000.0), "conversion": (2_650.0, 2_650.0)},
}
"""Visitors, and of each metric sum and sum of squares."""

Call = Callable[[], float]
"""Analyses one metric and returns the lift."""


def floor(metric: str) -> Call:
    """Plain arithmetic: the difference, its lift and a normal interval, in as few steps as they take."""
    (n_c, (sum_c, square_c)), (n_t, (sum_t, square_t)) = ((arm["n"], arm[metric]) for arm in ARMS.values())

    def call() -> float:
        m_c, m_t = sum_c / n_c, sum_t / n_t
        v_c, v_t = (square_c / n_c - m_c * m_c) / (n_c - 1), (square_t / n_t - m_t * m_t) / (n_t - 1)
        se = math.sqrt(v_c + v_t)
        z = (m_t - m_c) / se
        math.erfc(abs(z) / math.sqrt(2)), m_t - m_c - 1.96 * se, m_t - m_c + 1.96 * se
        return m_t / m_c - 1

    return call


def offerlift(metric: str) -> Call:
    """Difference, lift, p-value, intervals, posterior, always-valid interval, from moments."""
    from offerlift.stats import Moments, compare

    arms = {
        name: Moments.from_sums([metric], arm["n"], [arm[metric][0]], {(metric, metric): arm[metric][1]})
        for name, arm in ARMS.items()
    }

    def call() -> float:
        (row,) = compare(arms, metric, control="control").against_control.values()
        assert row.lift.estimate is not None
        assert row.anytime is not None
        assert row.bayes is not None
        return row.lift.estimate

    return call


def tea_tasting(metric: str) -> Call:
    """Difference, lift, p-value and intervals, from its aggregates."""
    import tea_tasting as tt
    import tea_tasting.aggr

    arms = []
    for arm in ARMS.values():
        total, square = arm[metric]
        n = arm["n"]
        variance = (square - total * total / n) / (n - 1)
        arms.append(tt.aggr.Aggregates(count_=n, mean_={metric: total / n}, var_={metric: variance}, cov_={}))
    mean = tt.Mean(metric)
    return lambda: mean.analyze_aggregates(*arms).rel_effect_size


def gbstats(metric: str) -> Call:
    """One frequentist analysis of the relative effect, by the function that its service calls for a metric."""
    from gbstats.gbstats import process_single_metric
    from gbstats.models.settings import AnalysisSettingsForStatsEngine, MetricSettingsForStatsEngine

    rows = [
        {
            "dimension": "",
            "variation": name,
            "users": arm["n"],
            "count": arm["n"],
            "main_sum": arm[metric][0],
            "main_sum_squares": arm[metric][1],
        }
        for name, arm in ARMS.items()
    ]
    settings = MetricSettingsForStatsEngine(
        id=metric,
        name=metric,
        statistic_type="mean",
        main_metric_type="binomial" if metric == "conversion" else "count",
    )
    analysis = AnalysisSettingsForStatsEngine(
        var_names=list(ARMS),
        var_ids=list(ARMS),
        weights=[0.5, 0.5],
        stats_engine="frequentist",
        difference_type="relative",
    )

    def call() -> float:
        result = process_single_metric(rows, settings, [analysis])
        return result.analyses[0].dimensions[0].variations[1].expected

    return call


CONTENDERS = {
    f"{make.__name__}_{metric}": (make, metric)
    for make in (floor, offerlift, tea_tasting, gbstats)
    for metric in ("revenue", "conversion")
}


def main() -> None:
    make, metric = CONTENDERS[sys.argv[1]]
    call = make(metric)
    print(call(), flush=True)
    for line in sys.stdin:
        number = int(line)
        began = time.process_time()
        for _ in range(number):
            call()
        print(time.process_time() - began, flush=True)


if __name__ == "__main__":
    main()
