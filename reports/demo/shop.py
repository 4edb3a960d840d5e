"""The demo's simulated shop: visitors, what they buy under each arm, and the true effects in closed form.

Every visitor has a propensity z ~ N(0, 1). Under an arm, purchase option j is taken with probability
q_j · exp(s·z - s²/2), at most one option a visitor, and pays price_j · (1 - discount_j) on average: lognormal around
it, a little more where z is high. Since E[exp(s·z - s²/2)] = 1, the expected conversion of an arm is exactly Σ q_j, its
revenue per visitor Σ q_j · price_j · (1 - discount_j) and its margin that less Σ q_j · (cost_j · price_j + extra_j), so
the report can print the truth beside the estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

__all__ = ["SHOPS", "ArmBehaviour", "PurchaseOption", "Shop", "Truth"]

Truth = dict[str, dict[str, tuple[float, float]]]
"""Metric -> arm -> (true difference to the control, true lift)."""

PROPENSITY_SD = 0.4
VALUE_ON_PROPENSITY = 0.25


@dataclass(frozen=True, slots=True)
class PurchaseOption:
    """One thing that a visitor may buy: `probability` of it, its mean list `price`, and what it costs the shop.

    `cost_share` is the cost of goods as a share of the list price, `extra_cost` what an order costs besides (a free
    shipment), `spread` the standard deviation of log value, `after` the days until it can happen.
    """

    probability: float
    price: float
    cost_share: float = 0.55
    discount: float = 0.0
    extra_cost: float = 0.0
    spread: float = 0.35
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class ArmBehaviour:
    """What visitors of an arm do: purchase options, and the probability of other events."""

    options: tuple[PurchaseOption, ...]
    events: Mapping[str, float] = field(default_factory=dict)

    @property
    def conversion(self) -> float:
        """Expected share of visitors who buy."""
        return sum(option.probability for option in self.options)

    @property
    def revenue(self) -> float:
        """Expected revenue per visitor."""
        return sum(option.probability * option.price * (1 - option.discount) for option in self.options)

    @property
    def margin(self) -> float:
        """Expected margin per visitor."""
        cost = sum(
            option.probability * (option.price * option.cost_share + option.extra_cost) for option in self.options
        )
        return self.revenue - cost


@dataclass(frozen=True)
class Visitors:
    """Simulated visitors of one experiment, one array entry each."""

    ids: list[str]
    countries: list[str]
    arrived: list[datetime]
    propensity: np.ndarray
    past_revenue: np.ndarray


@dataclass(frozen=True, slots=True)
class Order:
    """One simulated purchase: index of the visitor, money in cents, days after the exposure."""

    visitor: int
    value: int
    cost: int
    after: float


@dataclass(frozen=True)
class Shop:
    """The shop as far as one experiment sees it.

    `visitors` is how many come by in the demo; `first_day` and `days` when; `window` (days) how long after the
    exposure outcomes happen; `knows_past_revenue` whether what visitors bought earlier is on record.
    """

    experiment: str
    arms: Mapping[str, ArmBehaviour]
    control: str
    visitors: int
    first_day: datetime = datetime(2026, 1, 5, tzinfo=UTC)
    days: int = 28
    window: float = 7.0
    knows_past_revenue: bool = False

    def truth(self) -> Truth:
        """The true effects, by metric and arm."""
        values: dict[str, dict[str, float]] = {}
        for name, arm in self.arms.items():
            values.setdefault("conversion", {})[name] = arm.conversion
            values.setdefault("revenue_per_visitor", {})[name] = arm.revenue
            values.setdefault("margin_per_visitor", {})[name] = arm.margin
            values.setdefault("average_order_value", {})[name] = arm.revenue / arm.conversion
            for event, probability in arm.events.items():
                values.setdefault(f"{event}_rate", {})[name] = probability
        return {
            metric: {
                arm: (value - by_arm[self.control], value / by_arm[self.control] - 1)
                for arm, value in by_arm.items()
                if arm != self.control
            }
            for metric, by_arm in values.items()
        }

    def arrivals(self, rng: np.random.Generator, count: int) -> Visitors:
        """Visitors spread over the days; past revenue is NaN for the fifth of them who are new."""
        propensity = rng.standard_normal(count)
        seconds = np.sort(rng.integers(0, self.days * 86_400, count))
        past = np.exp(3.0 + 0.9 * propensity + 0.5 * rng.standard_normal(count)).round(2)
        past[rng.random(count) < 0.2] = np.nan
        return Visitors(
            ids=[f"{self.experiment}-{number:07d}" for number in range(1, count + 1)],
            countries=rng.choice(["DE", "AT", "FR"], size=count, p=[0.6, 0.3, 0.1]).tolist(),
            arrived=[self.first_day + timedelta(seconds=int(second)) for second in seconds],
            propensity=propensity,
            past_revenue=past,
        )

    def orders(self, rng: np.random.Generator, arm: str, propensity: np.ndarray) -> list[Order]:
        """The orders of an arm's visitors; `visitor` is the position in `propensity`."""
        options = self.arms[arm].options
        taste = np.exp(PROPENSITY_SD * propensity - PROPENSITY_SD**2 / 2)
        limits = np.cumsum([option.probability for option in options])
        draw = rng.random(len(propensity)) / taste
        chosen = np.searchsorted(limits, draw, side="right")
        orders = []
        for at in np.flatnonzero(chosen < len(options)):
            option, z = options[chosen[at]], propensity[at]
            # Buyers have a higher z than visitors; the last term takes that out of the mean value.
            drift = VALUE_ON_PROPENSITY**2 / 2 + PROPENSITY_SD * VALUE_ON_PROPENSITY
            noise = option.spread * rng.standard_normal() - option.spread**2 / 2
            listed = option.price * np.exp(noise + VALUE_ON_PROPENSITY * z - drift)
            orders.append(
                Order(
                    visitor=int(at),
                    value=round(100 * listed * (1 - option.discount)),
                    cost=round(100 * (listed * option.cost_share + option.extra_cost)),
                    after=option.after + rng.random() * (self.window - option.after) * 0.99,
                )
            )
        return orders


