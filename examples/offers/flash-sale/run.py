"""Flash sale and pre-sale: depth, urgency, shipping, early birds and vouchers, with simulated visitors."""

from __future__ import annotations

import sys
from pathlib import Path

from offerlift.experiments.testing import Behaviour, Group, Habits, Population

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from running import Visits, main

CUSTOMERS = (Group("new", 0.7, elasticity=1.2), Group("returning", 0.3, purchase=1.5, elasticity=0.6))
DEEP = {"no-discount": 1.0, "15-off": 0.85, "30-off": 0.7}
SAID = {"plain": 1.0, "urgent": 1.08}

VISITS = {
    "definition": Visits(
        Habits(purchase=0.12, elasticity=-1.8, basket=70.0, repeat=0.3),
        Population(days=28, per_day=360, groups=CUSTOMERS),
        {
            f"{depth}.{message}.{shipping}": Behaviour(
                price=price,
                appeal=appeal,
                free_shipping_from=0 if shipping == "free" else None,
                # The deeper the sale, the more is bought now instead of next month.
                repeat=price,
            )
            for depth, price in DEEP.items()
            for message, appeal in SAID.items()
            for shipping in ("paid", "free")
        },
    ),
    "early-bird": Visits(
        Habits(purchase=0.10, basket=90.0, events={"unsubscribe": 0.005}),
        Population(days=14, per_day=360),
        # A voucher costs nothing now; it brings some back, who then pay less.
        {
            "early-bird": Behaviour(price=78 / 90, appeal=1.1, events={"unsubscribe": 0.008}),
            "voucher": Behaviour(appeal=1.05, repeat=1.4, events={"unsubscribe": 0.008}),
        },
    ),
}

if __name__ == "__main__":
    main(Path(__file__).parent, VISITS)
