"""Cross-sells in the cart and at the checkout, and the threshold of free shipping, with simulated visitors."""

from __future__ import annotations

import sys
from pathlib import Path

from offerlift.experiments.testing import Behaviour, Choice, Group, Habits, Population

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from running import Visits, main

BUYING = Habits(purchase=0.25, basket=60.0)
CUSTOMERS = (Group("new", 0.6, purchase=0.9), Group("returning", 0.4, purchase=1.15, basket=1.1))

VISITS = {
    "definition": Visits(
        BUYING,
        Population(
            days=28,
            per_day=260,
            groups=CUSTOMERS,
            attributes={"relevance": 0.8, "complement_in_stock": True},
            ineligible=0.2,
            ineligible_attributes={"relevance": 0.3, "complement_in_stock": True},
        ),
        {
            "one": Behaviour(choices=(Choice("filter-papers", 0.15, 0.3, add=0.16),), withheld=0.05),
            # Two are looked at for longer, and a few leave.
            "two": Behaviour(
                appeal=0.97,
                choices=(Choice("descaler", 0.2, 0.3, add=0.10), Choice("filter-papers", 0.15, 0.3, add=0.12)),
                withheld=0.05,
            ),
        },
    ),
    "order-bump": Visits(
        BUYING,
        Population(days=28, per_day=200),
        {
            # A box more to read: a few leave the checkout.
            "bump": Behaviour(appeal=0.98, choices=(Choice("bump", 0.2, 0.3, add=0.18),)),
            "thank-you": Behaviour(choices=(Choice("thank-you", 0.2, 0.3, add=0.08),)),
        },
    ),
    # What follows from the offers: more orders, baskets just above the threshold, and shipping that the shop pays.
    "threshold": Visits(BUYING, Population(days=28, per_day=260), {}),
}

if __name__ == "__main__":
    main(Path(__file__).parent, VISITS)
