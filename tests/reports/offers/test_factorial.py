"""A factorial in a real store: effects by hand from the cells' means, aliases, the best cell raw and shrunk."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from offerlift.experiments.definition import Offer, Plan
from offerlift.experiments.terms import Discount
from offerlift.reports import render_html, render_text

from .conftest import Bought, Visit

FACTORS = {"discount": ("none", "ten"), "shipping": ("paid", "free")}
SOLD = {("none", "paid"): 200, ("none", "free"): 260, ("ten", "paid"): 230, ("ten", "free"): 330}


def arms_of(cells):
    ten = Discount("percentage", Decimal(10))
    levels = {f"{d}-{f}": {"discount": d, "shipping": f} for d, f in cells}
    offers = {
        name: Offer(
            name, "downsell", "cart", "exit", discount=ten if "ten" in name else None, free_shipping="free" in name
        )
        for name in levels
    }
    return offers, levels


def fill(shop, cells, **plan):
    offers, levels = arms_of(cells)
    shop.publish(offers, levels=levels, factors=FACTORS, plan=Plan("conversion", minimum_detectable_effect=0.1, **plan))
    for (d, f), sold in cells.items():
        shop.write(Visit(f"{d}-{f}", (Bought(40, 20),) if at < sold else ()) for at in range(3_000))
    return shop.card()


def test_effects_are_contrasts_of_the_cells_means(shop):
    """Main effects averaged with equal weights, the interaction a difference of differences, Welch's error."""
    part = fill(shop, SOLD).offers.factorial
    p = {cell: sold / 3_000 for cell, sold in SOLD.items()}
    error = math.sqrt(sum(x * (1 - x) / 2_999 for x in p.values()))
    terms = {one.term: one for one in part.terms}
    discount = (p["ten", "paid"] + p["ten", "free"] - p["none", "paid"] - p["none", "free"]) / 2
    assert terms["discount"].effect.estimate == pytest.approx(discount)
    assert terms["discount"].effect.high - discount == pytest.approx(1.960 * error / 2, rel=1e-3)
    both = p["ten", "free"] - p["ten", "paid"] - p["none", "free"] + p["none", "paid"]
    assert terms["discount:shipping"].effect.estimate == pytest.approx(both)
    assert terms["discount:shipping"].effect.high - both == pytest.approx(1.960 * error, rel=1e-3)
    assert terms["discount:shipping"].detectable == pytest.approx(2 * terms["discount"].detectable, rel=1e-3)


def test_the_best_cell_is_shrunk_towards_the_others(shop):
    """Picked as the largest of four, it is expected to do less well than it was seen to."""
    part = fill(shop, SOLD).offers.factorial
    assert part.best == "ten-free"
    assert part.best_raw.estimate == pytest.approx(0.11)
    assert sum(SOLD.values()) / 12_000 < part.best_shrunk.estimate < 0.11
    assert sum(cell.probability_best for cell in part.cells) == pytest.approx(1)


def test_the_family_of_the_plan_is_what_is_tested(shop):
    """Only the named terms have adjusted p-values; the others are shown as not tested."""
    card = fill(shop, SOLD, family=("discount:shipping",))
    tested = {one.term: one.adjusted_p_value is not None for one in card.offers.factorial.terms}
    assert tested == {"discount": False, "shipping": False, "discount:shipping": True}
    assert "not in the tested family" in render_html([card])


def test_the_log_scale_gives_relative_effects(shop):
    """What the plan names: the effect of free shipping as a ratio of geometric means."""
    part = fill(shop, SOLD, scale="log").offers.factorial
    ratio = math.sqrt(260 / 200 * 330 / 230) - 1
    assert {one.term: one for one in part.terms}["shipping"].effect.estimate == pytest.approx(ratio)


def test_a_missing_combination_says_what_cannot_be_told_apart(shop):
    """Three of four cells: no main effect is free of the interaction, and no number pretends to be."""
    cells = {cell: sold for cell, sold in SOLD.items() if cell != ("ten", "free")}
    card = fill(shop, cells)
    part = card.offers.factorial
    assert all(one.effect.estimate is None for one in part.terms if one.status != "ok")
    assert any(one.status != "ok" for one in part.terms)
    assert any("combinations are missing" in sentence for sentence in part.aliased)
    assert "not tested" in render_html([card])


def test_page_and_terminal_show_the_factors(shop):
    """Each term once, and the best combination with both of its numbers."""
    card = fill(shop, SOLD)
    page, text = render_html([card]), render_text(card)
    assert "discount × shipping" in page
    assert "looks better than it is" in page
    assert "Best combination tested: ten-free" in text
    assert replace(card.offers.factorial, terms=()) != card.offers.factorial
