"""Up-sells to happy customers: after a milestone, after support, at a student's price, with simulated visitors."""

from __future__ import annotations

import sys
from pathlib import Path

from offerlift.experiments.testing import Behaviour, Choice, Habits, Population

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from running import Visits, main

HAPPY = {"satisfaction": 5, "open_tickets": 0}
UNHAPPY = {"satisfaction": 2, "open_tickets": 1}

VISITS = {
    "definition": Visits(
        Habits(purchase=0.20, basket=40.0, response_days=25, events={"unsubscribe": 0.02, "promoter": 0.15}),
        Population(days=28, per_day=260, attributes=HAPPY, ineligible=0.25, ineligible_attributes=UNHAPPY),
        {
            "bigger-plan": Behaviour(
                choices=(Choice("bigger-plan", 1.2, 0.45, swap=0.25),), withheld=0.10, events={"unsubscribe": 0.03}
            ),
            # A trial wins some who would not have bought, and some of its members leave before they pay.
            "trial-first": Behaviour(
                choices=(Choice("trial-first", 1.15, 0.45, gain=0.03, swap=0.2),), withheld=0.10, refund=1.5
            ),
        },
    ),
    "after-support": Visits(
        Habits(purchase=0.15, basket=50.0, events={"promoter": 0.20}),
        Population(days=28, per_day=200, agents=24, agent_spread=0.3, attributes=HAPPY),
        {
            # Too early annoys: fewer would recommend the shop.
            "at-once": Behaviour(
                choices=(Choice("at-once", 1.25, 0.4, gain=0.01, swap=0.2),), undelivered=0.2, events={"promoter": 0.15}
            ),
            "three-days-later": Behaviour(
                choices=(Choice("three-days-later", 1.25, 0.4, gain=0.01, swap=0.15, after=3.0),), undelivered=0.1
            ),
        },
    ),
    "students": Visits(
        Habits(purchase=0.10, elasticity=-2.2, basket=30.0, cost_share=0.3, shipping=0.0),
        Population(days=28, per_day=220, attributes={"student": True}),
        {f"{depth}-off": Behaviour(price=1 - depth / 100) for depth in (10, 20, 30)} | {"full-price": Behaviour()},
    ),
}

if __name__ == "__main__":
    main(Path(__file__).parent, VISITS)
