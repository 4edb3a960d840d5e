"""What a report says by the number of offers seen: numbers with their label, and never a claim."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from offerlift.experiments.definition import Offer, Plan
from offerlift.experiments.records import Exposure, OfferStep, Outcome
from offerlift.reports import render_html, render_text, scorecard
from offerlift.reports.details import Details
from offerlift.reports.recording import make_look
from offerlift.storage import Store

from .conftest import START

NAMES = ("ten", "gift", "trial")
OFFERS = {
    "control": None,
    "ten": Offer("ten", "downsell", "cart", "exit", alternatives=NAMES[1:]),
}
FURTHER = tuple(Offer(name, "downsell", "cart", "exit") for name in NAMES[1:])
N = 3_000
LABEL = (
    "Descriptive, not an effect: how many offers a visitor saw was settled after the assignment, and visitors who come "
    "more often also buy more, offer or not. No arm is judged by it; what an offer does is said by all visitors of an "
    "arm together."
)


def fill(shop, **plan):
    """An offer without any effect: who comes more often buys more in both arms, and with the offer also sees more."""
    shop.publish(OFFERS, further=FURTHER, plan=Plan("conversion", minimum_detectable_effect=0.3, **plan))
    rng = np.random.default_rng(7)
    exposures, steps, outcomes, visits, buys = [], [], [], 0, False
    for number in range(2 * N):
        name, at, arm = f"v{number}", START + timedelta(minutes=number), "control" if number % 2 else "ten"
        # The same habits in both arms, visitor by visitor.
        if arm == "ten":
            visits = int(rng.integers(0, 4))
            buys = rng.random() < 0.03 + 0.15 * visits
        exposures.append(Exposure("offer", name, arm, at))
        if arm == "ten":
            steps += [
                OfferStep("offer", name, "delivered", one, at + timedelta(hours=i))
                for i, one in enumerate(NAMES[:visits])
            ]
        if buys:
            outcomes.append(Outcome(name, name, "purchase", at + timedelta(days=1), Decimal(40), Decimal(20)))
    written = [shop.store.write_exposures(exposures), shop.store.write_outcomes(outcomes)]
    written.append(shop.store.write_offer_steps(steps))
    assert not any(one.refused for one in written)
    return {one.visitor for one in outcomes}, steps


def by_hand(buyers, steps):
    """(arm, number) -> (visitors, share who bought)."""
    count = dict.fromkeys((f"v{n}" for n in range(2 * N)), 0)
    for one in steps:
        count[one.visitor] += 1
    groups = {}
    for name, number in count.items():
        arm = "control" if int(name[1:]) % 2 else "ten"
        groups.setdefault((arm, number), []).append(name in buyers)
    return {key: (len(found), float(np.mean(found))) for key, found in groups.items()}


def plainly(page):
    return re.sub(r"\s+", " ", page.replace("\u00a0", " "))


def test_heavy_buyers_make_no_claim(shop):
    """Visitors who saw three offers buy many times as often as those who saw none, and nothing is concluded from it:
    no difference, no interval and no p-value is in it, and the decision and every other part are as without it."""
    buyers, steps = fill(shop)
    card = shop.card()
    part = card.offers.by_exposures
    found = {(row.arm, row.offers_seen): (row.n, pytest.approx(row.value)) for row in part.rows}
    assert found == by_hand(buyers, steps)
    share = {row.offers_seen: row.value for row in part.rows if row.arm == "ten"}
    assert share[3] > 5 * share[0]
    assert card.decision.action not in ("ship", "stop_harm")
    row = card.to_dict()["offers"]["by_exposures"]
    assert set(row["rows"][0]) == {"arm", "offers_seen", "n", "value"}
    assert set(row) == {"status", "reason", "label", "counted", "metric", "unit", "most", "rows"}
    observations = shop.store.observations("offer", as_of=card.as_of)
    without = scorecard(observations, (), Details())
    assert (card.decision, [arm.verdict for arm in card.arms]) == (
        without.decision,
        [arm.verdict for arm in without.arms],
    )
    assert card.metrics == without.metrics


def test_the_label_says_so_in_plain_words(shop):
    """The same sentences in JSON, on the terminal and on the page, where the table is folded below the diagnostics."""
    fill(shop)
    card = shop.card()
    assert card.to_dict()["offers"]["by_exposures"]["label"] == LABEL
    text, page = render_text(card), render_html([card])
    block = text[text.index("BY NUMBER OF OFFERS SEEN") :].split("\n\n")[0]
    assert block.splitlines()[0] == "BY NUMBER OF OFFERS SEEN (descriptive, not an effect)"
    assert LABEL in " ".join(block.split())
    assert "offers seen  visitors  conversion" in block
    assert "A store keeps the first time of each offer" in " ".join(block.split())
    assert not re.search(r"p =|p adjusted|\d%? to |95%|significant", block)
    shown = plainly(page)
    assert LABEL in shown
    folded = page[page.index('<details class="aside">') :]
    folded = folded[: folded.index("</details>")]
    assert "By number of offers seen" in folded
    assert not re.search(r"p =|\d%? to |95%|significant", folded)
    assert page.index("How far the offers came") < page.index("By number of offers seen")


def test_the_highest_number_is_open(shop):
    """Four different offers or more are one group."""
    more = (*FURTHER, *(Offer(f"more-{i}", "downsell", "cart", "exit") for i in range(3)))
    shop.publish(OFFERS, further=more, plan=Plan("conversion"))
    shop.store.write_exposures(Exposure("offer", f"v{n}", "ten", START) for n in range(4))
    shop.store.write_offer_steps(
        OfferStep("offer", f"v{n}", "delivered", one, START + timedelta(hours=1))
        for n in range(4)
        for one in [*NAMES, "more-0", "more-1", "more-2"][: 3 + n]
    )
    rows = shop.card().offers.by_exposures.rows
    assert [(row.offers_seen, row.n) for row in rows] == [(3, 1), (4, 3)]
    text = render_text(shop.card())
    assert re.search(r"ten +4 or more +3 ", text)


def test_it_is_withheld_before_the_first_look(shop):
    """Who saw how many may be known, what they did may not; after the look it is there."""
    fill(shop, looks=(0.5, 1.0), sample_size=10**6)
    card = shop.card()
    part = card.offers.by_exposures
    assert (part.status, part.rows, part.label) == ("withheld", (), LABEL)
    assert "By number of offers seen" not in render_html([card])
    assert "BY NUMBER OF OFFERS SEEN" not in render_text(card)
    observations = shop.store.observations("offer", as_of=card.as_of)
    details = Details.of_store(shop.store, observations)
    looked, _ = make_look(observations, [], reveal=True, details=details)
    assert scorecard(observations, looked, details).offers.by_exposures.status == "ok"


def test_an_event_counts_each_time(shop):
    """With a `shown_event` the same offer seen again is another time, and the words say what is counted."""
    shop.publish(OFFERS, further=FURTHER, shown_event="offer_shown", plan=Plan("conversion"))
    shop.store.write_exposures(Exposure("offer", f"v{n}", "ten", START) for n in range(3))
    shop.store.write_outcomes(
        Outcome(f"s{n}-{i}", f"v{n}", "offer_shown", START + timedelta(hours=1)) for n in range(3) for i in range(3 * n)
    )
    card = shop.card()
    part = card.offers.by_exposures
    assert [(row.offers_seen, row.n) for row in part.rows] == [(0, 1), (3, 1), (4, 1)]
    assert part.counted.startswith("Counted is each time that “offer_shown” was recorded of a visitor, after")
    assert part.label == LABEL
    assert part.counted in plainly(render_html([card]))


def test_without_steps_there_is_no_such_part(shop, monkeypatch):
    """An experiment whose steps nobody records lacks nothing, and its visitors are not read for it."""
    shop.publish(OFFERS, further=FURTHER, plan=Plan("conversion"))
    shop.store.write_exposures(Exposure("offer", f"v{n}", "ten", START) for n in range(4))
    shop.store.write_offer_steps([OfferStep("offer", "v1", "reached", "ten", START)])
    monkeypatch.setattr(Store, "by_showings", None)
    assert shop.card().offers.by_exposures is None
    assert json.loads(json.dumps(shop.card().to_dict()["offers"]))["by_exposures"] is None


def test_a_holdout_has_it_over_all_that_it_covers(shop):
    """Those held out saw none; the words say whose offers are counted."""
    shop.key = "nothing"
    shop.publish({"held_out": None, "offered": None}, holdout=True)
    shop.key = "covered"
    shop.publish(OFFERS, further=FURTHER, holdouts=("nothing",))
    shop.key = "nothing"
    shop.store.write_exposures(
        Exposure("nothing", f"{arm}{n}", arm, START) for arm in ("held_out", "offered") for n in range(3)
    )
    shop.store.write_offer_steps([OfferStep("covered", "offered1", "delivered", "ten", START + timedelta(hours=1))])
    part = shop.card().offers.by_exposures
    assert [(row.arm, row.offers_seen, row.n) for row in part.rows] == [
        ("held_out", 0, 3),
        ("offered", 0, 2),
        ("offered", 1, 1),
    ]
    assert "all experiments that the holdout covers" in part.counted
