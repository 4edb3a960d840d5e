"""The funnel against a brute force in pandas, on every engine, and where there is nothing to see."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pandas as pd
import pytest
from offerlift.experiments.records import Exposure, Link, OfferStep
from offerlift.experiments.steps import STEPS
from offerlift.storage import Warehouse
from offerlift.storage.maintenance.pruning import prune_store

OFFERS = ("rebate", "small", "slow", "gift")
REASONS = {
    "withheld": ("min_margin", "frequency_cap"),
    "undelivered": ("bounced", None),
    "declined": ("too_expensive", None),
}
PEOPLE, MOMENTS = 40, 50


def shop(seed):
    """Random exposures (some in two arms and phases), steps and links, of few visitors at few moments."""
    random = Random(seed)
    visitors = [f"v{i}" for i in range(PEOPLE)]
    exposures = [
        (who, random.randint(1, 2), random.choice("abc"), random.randrange(MOMENTS))
        for who in visitors
        for _ in range(random.choice((0, 1, 1, 2)))
    ]
    steps = [
        (who, step, random.choice(OFFERS), random.randrange(MOMENTS), random.choice(REASONS.get(step, (None,))))
        for who in visitors
        for step in STEPS
        for _ in range(random.choice((0, 0, 1, 3)))
    ]
    links = [(f"v{i}", f"v{i + 20}", random.randrange(MOMENTS)) for i in range(0, 12, 2)]
    return exposures, steps, links


def expected(exposures, steps, links, as_of):
    """(phase, arm) -> (visitors, {step: visitors}, {(offer, step): visitors}, {(offer, step, reason): visitors})."""
    person = {a: c for a, c, at in links if at <= as_of}

    def of(who):
        return person.get(who, who)

    # Any, as the stubs of pandas know no table by its columns.
    seen: Any = pd.DataFrame(exposures, columns=["who", "phase", "arm", "at"])
    seen = seen[seen["at"] <= as_of].assign(person=lambda one: one["who"].map(of))
    first = seen.sort_values(["at", "phase", "arm"]).drop_duplicates("person").set_index("person")
    taken: Any = pd.DataFrame(steps, columns=["who", "step", "offer", "at", "reason"])
    taken = taken.assign(person=taken["who"].map(of), unknown=taken["reason"].isna())
    # The store keeps each id's earliest step, whenever the exposure was.
    order = ["at", "unknown", "reason"]
    taken = taken.sort_values(order).drop_duplicates(["who", "step", "offer"])
    taken = taken.join(first[["phase", "arm", "at"]].rename(columns={"at": "exposed"}), on="person", how="inner")
    taken = taken[(taken["at"] >= taken["exposed"]) & (taken["at"] <= as_of)]
    taken = taken.sort_values(order).drop_duplicates(["person", "step", "offer"])
    found = {}
    for key, own in first.groupby(["phase", "arm"]):
        mine = taken[(taken["phase"] == key[0]) & (taken["arm"] == key[1])]
        found[key] = (
            len(own),
            mine.groupby("step")["person"].nunique().to_dict(),
            mine.groupby(["offer", "step"])["person"].nunique().to_dict(),
            mine.dropna(subset="reason").groupby(["offer", "step", "reason"])["person"].nunique().to_dict(),
        )
    return found


def as_read(funnel):
    """The same shape of a funnel's phases, arms without visitors left out."""
    return {
        (phase, arm): (
            one.visitors,
            dict(one.steps),
            {(offer, step): count.visitors for offer, of in one.offers.items() for step, count in of.items()},
            {
                (offer, step, reason): number
                for offer, of in one.offers.items()
                for step, count in of.items()
                for reason, number in count.reasons.items()
            },
        )
        for phase, arms in funnel.phases.items()
        for arm, one in arms.items()
        if one.visitors
    }


def fill(store, published, exposures, steps, links, at):
    store.publish(published)
    store.publish(replace(published, phase=2, version=2))
    store.write_exposures(Exposure("exit", who, arm, at(when), phase) for who, phase, arm, when in exposures)
    result = store.write_offer_steps(OfferStep("exit", who, step, of, at(w), why) for who, step, of, w, why in steps)
    assert not result.refused
    store.write_links(Link(anonymous, customer, at(when)) for anonymous, customer, when in links)


