"""Segments that nobody planned: analysed in a family of their own, labelled, and never in the verdict."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from offerlift.experiments.definition import Offer, Plan
from offerlift.reports import render_html, render_text, scorecard
from offerlift.reports.details import Details
from offerlift.reports.recording import make_look
from scipy.stats import false_discovery_control

from .conftest import START, Bought, Visit

OFFERS = {"control": None, "ten": Offer("ten", "downsell", "cart", "exit")}
CAUTION = (
    "Exploratory: not planned, a finding here is a reason for a next test and no result. P-values are adjusted over "
    "all exploratory cuts together, and none of them enters the verdict."
)
N = 4_000


def fill(shop, exploratory, *, boost=0.0, seed=1, **plan):
    """Visitors of random attributes with three values each; the offer works, if at all, in value 0 of the first."""
    shop.publish(
        OFFERS,
        segments=("country",),
        exploratory_segments=tuple(exploratory),
        plan=Plan("conversion", minimum_detectable_effect=0.3, **plan),
    )
    rng = np.random.default_rng(seed)
    visits = []
    for number in range(2 * N):
        arm = "ten" if number % 2 else "control"
        values = {name: str(rng.integers(0, 3)) for name in ("country", *exploratory)}
        works = boost if arm == "ten" and values[exploratory[0]] == "0" else 0.0
        bought = rng.random() < 0.1 + works
        visits.append(Visit(arm, (Bought(40, 20),) if bought else (), tuple(values.items())))
    shop.write(visits)


def parts(card, label="exploratory"):
    return [one for one in card.offers.segments if one.label == label]


def block(text, heading):
    """The paragraph of the terminal's page that begins so, on one line."""
    return " ".join(text[text.index(heading) :].split("\n\n")[0].split())


def test_exploratory_cuts_are_one_family_of_their_own(shop):
    """P-values of all exploratory attributes together are adjusted by Benjamini and Hochberg, apart from the planned
    ones; effects are shrunk."""
    fill(shop, ("tier", "referrer", "browser"))
    card = shop.card()
    assert [(one.segment, one.label, one.status) for one in card.offers.segments] == [
        ("country", "pre_declared", "ok"),
        ("tier", "exploratory", "ok"),
        ("referrer", "exploratory", "ok"),
        ("browser", "exploratory", "ok"),
    ]
    for label, attributes in (("pre_declared", 1), ("exploratory", 3)):
        rows = [row for one in parts(card, label) for row in one.rows]
        assert len(rows) == 3 * attributes
        adjusted = false_discovery_control([row.p_value for row in rows])
        assert [row.adjusted_p_value for row in rows] == pytest.approx(list(adjusted))
        tests = [test for one in parts(card, label) for test in one.tests]
        adjusted = false_discovery_control([test.p_value for test in tests])
        assert [test.adjusted_p_value for test in tests] == pytest.approx(list(adjusted))
    for one in parts(card):
        spread = [np.ptp([getattr(row, which).estimate for row in one.rows]) for which in ("raw", "shrunk")]
        assert spread[1] < spread[0]
    assert {one.caution for one in parts(card)} == {CAUTION}
    assert {one.caution for one in parts(card, "pre_declared")} == {""}


def test_chance_among_many_cuts_is_no_finding(shop):
    """Of ten attributes without any effect some value looks different by itself; over all cuts none does."""
    fill(shop, [f"a{i}" for i in range(10)], seed=9)
    card = shop.card()
    rows = [row for one in parts(card) for row in one.rows]
    assert min(row.p_value for row in rows) < 0.05
    assert min(row.adjusted_p_value for row in rows) > 0.05
    assert "A reason for a next test." not in render_html([card])


