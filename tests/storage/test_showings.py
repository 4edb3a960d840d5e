"""The primary metric by offers shown against a brute force in pandas, on every engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pandas as pd
import pytest
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column as MetricColumn
from offerlift.experiments.metrics import Metric
from offerlift.experiments.records import Exposure, Link, OfferStep, Outcome
from offerlift.experiments.warehouse import AssignmentSource, FactSource, WarehouseTables
from offerlift.storage import Warehouse
from offerlift.storage.maintenance.pruning import prune_store
from offerlift.storage.showings import MOST_SHOWN
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert

from .raw_shop import MOMENT

MORE = ("trial", "points", "bundle")
OFFERS = ("rebate", "small", "slow", "gift", *MORE)
PEOPLE, MOMENTS, WINDOW = 40, 50, 20
REVENUE = Metric("revenue_per_visitor", "revenue", MetricColumn("purchase", "value"))


def shop(seed):
    """Random exposures (some in two arms and phases), steps, orders and links of few visitors at few moments."""
    random = Random(seed)
    visitors = [f"v{i}" for i in range(PEOPLE)]
    exposures = [
        (who, random.randint(1, 2), random.choice("abc"), random.randrange(MOMENTS // 2))
        for who in visitors
        for _ in range(random.choice((0, 1, 1, 2)))
    ]
    steps = [
        (who, random.choice(("delivered", "delivered", "reached")), random.choice(OFFERS), random.randrange(MOMENTS))
        for who in visitors
        for _ in range(random.choice((0, 1, 4, 25)))
    ]
    orders = [
        (f"o{who}{i}", who, random.randrange(MOMENTS), random.randint(1, 90))
        for who in visitors
        for i in range(random.choice((0, 1, 2)))
    ]
    links = [(f"v{i}", f"v{i + 20}", random.randrange(MOMENTS)) for i in range(0, 16, 2)]
    return exposures, steps, orders, links


def expected(exposures, steps, orders, links, as_of, window, *, by_event=False):
    """(number, arm, phase) -> (mature visitors, sum of their revenue)."""
    person = {a: c for a, c, at in links if at <= as_of}

    def of(who):
        return person.get(who, who)

    # Any, as the stubs of pandas know no table by its columns.
    seen: Any = pd.DataFrame(exposures, columns=["who", "phase", "arm", "at"])
    seen = seen[seen["at"] <= as_of].assign(person=lambda one: one["who"].map(of))
    first = seen.sort_values(["at", "phase", "arm"]).drop_duplicates("person").set_index("person")
    end = float("inf") if window is None else window

    def within(rows):
        rows = rows.assign(person=rows["who"].map(of)).join(first["at"].rename("exposed"), on="person", how="inner")
        since = rows["at"] - rows["exposed"]
        return rows[(since >= 0) & (since < end) & (rows["at"] <= as_of)]

    shown: Any = pd.DataFrame(steps, columns=["who", "step", "offer", "at"])
    shown = shown[shown["step"] == "delivered"]
    if by_event:
        first["number"] = within(shown).groupby("person").size()
    else:
        # The store keeps each id's earliest step.
        shown = shown.sort_values("at").drop_duplicates(["who", "offer"])
        first["number"] = within(shown).groupby("person")["offer"].nunique()
    first["number"] = first["number"].fillna(0).clip(upper=MOST_SHOWN).astype(int)
    paid: Any = pd.DataFrame(orders, columns=["key", "who", "at", "value"])
    first["value"] = within(paid).groupby("person")["value"].sum()
    mature = first.fillna({"value": 0})
    if window is not None:
        mature = mature[mature["at"] + window <= as_of]
    found = mature.groupby(["number", "arm", "phase"])["value"].agg(["size", "sum"])
    return {key: (int(n), int(total)) for key, (n, total) in zip(found.index, found.to_numpy(), strict=True)}


def as_read(found):
    """The same shape of what was read."""
    return {
        (number, arm, phase): (one.n, round(one.sum_of("purchase:value")))
        for number, arms in found.moments.items()
        for arm, strata in arms.items()
        for phase, one in enumerate(strata, 1)
        if one.n
    }


def fill(store, published, shop_of_it, at):
    exposures, steps, orders, links = shop_of_it
    store.publish(published)
    store.publish(replace(published, phase=2, version=2))
    written = [
        store.write_exposures(Exposure("exit", who, arm, at(when), phase) for who, phase, arm, when in exposures),
        store.write_offer_steps(OfferStep("exit", who, step, of, at(when)) for who, step, of, when in steps),
        store.write_outcomes(Outcome(key, who, "purchase", at(when), value) for key, who, when, value in orders),
        store.write_links(Link(anonymous, customer, at(when)) for anonymous, customer, when in links),
    ]
    assert not any(one.refused for one in written)


@pytest.fixture
def bought(offering):
    """The experiment of `offering` with more offers, its only metric revenue."""

    def make(window=None, key="exit"):
        published = offering(key, (replace(REVENUE, window_end=window),))
        definition = published.definition
        offers = (*definition.offers, *(replace(definition.offers[0], name=name) for name in MORE))
        return replace(published, definition=replace(definition, offers=offers))

    return make


@pytest.mark.parametrize(("seed", "linked", "window"), [(1, False, WINDOW), (2, True, WINDOW), (3, True, None)])
def test_it_is_what_pandas_finds(store, bought, at, seed, linked, window):
    """By number, arm and phase, at several moments, with and without links of ids and a window."""
    exposures, steps, orders, links = shop(seed)
    made = (exposures, steps, orders, links if linked else [])
    fill(store, bought(window), made, at)
    for as_of in (5, 25, 35, MOMENTS):
        found = store.by_showings("exit", as_of=at(as_of))
        assert as_read(found) == expected(*made, as_of=as_of, window=window)
    assert found.is_recorded
    assert max(found.moments) == MOST_SHOWN


def times(steps):
    """Each step of the brute force's shop that was delivered as an outcome."""
    shown = (one for one in steps if one[1] == "delivered")
    return [(f"s{n}", who, when) for n, (who, _, _, when) in enumerate(shown)]


