"""Down-sells on the way out of the cart, by e-mail, in the chat and from overstock, with simulated visitors."""

from __future__ import annotations

import sys
from pathlib import Path

from offerlift.experiments.testing import Behaviour, Choice, Habits, Population

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from running import Visits, main

LEAVING = Habits(purchase=0.10, elasticity=-1.2, basket=90.0, repeat=0.25, events={"unsubscribe": 0.005})
MONTH = Population(days=28, per_day=220, attributes={"cart_total": 90})

VISITS = {
    "definition": Visits(
        LEAVING,
        MONTH,
        {
            "ten-off": Behaviour(price=0.9, withheld=0.08),
            # A few who would have paid the full price take the cheaper way; later, some of them buy the dearer thing.
            "choice": Behaviour(
                choices=(
                    Choice("lighter-model", 0.6, 0.45, gain=0.035, swap=0.06, later=0.35),
                    Choice("three-instalments", 1.0, 0.53, gain=0.012, swap=0.08),
                    Choice("filter-papers", 1.0, 0.54, gain=0.010, swap=0.10),
                ),
                withheld=0.08,
            ),
        },
    ),
    "too-early": Visits(
        LEAVING,
        MONTH,
        {
            # Half of those who would have bought anyway take the discount that is held out to them.
            "leaving": Behaviour(choices=(Choice("leaving", 0.9, 0.556, gain=0.025, swap=0.5),)),
            "mail-after-a-day": Behaviour(
                choices=(Choice("mail-after-a-day", 0.9, 0.556, gain=0.02, swap=0.02, after=1.0),),
                undelivered=0.15,
                events={"unsubscribe": 0.012},
            ),
        },
    ),
    "chat": Visits(
        Habits(purchase=0.12, basket=80.0, events={"promoter": 0.10}),
        Population(days=28, per_day=220, agents=24, agent_spread=0.4, attributes={"channel": "chat"}),
        {
            f"{message}.{discount}": Behaviour(
                # Agents do not always say what they should: those customers stay in their arm.
                choices=(Choice(f"{message}.{discount}", price, 0.45 / price, gain=gain * more, swap=0.06),),
                undelivered=0.25,
            )
            for message, gain in (("plain", 0.04), ("expert", 0.06), ("benefit", 0.05))
            for discount, price, more in (("none", 0.6, 1.0), ("five-off", 0.57, 1.1))
        },
    ),
    "overstock": Visits(
        Habits(purchase=0.08, basket=120.0),
        Population(
            days=28,
            per_day=220,
            attributes={"days_in_stock": 150, "overstock": True},
            ineligible=0.3,
            ineligible_attributes={"days_in_stock": 20, "overstock": False},
        ),
        # What has lost its value costs little: 30 % of a price that is low already.
        {"clearance": Behaviour(choices=(Choice("clearance", 0.55, 0.3, gain=0.03, swap=0.08),))},
    ),
}

if __name__ == "__main__":
    main(Path(__file__).parent, VISITS)
