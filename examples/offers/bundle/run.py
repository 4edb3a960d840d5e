"""Bundles: what the starter set may cost, and three for two, with simulated visitors."""

from __future__ import annotations

import sys
from pathlib import Path

from offerlift.experiments.testing import Behaviour, Habits, Population

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from running import Visits, main

PRICES = (80, 90, 95, 100, 110)

VISITS = {
    "definition": Visits(
        # Constant elasticity: the best price is 0.6 · 2.5 / 1.5, the present one.
        Habits(purchase=0.10, elasticity=-2.5, basket=200.0, spread=0.3, cost_share=0.6, shipping=0.0),
        Population(days=28, per_day=280),
        {f"at-{price}": Behaviour(price=price / 100) for price in PRICES},
    ),
    "three-for-two": Visits(
        Habits(purchase=0.15, elasticity=-1.6, basket=30.0, cost_share=0.4),
        Population(days=28, per_day=200),
        # The same money off; that one has to take three keeps some from buying, and fills their shelves.
        {
            "three-for-two": Behaviour(price=2 / 3, appeal=0.92, repeat=0.8),
            "third-off": Behaviour(price=0.6667),
        },
    ),
}

if __name__ == "__main__":
    main(Path(__file__).parent, VISITS)
