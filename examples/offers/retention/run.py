"""Retention: the service that is due, birthdays and remarketing, with simulated visitors."""

from __future__ import annotations

import sys
from pathlib import Path

from offerlift.experiments.testing import Behaviour, Group, Habits, Population

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from running import Visits, main

REGULARS = Habits(purchase=0.10, basket=70.0, response_days=14, repeat=0.3, events={"unsubscribe": 0.01})
CUSTOMERS = (Group("silver", 0.7), Group("gold", 0.3, purchase=1.6, basket=1.2))

VISITS = {
    "definition": Visits(
        REGULARS,
        Population(days=28, per_day=280, attributes={"days_since_purchase": 90, "newsletter": True}),
        {
            "reminder": Behaviour(appeal=1.25, undelivered=0.1, events={"unsubscribe": 0.014}),
            # Points are paid for when they are redeemed: what 500 of them cost is booked with the order.
            "with-points": Behaviour(
                appeal=1.35, gift_cost=2.5, repeat=1.15, undelivered=0.1, events={"unsubscribe": 0.014}
            ),
            "with-voucher": Behaviour(
                appeal=1.5, gift_cost=10.0, withheld=0.1, undelivered=0.1, events={"unsubscribe": 0.014}
            ),
        },
    ),
    "birthday": Visits(
        REGULARS,
        Population(days=28, per_day=220, groups=CUSTOMERS, attributes={"tier": "gold"}),
        {
            "card": Behaviour(appeal=1.1),
            "gift": Behaviour(appeal=1.3, gift_cost=4.0, repeat=1.1),
            "personal-10-off": Behaviour(price=0.9, appeal=1.1),
        },
    ),
    "remarketing": Visits(
        REGULARS,
        Population(days=28, per_day=220, attributes={"days_since_purchase": 150}),
        {"same-price": Behaviour(appeal=1.15), "10-off": Behaviour(price=0.9, appeal=1.15)},
    ),
}

if __name__ == "__main__":
    main(Path(__file__).parent, VISITS)
