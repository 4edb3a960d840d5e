"""A simulated shop with everything in it, and a sale that withholds its offer, for several tests."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from offerlift.experiments import BUILT_IN_METRICS, Arm, Definition, Discount, Guard, Offer, Plan
from offerlift.experiments.testing import Behaviour, Choice, Group, Habits, Population, SimulatedShop

DAY = 86_400_000_000

GROUPS = (Group("new", 0.6, purchase=0.8, elasticity=1.3), Group("returning", 0.4, purchase=1.3, basket=1.2))
LIGHTER = Choice("lighter", 0.6, 0.4, gain=0.03, swap=0.1, later=0.5)
ACCESSORY = Choice("accessory", 0.2, 0.5, gain=0.01, swap=0.05, add=0.2, after=3.0)
OFF = Behaviour(price=0.9, repeat=0.8, refund=1.5, events={"unsubscribe": 0.02}, withheld=0.1, undelivered=0.05)
BEHAVIOURS = {
    "control": Behaviour(),
    "off": OFF,
    "free": Behaviour(free_shipping_from=0, gift_cost=2.0),
    "threshold": Behaviour(free_shipping_from=59, price=1.1, appeal=1.1),
    "choices": Behaviour(choices=(LIGHTER, ACCESSORY), free_shipping_from=40),
}
HABITS = Habits(purchase=0.1, events={"unsubscribe": 0.005})
SHOP = SimulatedShop(BEHAVIOURS, HABITS, Population(groups=GROUPS))


def offer(**changes: Any) -> Offer:
    """Ten percent off in the cart."""
    usual = Offer("off", "flash_sale", "cart", "cart_view", discount=Discount("percentage", Decimal(10)))
    return replace(usual, **changes)


def definition(*arms: Arm, **changes: Any) -> Definition:
    """Money within seven days, net of the refunds of the fourteen days after them."""
    metrics = tuple(
        replace(BUILT_IN_METRICS[name], window_end=7 * DAY, refund_window=14 * DAY if "per_visitor" in name else 0)
        for name in ("margin_per_visitor", "revenue_per_visitor", "conversion")
    )
    made = Definition("sale", arms[0].name, arms, metrics, Plan("margin_per_visitor"))
    return replace(made, **changes)


CAPPED = offer(guards=(Guard("frequency_cap", Decimal(1), DAY),))
SALE = definition(Arm("control", 5_000), Arm("off", 5_000, CAPPED), segments=("customer",))
SALE_BEHAVIOURS = {"control": Behaviour(), "off": replace(OFF, free_shipping_from=59)}
