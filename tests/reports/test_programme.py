"""The programme: shipped offers shrunk together with the losers, and experiments that touch each other."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.cli.app import run
from offerlift.experiments.definition import Arm, Audience, Definition, Offer, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.records import Exposure, Outcome
from offerlift.experiments.snapshot import Published
from offerlift.reports.programme import programme
from offerlift.reports.programme_text import render_programme
from offerlift.stats import PastExperiment, programme_total
from offerlift.storage import Store
from offerlift.storage.decisions import Decided

DAY = 86_400_000_000
START = datetime(2026, 3, 2, tzinfo=UTC)
AT = START + timedelta(days=60)
METRICS = (
    Metric("margin_per_visitor", "margin", Column("purchase", "margin"), window_end=14 * DAY),
    Metric("conversion", "conversion", Column("purchase", "converted"), window_end=14 * DAY),
)


def publish(store, key, **plan):
    offer = Offer("ten", "downsell", "cart", "exit")
    definition = Definition(
        key,
        "control",
        (Arm("control", 5_000), Arm("ten", 5_000, offer)),
        METRICS,
        Plan("margin_per_visitor", minimum_detectable_effect=0.05, audience=Audience(per_week=10_000), **plan),
    )
    store.publish(Published(definition, "running", 1, 1, START, START, "hash", "plan"))


def buy(store, key, first, bought, n=4_000):
    """Visitors from that number on, alternately in the arms; so many of each buy, at a margin of 20."""
    exposures, outcomes = [], []
    for at in range(2 * n):
        arm, name = ("control", "ten")[at % 2], f"v{first + at}"
        when = START + timedelta(minutes=at * 7_919 % 20_000)
        exposures.append(Exposure(key, name, arm, when))
        if at // 2 < bought[arm]:
            outcomes.append(Outcome(f"{key}-{name}", name, "purchase", when, Decimal(40), Decimal(20)))
    store.write_exposures(exposures)
    store.write_outcomes(outcomes)


@pytest.fixture(scope="module")
def store():
    """A winner and a loser with visitors of their own, and one that nobody has looked at."""
    with Store.open("sqlite://") as opened:
        for at, (key, ten) in enumerate((("winner", 700), ("loser", 250))):
            publish(opened, key)
            buy(opened, key, 10_000 * at, {"control": 400, "ten": ten})
        publish(opened, "early", looks=(0.5, 1.0), sample_size=10**6)
        buy(opened, "early", 50_000, {"control": 40, "ten": 60}, n=400)
        yield opened


def test_the_total_is_of_the_shipped_and_shrunk_with_the_losers(store):
    """The same as of the two lifts by hand; the raw sum is larger, and the loser is listed."""
    found = programme(store, AT)
    assert {(one.experiment, one.verdict, one.shipped) for one in found.arms} == {
        ("winner", "ship", True),
        ("loser", "stop_harm", False),
    }
    past = [
        PastExperiment(
            one.experiment,
            one.lift.estimate,
            (one.lift.high - one.lift.low) / 3.919928,
            one.shipped,
            one.money_per_week,
        )
        for one in found.arms
    ]
    expected = programme_total(past, smallest_effect=0.05)
    winner = next(one for one in found.arms if one.shipped)
    # 0.1 · 20 a visitor, and the visitors of a week as they came.
    assert winner.money_per_week == pytest.approx(2 * 8_000 / 14 * 7, rel=0.02)
    assert winner.lift.estimate == pytest.approx(0.75)
    assert found.raw == pytest.approx(winner.money_per_week * 0.75)
    assert found.total.estimate == pytest.approx(expected.total.estimate, rel=1e-4)
    assert 0 < found.total.estimate < found.raw
    assert found.prior == "sceptical"


def test_what_is_withheld_is_left_out(store):
    """No lift of it in any output, and a sentence on why."""
    found = programme(store, AT)
    assert found.left_out == ("early: withheld until its first look.",)
    assert "early" not in {one.experiment for one in found.arms}
    assert {"early"} & {one.first for one in found.interactions} == set()


def test_two_experiments_that_change_each_other_are_found():
    """Both offers sell more, together no more than one: the interaction is negative, and the other pair shows none."""
    with Store.open("sqlite://") as store:
        for key in ("one", "two", "three"):
            publish(store, key)
        exposures, outcomes = [], []
        sold = {(0, 0): 0.1, (0, 1): 0.2, (1, 0): 0.2, (1, 1): 0.2}
        for at in range(16_000):
            arms = [at % 2, at // 2 % 2, at // 4 % 2]
            when = START + timedelta(minutes=at * 7_919 % 20_000)
            for key, arm in zip(("one", "two", "three"), arms, strict=True):
                exposures.append(Exposure(key, f"v{at}", ("control", "ten")[arm], when))
            if at // 8 % 100 < 100 * sold[arms[0], arms[1]]:
                outcomes.append(Outcome(f"o{at}", f"v{at}", "purchase", when, Decimal(40), Decimal(20)))
        store.write_exposures(exposures)
        store.write_outcomes(outcomes)
        found = programme(store, AT)
        pairs = {frozenset((one.first, one.second)): one for one in found.interactions}
        assert len(pairs) == 3
        both = pairs[frozenset(("one", "two"))]
        assert (both.visitors, both.status) == (16_000, "ok")
        assert both.largest.estimate == pytest.approx(-2.0)
        assert both.adjusted_p_value < 0.001
        assert pairs[frozenset(("one", "three"))].adjusted_p_value > 0.05
        assert "one changes what the other does" in render_programme(found)


def test_what_people_decided_comes_before_what_was_recommended():
    """A winner that was stopped all the same is not shipped, and brings nothing."""
    with Store.open("sqlite://") as store:
        publish(store, "winner")
        buy(store, "winner", 0, {"control": 400, "ten": 700})
        assert programme(store, AT).arms[0].shipped
        stopped = Decided("stop_no_effect", None, "Ada", "no stock left", AT, "ship", "ten")
        store.record_decision("winner", stopped)
        found = programme(store, AT)
        assert (found.arms[0].verdict, found.arms[0].shipped) == ("ship", False)
        assert found.raw == 0


def test_without_a_verdict_there_is_no_total():
    """An empty store and one that collects have a sentence, and no number."""
    with Store.open("sqlite://") as store:
        found = programme(store, AT)
        assert (found.raw, found.total.estimate) == (None, None)
        assert "came to a verdict yet" in render_programme(found)


def test_the_command_prints_page_and_json(tmp_path, capsys):
    """`offerlift programme` reads a store from its URL, and says the same in both."""
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with Store.open(url) as store:
        publish(store, "winner")
        buy(store, "winner", 0, {"control": 400, "ten": 700})
    assert run(["programme", "--db", url, "--as-of", "2026-05-01T00:00Z"]) == 0
    assert "The shipped offers bring" in capsys.readouterr().out
    assert run(["programme", "--db", url, "--as-of", "2026-05-01T00:00Z", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["arms"][0]["experiment"] == "winner"
    assert found["total"]["low"] < found["total"]["estimate"] < found["total"]["high"]
