"""Segments that were not planned: which there are, and their rare values together, by a brute force on every engine."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from offerlift.errors import InputError
from offerlift.experiments.records import Exposure, Link, Outcome
from offerlift.experiments.warehouse import AssignmentSource, FactSource, WarehouseTables
from offerlift.reports import scorecard
from offerlift.reports.details import Details
from offerlift.storage import RecordedSegments, Warehouse
from offerlift.storage.exploring import MOST_LISTED
from offerlift.storage.maintenance.pruning import prune_store
from sqlalchemy import Column, MetaData, String, Table, create_engine, insert

from .raw_shop import MOMENT

NAMES = ("referrer", "cart")


@pytest.fixture
def exploring(make_published):
    """An experiment with the planned segment country and the exploratory ones referrer and cart."""

    def make(**changes):
        published = make_published("exit")
        changes = {"segments": ("country",), "exploratory_segments": NAMES} | changes
        return replace(published, definition=replace(published.definition, **changes))

    return make


def shop(seed):
    """Exposures (who, phase, arm, at, referrer), orders and links; few referrers have many visitors, many have one."""
    random = Random(seed)
    visitors = [f"v{i}" for i in range(80)]
    common = [f"site{i}" for i in range(12)]
    exposures = []
    for number, who in enumerate(visitors):
        for phase in random.sample((1, 2), random.choice((1, 1, 2))):
            referrer = random.choice([None, f"rare{number}", *common, *common[:4], *common[:2]])
            exposures.append((who, phase, random.choice("abc"), random.randrange(40), referrer))
    orders = [(f"o{i}", random.choice(visitors), random.randrange(50)) for i in range(60)]
    links = [(f"v{i}", f"v{i + 20}", random.randrange(50)) for i in range(0, 16, 2)]
    return exposures, orders, links


def expected(exposures, orders, links, as_of):
    """(value, phase, arm) -> (visitors, buyers), by hand."""
    person = {a: c for a, c, at in links if at <= as_of}

    def of(who):
        return person.get(who, who)

    first, orders_of = {}, {}
    for who, phase, arm, at, referrer in exposures:
        key = (at, phase, arm, who)
        if at <= as_of and (of(who) not in first or key < first[of(who)][0]):
            first[of(who)] = key, referrer
    for _, who, at in orders:
        orders_of.setdefault(of(who), []).append(at)
    count = Counter(referrer for _, referrer in first.values() if referrer is not None)
    listed = sorted(count, key=lambda one: (-count[one], one))[:MOST_LISTED]
    found = {}
    for who, ((at, phase, arm, _), referrer) in first.items():
        value = "(missing)" if referrer is None else referrer if referrer in listed else "(other)"
        visitors, buyers = found.get((value, phase, arm), (0, 0))
        found[value, phase, arm] = visitors + 1, buyers + any(at <= when <= as_of for when in orders_of.get(who, ()))
    return found


def as_read(breakdown):
    return {
        (value, one.phase, arm): (seen.visitors, round(one.moments["conversion"][arm].sum_of("purchase:converted")))
        for value, strata in breakdown.values.items()
        for one in strata
        for arm, seen in one.arms.items()
        if seen.visitors
    }


def fill(store, published, shop_of_it, at):
    exposures, orders, links = shop_of_it
    store.publish(published)
    store.publish(replace(published, phase=2, version=2))
    records = (
        Exposure("exit", who, arm, at(when), phase, segments={"referrer": value, "country": "DE"})
        for who, phase, arm, when, value in exposures
    )
    written = [
        store.write_exposures(records),
        store.write_outcomes(Outcome(key, who, "purchase", at(when), 9) for key, who, when in orders),
        store.write_links(Link(anonymous, customer, at(when)) for anonymous, customer, when in links),
    ]
    assert not any(one.refused or one.segments_dropped for one in written)


@pytest.mark.parametrize(("seed", "linked"), [(1, False), (2, True)])
def test_the_frequent_values_are_listed_and_the_others_one_group(store, exploring, at, seed, linked):
    """By value, phase and arm, at several moments, with and without links of ids; ties go by name."""
    exposures, orders, links = shop(seed)
    made = (exposures, orders, links if linked else [])
    fill(store, exploring(), made, at)
    for as_of in (3, 20, 50):
        found = store.breakdown("exit", "referrer", as_of=at(as_of), grouped=True)
        assert as_read(found) == expected(*made, as_of)
    assert len(found.values) == MOST_LISTED + 2
    assert len(store.breakdown("exit", "referrer", as_of=at(50)).values) > MOST_LISTED + 2


def test_an_attribute_that_is_no_category_is_refused(store, exploring, at):
    """Where the frequent values have hardly any visitor, the error says so and what to record instead."""
    store.publish(exploring())
    records = [Exposure("exit", f"v{n}", "a", at(n), segments={"cart": n}) for n in range(100)]
    store.write_exposures(records)
    with pytest.raises(InputError, match="'cart' has 100 values, and the 9 most frequent have 9 of the 100") as error:
        store.breakdown("exit", "cart", grouped=True)
    assert "bands" in str(error.value.hint)
    assert store.breakdown("exit", "referrer", grouped=True).values.keys() == {"(missing)"}


def test_what_was_planned_is_what_the_start_named(memory, exploring):
    """Later versions add to what is exploratory, their `segments` too; what they drop stays what it was."""
    draft = replace(exploring(segments=("draft",)), state="draft", phase=0)
    memory.publish(draft)
    assert memory.recorded_segments("exit") == RecordedSegments(("draft",), NAMES)
    memory.publish(replace(exploring(), version=2))
    assert memory.recorded_segments("exit") == RecordedSegments(("country",), ("draft", *NAMES))
    memory.publish(replace(exploring(segments=("late",), exploratory_segments=("cart",)), version=3))
    assert memory.recorded_segments("exit") == RecordedSegments(("country",), ("draft", *NAMES, "late"))
    for name in ("country", "draft", "late", "referrer"):
        assert memory.breakdown("exit", name).values == {}
    with pytest.raises(InputError, match="no segment 'refererr'") as error:
        memory.breakdown("exit", "refererr")
    assert "referrer" in str(error.value.hint)


def test_what_was_pruned_stays_as_it_was(store, exploring, at):
    """The same groups are read before and after the rows went; one that was refused has none."""
    published = exploring()
    fill(store, published, shop(3), at)
    store.write_exposures(Exposure("exit", f"w{n}", "a", at(0), segments={"cart": n}) for n in range(100))
    store.publish(replace(published, phase=2, state="stopped", version=3))
    before = store.breakdown("exit", "referrer", grouped=True)
    prune_store(store, at(60_000_000))
    assert as_read(store.breakdown("exit", "referrer", grouped=True)) == as_read(before)
    with pytest.raises(InputError, match="nothing is kept by segment 'cart'"):
        store.breakdown("exit", "cart", grouped=True)


LOG = Table(
    "seen", MetaData(), *(Column(name, String(40)) for name in ("who", "arm", "agent")), Column("seen_at", MOMENT)
)
DONE = Table("done", LOG.metadata, *(Column(name, String(40)) for name in ("who", "event")), Column("seen_at", MOMENT))
WHERE = {"visitor": "who", "at": "seen_at"}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb", "duckdb"])
def test_a_warehouse_explores_the_columns_that_it_names(request, tmp_path, exploring, at, engine):
    """Rare values are one group there too, and the scorecard labels the column as exploratory."""
    url = f"{engine}:///{tmp_path / 'shop.db'}"
    if engine in ("postgresql", "mariadb"):
        url = request.getfixturevalue({"mariadb": "new_mariadb_url"}.get(engine, f"{engine}_url"))
    random = Random(5)
    agents = [f"browser{min(int(random.expovariate(0.25)), 14)}" for _ in range(300)]
    moments = [at(number).replace(tzinfo=None) for number in range(300)]
    people = [{"who": f"v{n}", "arm": "ab"[n % 2], "agent": agents[n], "seen_at": moments[n]} for n in range(300)]
    orders = [{"who": f"v{n}", "event": "purchase", "seen_at": moments[n]} for n in range(0, 300, 3)]
    writing = create_engine(url)
    with writing.begin() as connection:
        LOG.metadata.create_all(connection)
        connection.execute(insert(LOG), people)
        connection.execute(insert(DONE), orders)
    writing.dispose()
    definition = exploring(segments=(), exploratory_segments=("browser",)).definition
    definition = replace(definition, metrics=definition.metrics[:1])
    tables = WarehouseTables(
        AssignmentSource(("seen",), None, **WHERE, segments={"browser": "agent"}),
        (FactSource(("done",), None, **WHERE, event_column="event"),),
    )
    count = Counter(agents)
    listed = sorted(count, key=lambda one: (-count[one], one))[:MOST_LISTED]
    with Warehouse.open(url) as warehouse:
        found = warehouse.breakdown(definition, tables, "browser", as_of=at(1_000), grouped=True)
        observations = warehouse.observations(definition, tables, as_of=at(1_000))
        card = scorecard(observations, None, Details.of_warehouse(warehouse, tables, observations))
    visitors = {value: sum(arm.visitors for arm in strata[0].arms.values()) for value, strata in found.values.items()}
    assert visitors == {one: count[one] for one in listed} | {"(other)": 300 - sum(count[one] for one in listed)}
    (part,) = card.offers.segments
    assert (part.segment, part.label, part.status) == ("browser", "exploratory", "ok")
    # Arm c has nobody.
    assert {row.value: row.n for row in part.rows if row.arm == "b"} == visitors