@pytest.mark.parametrize(("seed", "linked", "window"), [(5, False, None), (6, True, WINDOW)])
def test_each_time_counts_where_an_event_says_so(store, bought, at, seed, linked, window):
    """With a `shown_event` every outcome of it is one, the same offer again too, and steps are not looked at."""
    exposures, steps, orders, links = shop(seed)
    made = (exposures, steps, orders, links if linked else [])
    published = bought(window)
    published = replace(published, definition=replace(published.definition, shown_event="offer_shown"))
    fill(store, published, made, at)
    store.write_outcomes(Outcome(key, who, "offer_shown", at(when)) for key, who, when in times(steps))
    for as_of in (10, 35, MOMENTS):
        found = store.by_showings("exit", as_of=at(as_of))
        assert as_read(found) == expected(*made, as_of=as_of, window=window, by_event=True)
    assert found.event == "offer_shown"
    assert as_read(found) != expected(*made, as_of=MOMENTS, window=window)


LOG = Table("seen", MetaData(), Column("who", String(9)), Column("arm", String(9)), Column("seen_at", MOMENT))
DONE = Table("done", LOG.metadata, Column("who", String(9)), Column("seen_at", MOMENT), Column("paid", Integer))
SHOWN = Table("views", LOG.metadata, Column("who", String(9)), Column("seen_at", MOMENT))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb", "duckdb"])
def test_a_warehouse_counts_the_event(request, tmp_path, bought, at, engine):
    """The same groups as of a store that was told the same; without the event, what to name is said."""
    url = f"{engine}:///{tmp_path / 'shop.db'}"
    if engine in ("postgresql", "mariadb"):
        url = request.getfixturevalue({"mariadb": "new_mariadb_url"}.get(engine, f"{engine}_url"))
    exposures, steps, orders, _ = shop(7)
    made = ([(who, 1, arm, when) for who, _, arm, when in exposures], steps, orders, [])

    def time(when):
        return at(when).replace(tzinfo=None)

    log = [{"who": who, "arm": arm, "seen_at": time(when)} for who, _, arm, when in made[0]]
    done = [{"who": who, "seen_at": time(when), "paid": value} for _, who, when, value in orders]
    shown = [{"who": who, "seen_at": time(when)} for _, who, when in times(steps)]
    writing = create_engine(url)
    with writing.begin() as connection:
        LOG.metadata.create_all(connection)
        connection.execute(insert(LOG), log)
        connection.execute(insert(DONE), done)
        connection.execute(insert(SHOWN), shown)
    writing.dispose()
    definition = replace(bought(WINDOW).definition, shown_event="shown")
    where = {"visitor": "who", "at": "seen_at"}
    paid = FactSource(("done",), None, **where, event="purchase", value="paid", money="major")
    views = FactSource(("views",), None, **where, event="shown")
    tables = WarehouseTables(AssignmentSource(("seen",), None, **where), (paid, views))
    with Warehouse.open(url) as warehouse:
        for as_of in (30, MOMENTS):
            found = warehouse.by_showings(definition, tables, as_of=at(as_of))
            assert as_read(found) == expected(*made, as_of=as_of, window=WINDOW, by_event=True)
        with pytest.raises(InputError, match="A warehouse has no steps") as error:
            warehouse.by_showings(replace(definition, shown_event=None), tables)
    assert "shown_event" in str(error.value.hint)


