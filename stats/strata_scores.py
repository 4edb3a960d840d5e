"""The stratified score test turned around: ends of the difference and of the ratio (Miettinen and Nurminen 1985)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .proportions import restricted_variance, restricted_variance_of_ratio
from .results import RatioInterval
from .roots import bracketed_root

__all__ = ["Table", "difference_high", "ratio_interval"]


@dataclass(frozen=True, slots=True)
class Table:
    """One stratum's conversions and visitors."""

    weight: float
    x_t: int
    n_t: int
    x_c: int
    n_c: int

    def swapped(self) -> Table:
        """The same with the arms exchanged."""
        return Table(self.weight, self.x_c, self.n_c, self.x_t, self.n_t)

    @property
    def difference(self) -> float:
        """p̂_t - p̂_c."""
        return (self.x_t * self.n_c - self.x_c * self.n_t) / (self.n_t * self.n_c)

    @property
    def factor(self) -> float:
        """N/(N - 1)."""
        return (self.n_t + self.n_c) / (self.n_t + self.n_c - 1)

    @property
    def is_certain(self) -> bool:
        """Whether neither rate varies."""
        return self.x_t in (0, self.n_t) and self.x_c in (0, self.n_c)

    def variance(self, more: int = 0) -> float:
        """Unpooled variance of the difference; with `more` successes and failures in each arm."""
        total = 0.0
        for x, n in ((self.x_t, self.n_t), (self.x_c, self.n_c)):
            p = (x + more) / (n + 2 * more)
            total += p * (1 - p) / (n + 2 * more if more else n - 1)
        return total

    def scored(self, variance, null: float) -> float:
        """This stratum's part of the variance under a null difference or ratio."""
        return self.weight**2 * self.factor * variance(self.x_t, self.n_t, self.x_c, self.n_c, null)


def difference_high(tables: Sequence[Table], z: float, below_null: bool) -> float:
    """Upper end of the difference: the last root of δ - D - z sqrt(Σ w² Ṽ(δ) N/(N - 1)) between D and 1, or 0."""
    d = math.fsum(table.weight * table.difference for table in tables)
    if all(table.difference == 1.0 for table in tables):
        return 1.0

    def above(delta: float) -> float:
        return delta - d - z * math.sqrt(sum(table.scored(restricted_variance, delta) for table in tables))

    inner = d
    if all(table.is_certain and table.difference == tables[0].difference for table in tables):
        # Nothing varies at D itself, which is then a second root: start beyond it.
        least = sum(table.weight**2 * table.factor / (4 * max(table.n_t, table.n_c)) for table in tables)
        inner += min(z * z * least, 0.5)
    half = z * math.sqrt(sum(table.weight**2 * table.factor * table.variance(more=1) for table in tables))
    return _last_root(above, inner, half, 0.0 if below_null else 1.0)


def _last_root(above: Callable[[float], float], inner: float, scale: float, end: float) -> float:
    """The last place before `end` where `above`, negative at `inner` and positive at the end, changes its sign."""
    points = [inner]
    points += [inner + scale * 2 ** (k / 4) for k in range(-16, 33) if inner + scale * 2 ** (k / 4) < end]
    if end < math.inf:
        points.append(end)
    values = [above(point) for point in points[1:]]
    while values[-1] <= 0 and end == math.inf:
        points.append(2 * points[-1] - inner)
        values.append(above(points[-1]))
    at = max((k for k, value in enumerate(values[:-1], start=1) if value <= 0), default=0)
    before = values[at - 1] if at else min(above(inner), 0.0)
    return bracketed_root(above, points[at], points[at + 1], before, max(values[at], 0.0), tolerance=1e-14 * scale)


def ratio_interval(tables: Sequence[Table], swapped: Sequence[Table], z: float, down: bool, up: bool) -> RatioInterval:
    """The set of ratios of the combined rates that the score test does not reject."""
    p_t, p_c = _rate(tables), _rate(swapped)
    if p_t == 0 and p_c == 0:
        return RatioInterval("undefined", None, None, None, "no conversions in either arm: every ratio fits 0 / 0")
    low = 0.0 if p_t == 0 else 1 / _ratio_high(swapped, z, down)
    if p_c == 0:
        reason = "no conversions in the control: the relative lift has no upper end"
        return RatioInterval("unbounded", None, low, None, reason)
    return RatioInterval("bounded", p_t / p_c, low, _ratio_high(tables, z, up))


def _rate(tables: Sequence[Table]) -> float:
    return math.fsum(table.weight * table.x_t / table.n_t for table in tables)


def _ratio_high(tables: Sequence[Table], z: float, below_null: bool) -> float:
    """Upper end of the ratio, in ln r, where the control has conversions."""
    if all(table.x_t == table.n_t and table.x_c == table.n_c for table in tables):
        # The general search would find the second root at 1, where nothing varies.
        return 1 + z * z * sum(table.weight**2 * table.factor / table.n_c for table in tables)
    p_t = _rate(tables)
    p_c = math.fsum(table.weight * table.x_c / table.n_c for table in tables)

    def above(log_r: float) -> float:
        r = math.exp(log_r)
        variance = sum(table.scored(restricted_variance_of_ratio, r) for table in tables)
        return r - (p_t + z * math.sqrt(variance)) / p_c

    # Katz's error of the combined rates, with half a conversion more in every stratum.
    more_t, more_c, spread_t, spread_c = 0.0, 0.0, 0.0, 0.0
    for table in tables:
        q_t, q_c = (table.x_t + 0.5) / (table.n_t + 1), (table.x_c + 0.5) / (table.n_c + 1)
        more_t, more_c = more_t + table.weight * q_t, more_c + table.weight * q_c
        spread_t += table.weight**2 * q_t * (1 - q_t) / table.n_t
        spread_c += table.weight**2 * q_c * (1 - q_c) / table.n_c
    half = min(z * math.sqrt(spread_t / more_t**2 + spread_c / more_c**2), 0.5)
    inner = math.log(p_t / p_c) if p_t > 0 else math.log(more_t / p_c) - 20
    return math.exp(_last_root(above, inner, half, 0.0 if below_null else math.inf))