_MUG = PurchaseOption(0.060, 59.0)
_SHIPPING = 4.90


def _basket(threshold: int, lift: float, discount: float) -> ArmBehaviour:
    """Baskets bunch just above the subtotal that ships free."""
    below, bunch = (0.040, 0.012) if threshold == 59 else (0.023, 0.033)
    return ArmBehaviour(
        (
            PurchaseOption(below * lift, 30.0, discount=discount),
            PurchaseOption(bunch * lift, threshold + 4.0, discount=discount, extra_cost=_SHIPPING, spread=0.1),
            PurchaseOption(0.020 * lift, 95.0, discount=discount, extra_cost=_SHIPPING),
        )
    )


SHOPS: tuple[Shop, ...] = (
    Shop(
        "exit-downsell",
        {
            "control": ArmBehaviour((_MUG,)),
            # A few who would have bought the dearer product take the lighter one instead.
            "lighter-10-off": ArmBehaviour(
                (PurchaseOption(0.056, 59.0), PurchaseOption(0.017, 39.0, cost_share=0.5, discount=0.10))
            ),
            "free-shipping": ArmBehaviour((PurchaseOption(0.066, 59.0, extra_cost=_SHIPPING),)),
        },
        control="control",
        visitors=120_000,
        knows_past_revenue=True,
    ),
    Shop(
        "cart-threshold",
        {
            "from-59.full-price": _basket(59, 1.0, 0.0),
            "from-59.5-off": _basket(59, 1.06, 0.05),
            "from-39.full-price": _basket(39, 1.0, 0.0),
            "from-39.5-off": _basket(39, 1.06, 0.05),
        },
        control="from-59.full-price",
        visitors=80_000,
    ),
    Shop(
        "upsell-timing",
        {
            "control": ArmBehaviour((PurchaseOption(0.050, 45.0),), {"unsubscribe": 0.005}),
            "thank-you-page": ArmBehaviour(
                (PurchaseOption(0.050, 45.0), PurchaseOption(0.022, 29.0, cost_share=0.5, discount=0.15)),
                {"unsubscribe": 0.005},
            ),
            "email-after-3-days": ArmBehaviour(
                (PurchaseOption(0.050, 45.0), PurchaseOption(0.015, 29.0, cost_share=0.5, discount=0.15, after=3.0)),
                {"unsubscribe": 0.011},
            ),
        },
        control="control",
        visitors=60_000,
        window=30.0,
    ),
)
"""The shops of the three demo experiments, by what their arms do."""