def test_the_same_offer_again_is_counted_once(memory, bought, at):
    """A store keeps the first time of each offer; what was shown before the exposure is no part of it."""
    memory.publish(bought())
    memory.write_exposures(Exposure("exit", who, "c", at(10)) for who in ("once", "early", "twice"))
    rows = [("once", "small", 11), ("once", "small", 12), ("early", "small", 9), ("stranger", "small", 20)]
    rows += [("twice", "small", 10), ("twice", "gift", 30)]
    memory.write_offer_steps(OfferStep("exit", who, "delivered", offer, at(when)) for who, offer, when in rows)
    found = memory.by_showings("exit", as_of=at(100))
    assert {number: arms["c"][0].n for number, arms in found.moments.items()} == {0: 1, 1: 1, 2: 1}


def test_without_steps_nothing_is_recorded(memory, bought, at):
    """All visitors have seen none, which is no finding."""
    memory.publish(bought())
    memory.write_exposures([Exposure("exit", "v", "b", at(0))])
    found = memory.by_showings("exit", as_of=at(100))
    assert (list(found.moments), found.is_recorded) == ([0], False)


def test_a_holdout_counts_the_offers_of_what_it_covers(memory, bought, make_published, at):
    """Those of the covered experiments together, not of another one."""
    holdout = make_published("nothing", (REVENUE,), arms=("held_out", "offered"))
    memory.publish(replace(holdout, definition=replace(holdout.definition, holdout=True)))
    for key in ("exit", "cart", "apart"):
        published = bought(key=key)
        covers = () if key == "apart" else ("nothing",)
        memory.publish(replace(published, definition=replace(published.definition, holdouts=covers)))
    memory.write_exposures(
        [Exposure("nothing", "kept", "held_out", at(0)), Exposure("nothing", "shown", "offered", at(0))]
    )
    steps = [("exit", "small"), ("cart", "small"), ("cart", "gift"), ("apart", "gift")]
    memory.write_offer_steps(OfferStep(key, "shown", "delivered", offer, at(5)) for key, offer in steps)
    found = memory.by_showings("nothing", as_of=at(100))
    assert found.moments[3]["offered"][0].n == found.moments[0]["held_out"][0].n == 1


def test_what_was_pruned_stays_as_it_was(store, bought, at):
    """What was read before the rows went is read afterwards, to the last bit."""
    published = bought(WINDOW)
    fill(store, published, shop(4), at)
    store.publish(replace(published, phase=2, state="stopped", version=3))
    before = store.by_showings("exit")
    prune_store(store, at(MOMENTS) + timedelta(seconds=1))
    after = store.by_showings("exit")
    assert as_read(after) == as_read(before)
    assert (after.metric, after.most, after.is_recorded) == (before.metric, before.most, True)