@pytest.mark.parametrize(("seed", "linked"), [(1, False), (2, True), (3, True)])
def test_the_funnel_is_what_pandas_finds(store, offering, at, seed, linked):
    """By phase, arm, step, offer and reason, at several moments, with and without links of ids."""
    exposures, steps, links = shop(seed)
    links = links if linked else []
    fill(store, offering(), exposures, steps, links, at)
    for as_of in (5, 25, MOMENTS):
        funnel = store.funnel("exit", as_of=at(as_of))
        wanted = expected(exposures, steps, links, as_of)
        assert as_read(funnel) == wanted
        for arm, total in funnel.arms.items():
            assert total.visitors == sum(one[0] for (_, of), one in wanted.items() if of == arm)
            for step in STEPS:
                assert total.steps.get(step, 0) == sum(
                    one[1].get(step, 0) for (_, of), one in wanted.items() if of == arm
                )
    assert funnel.note == ""


def test_several_alternatives_are_counted_each(memory, offering, at):
    """Who refused one and took another is counted with each of them, and once among those who accepted."""
    memory.publish(offering())
    memory.write_exposures(Exposure("exit", who, "c", at(0)) for who in ("v", "w"))
    memory.write_offer_steps(
        [
            OfferStep("exit", "v", "declined", "small", at(1), "too_expensive"),
            OfferStep("exit", "v", "accepted", "gift", at(2)),
            OfferStep("exit", "v", "accepted", "slow", at(3)),
            OfferStep("exit", "w", "undelivered", "small", at(3)),
        ]
    )
    arm = memory.funnel("exit").arms["c"]
    assert (arm.visitors, dict(arm.steps)) == (2, {"undelivered": 1, "accepted": 1, "declined": 1})
    assert list(arm.steps) == ["undelivered", "accepted", "declined"]
    assert {offer: {step: one.visitors for step, one in of.items()} for offer, of in arm.offers.items()} == {
        "gift": {"accepted": 1},
        "slow": {"accepted": 1},
        "small": {"undelivered": 1, "declined": 1},
    }
    assert arm.offers["small"]["declined"].reasons == {"too_expensive": 1}
    assert arm.offers["small"]["undelivered"].reasons == {}


def test_nothing_recorded_is_said(memory, offering, at):
    """All arms are there with their visitors, no step, and a sentence says why; without an exposure, too."""
    memory.publish(offering())
    assert [one.visitors for one in memory.funnel("exit").arms.values()] == [0, 0, 0]
    memory.write_exposures([Exposure("exit", "v", "b", at(0))])
    funnel = memory.funnel("exit")
    assert [(arm, one.visitors, dict(one.steps)) for arm, one in funnel.arms.items()] == [
        ("a", 0, {}),
        ("b", 1, {}),
        ("c", 0, {}),
    ]
    assert "No step of an offer was recorded" in funnel.note


def test_a_warehouse_says_that_it_has_none(offering, tmp_path):
    """Its funnel is empty, and the note says why."""
    import sqlite3

    sqlite3.connect(tmp_path / "w.db").close()
    with Warehouse.open(f"sqlite:///{tmp_path / 'w.db'}") as warehouse:
        funnel = warehouse.funnel(offering().definition, None)
    assert (dict(funnel.arms), "A warehouse has no steps" in funnel.note) == ({}, True)


def test_a_pruned_funnel_stays_as_it_was(store, offering, at):
    """What was read before the rows went is read afterwards; an earlier moment is refused."""
    exposures, steps, _ = shop(4)
    published = offering()
    fill(store, published, exposures, steps, [], at)
    store.publish(replace(published, phase=2, state="stopped", version=3))
    before = store.funnel("exit")
    prune_store(store, at(MOMENTS * 1_000_000))
    after = store.funnel("exit")
    assert (after.arms, after.phases, after.note) == (before.arms, before.phases, "")
    assert sum(one.visitors for one in after.arms.values()) > 0
    with pytest.raises(Exception, match="were pruned"):
        store.funnel("exit", as_of=at(3))
