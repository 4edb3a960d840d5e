"""The examples of offers: each runs as its README says, and together they cover the trade."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from offerlift.experiments import load_definition
from offerlift.experiments.terms import DiscountType, OfferKind, Placement
from offerlift.storage import Store

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "offers"
KINDS = ("bundle", "cross-sell", "downsell", "flash-sale", "retention", "upsell")
FILES = sorted(EXAMPLES.glob("*/*.yaml"))

ESTIMATE = re.compile(r"margin_per_visitor ([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\), truly ([+-][\d.]+)")


@pytest.fixture(scope="module")
def definitions():
    """All definitions of the examples, by key."""
    return {one.experiment: one for one in map(load_definition, FILES)}


@pytest.mark.parametrize("kind", KINDS)
def test_an_example_runs(kind, tmp_path):
    """The command of the README leaves a store with the steps of the offers and a report of every definition; estimates
    of the primary metric are within four standard errors of the truth that is printed beside them."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / kind / "run.py"), str(tmp_path), "--share", "0.2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    keys = {load_definition(path).experiment for path in (EXAMPLES / kind).glob("*.yaml")}
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(key in report for key in keys)
    compared = ESTIMATE.findall(done.stdout)
    assert len(compared) >= 3
    for estimate, low, high, true in (map(float, one) for one in compared):
        assert abs(estimate - true) < 4 * (high - low) / (2 * 1.96)
    with Store.open(f"sqlite:///{tmp_path / 'shop.db'}") as store:
        assert set(store.experiments()) == keys
        for key in keys:
            arms = store.funnel(key).arms
            assert any(arm.steps.get("accepted") and arm.steps.get("declined") for arm in arms.values())


def test_every_folder_is_run():
    """No example is left out, and each has the definition that the README names first."""
    assert tuple(sorted(path.parent.name for path in EXAMPLES.glob("*/run.py"))) == KINDS
    assert all((EXAMPLES / kind / "definition.yaml").exists() for kind in KINDS)


def test_the_examples_cover_the_trade(definitions):
    """Every kind of offer, placement and discount is in some example."""
    offers = [arm.offer for one in definitions.values() for arm in one.arms if arm.offer is not None]
    offers += [offer for one in definitions.values() for offer in one.offers]
    assert {offer.kind for offer in offers} == set(get_args(OfferKind))
    assert {offer.placement for offer in offers} == set(get_args(Placement))
    assert {offer.discount.type for offer in offers if offer.discount} == set(get_args(DiscountType))
    assert {"exit_intent", "cart_abandoned", "checkout_abandoned", "offer_declined", "milestone", "occasion"} <= {
        offer.trigger for offer in offers
    }
    guards = {guard.type for offer in offers for guard in offer.guards}
    assert {"frequency_cap", "usage_limit", "min_margin"} <= guards
    assert any(len(offer.alternatives) > 1 for offer in offers)
    assert any(offer.timer for offer in offers)


def test_the_examples_cover_the_designs(definitions):
    """Factorials with message as a factor, timing with enrol_on, a satisfaction rule, agents as segments."""
    every = definitions.values()
    assert any("message" in one.factors for one in every)
    assert sum(one.enrol_on is not None for one in every) >= 2
    assert any(rule.attribute == "satisfaction" for one in every for rule in one.eligibility)
    assert any("agent" in one.segments for one in every)
    assert all(one.plan.primary == "margin_per_visitor" for one in every)