def test_a_finding_is_a_reason_for_a_next_test_and_changes_nothing(shop):
    """A strong difference is shown as what it is; metrics, health and the decision are as without the attributes."""
    fill(shop, ("tier", "referrer"), boost=0.2)
    card = shop.card()
    assert parts(card)[0].tests[0].adjusted_p_value < 1e-6
    page = render_html([card])
    folded = page[page.index("Exploratory segments") :]
    folded = folded[: folded.index("</details>")]
    assert CAUTION in folded
    assert "A reason for a next test." in folded
    assert "They do." not in folded
    assert page.index("By country") < page.index("Exploratory segments")
    observations = shop.store.observations("offer", as_of=card.as_of)
    bare = replace(observations, definition=replace(observations.definition, exploratory_segments=()))
    without = scorecard(bare, (), Details())
    assert (card.decision, card.metrics) == (without.decision, without.metrics)
    assert not any("tier" in check.reason or "referrer" in check.reason for check in card.health)


def test_the_label_is_on_the_terminal_and_in_json(shop):
    """One heading with the caution, then each attribute; JSON has label and caution with every part."""
    fill(shop, ("tier",))
    card = shop.card()
    text = render_text(card)
    assert block(text, "EXPLORATORY SEGMENTS") == f"EXPLORATORY SEGMENTS (not planned) {CAUTION}"
    assert block(text, "BY TIER").startswith("BY TIER (exploratory; informs, never decides) arm visitors")
    assert block(text, "BY COUNTRY").startswith("BY COUNTRY (pre-declared; informs, never decides)")
    assert text.index("BY COUNTRY") < text.index("EXPLORATORY SEGMENTS") < text.index("BY TIER")
    found = [(one["segment"], one["label"], one["caution"]) for one in card.to_dict()["offers"]["segments"]]
    assert found == [("country", "pre_declared", ""), ("tier", "exploratory", CAUTION)]


def test_exploratory_segments_are_withheld_before_the_first_look(shop):
    """Which there are is said with the caution, no number of theirs; after the look they are there."""
    fill(shop, ("tier",), looks=(0.5, 1.0), sample_size=10**6)
    card = shop.card()
    (part,) = parts(card)
    assert (part.segment, part.status, part.rows, part.tests, part.caution) == ("tier", "withheld", (), (), CAUTION)
    assert "By tier" not in render_html([card])
    assert "BY TIER" not in render_text(card)
    observations = shop.store.observations("offer", as_of=card.as_of)
    details = Details.of_store(shop.store, observations)
    looked, _ = make_look(observations, [], reveal=True, details=details)
    assert [one.status for one in parts(scorecard(observations, looked, details))] == ["ok"]


def test_a_segment_that_came_after_the_start_was_not_planned(shop):
    """Whoever adds a name to `segments` while it runs may have seen the data: it is exploratory."""
    fill(shop, ("tier",))
    published = shop.store.published("offer")
    definition = replace(published.definition, segments=("country", "tier"), exploratory_segments=())
    later = replace(published, definition=definition, version=2, published_at=START + timedelta(days=20))
    shop.store.publish(later)
    card = shop.card()
    assert [(one.segment, one.label) for one in card.offers.segments] == [
        ("country", "pre_declared"),
        ("tier", "exploratory"),
    ]
    assert all(one.status == "ok" for one in card.offers.segments)


def test_rare_values_are_one_group_and_what_is_no_category_is_refused(shop):
    """Nine referrers and the others together; an attribute with a value a visitor says why it is not split by."""
    shop.publish(OFFERS, exploratory_segments=("referrer", "cart"), plan=Plan("conversion"))
    rng = np.random.default_rng(2)
    visits = []
    for number in range(N):
        site = f"site{min(int(rng.exponential(4)), 25)}"
        bought = (Bought(40, 20),) if rng.random() < 0.1 else ()
        arm = "ten" if number % 2 else "control"
        visits.append(Visit(arm, bought, (("referrer", site), ("cart", str(number)))))
    shop.write(visits)
    card = shop.card()
    referrer, cart = parts(card)
    assert len(referrer.rows) == 10
    assert sum(row.n for row in referrer.rows) == N
    assert next(row.n for row in referrer.rows if row.value == "(other)") > 0
    assert (cart.status, cart.rows) == ("unavailable", ())
    assert "'cart' has 4,000 values, and the 9 most frequent have 9 of the 4,000 visitors with one" in cart.reason
    assert cart.reason in block(render_text(card), "BY CART")
    assert re.search("has 4,000 values", render_html([card]))
