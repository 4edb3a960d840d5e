"""Removing what is old and not read any more."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.errors import InputError
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.records import Exposure, Outcome
from offerlift.reports import scorecard
from offerlift.storage import read_table, tables
from offerlift.storage.importing import import_table
from offerlift.storage.maintenance import pruning, unneeded
from offerlift.storage.maintenance.inventory import take_inventory
from offerlift.storage.maintenance.pruning import plan_pruning, prune_store
from sqlalchemy import insert, select, update

from .conftest import METRICS, as_before, day

BEFORE = day(90)


def card(store, key):
    """The scorecard as JSON, without the moment of its making."""
    return {name: value for name, value in scorecard(store.observations(key)).to_dict().items() if name != "as_of"}


def test_scorecards_stay_as_they_are(shop, column):
    """Of the stopped experiment and of the running one: only rows that neither reads any more have gone."""
    before = card(shop, "old"), card(shop, "new")
    done = prune_store(shop, BEFORE)
    assert as_before(shop, (card(shop, "old"), card(shop, "new")), before)
    assert before[0]["arms"][0]["visitors"] == 10
    assert before[1]["arms"][0]["visitors"] == 5
    assert (done.outcomes, done.needed) == (12, 3)
    assert column("outcome", "outcome_id") == ["n1", "o0", "o2", "o4", "p1"]
    assert len(column("exposure", "visitor_id")) == 10
    assert len(column("covariate", "value")) == 30
    (old,) = (one for one in take_inventory(shop).experiments if one.experiment == "old")
    assert (old.pruned, old.visitors) == (True, 0)


def test_a_plan_says_what_goes_and_changes_nothing(shop, column):
    """The same figures as the pruning itself, and every row is still there."""
    plan = plan_pruning(shop, BEFORE)
    assert (len(column("exposure", "visitor_id")), len(column("outcome", "at"))) == (40, 17)
    assert take_inventory(shop).pruned_before is None
    done = prune_store(shop, BEFORE)
    assert replace(done, done=False) == plan
    assert [(one.experiment, one.exposures, one.kept is None) for one in plan.experiments] == [
        ("new", 0, False),
        ("old", 30, True),
    ]


def test_attributes_go_with_their_exposures(shop, column):
    """Segments of the pruned experiment are counted and removed, those of others stay."""
    with shop.engine.begin() as connection:
        keys = select(tables.experiment.c.key, tables.experiment.c.id)
        number = dict(connection.execute(keys).all())
        whose = connection.scalars(select(tables.visitor.c.id).where(tables.visitor.c.key == "v3")).one()
        for key in ("old", "new"):
            row = {"experiment_id": number[key], "phase": 1, "visitor_id": whose, "name_id": 1, "value": key}
            connection.execute(insert(tables.segment), row)
    (_, old) = plan_pruning(shop, BEFORE).experiments
    assert old.segments == 1
    prune_store(shop, BEFORE)
    assert column("segment", "value") == ["new"]


@pytest.mark.parametrize(
    ("state", "before", "reason"),
    [
        ("running", BEFORE, "it is running"),
        ("paused", BEFORE, "it is paused"),
        ("stopped", day(1), "its last exposure is of 2026-01-02"),
    ],
)
def test_what_is_not_over_stays(memory, make_published, state, before, reason):
    """An experiment that is not stopped, or has an exposure that is not older than the date, is kept whole."""
    published = make_published("old", METRICS)
    memory.publish(replace(published, state=state))
    memory.write_exposures([Exposure("old", "v", "a", day(0)), Exposure("old", "w", "b", day(1))])
    done = prune_store(memory, before)
    assert [reason in one.kept for one in done.experiments] == [True]
    inventory = take_inventory(memory)
    assert (inventory.experiments[0].visitors, inventory.pruned_before) == (2, None)


def test_an_open_window_is_waited_for(memory, make_published):
    """Exposures whose window has not closed stay, however old the date allows them to be."""
    now = datetime.now(UTC)
    memory.publish(replace(make_published("old", METRICS), state="stopped"))
    memory.write_exposures([Exposure("old", "v", "a", now - timedelta(days=6))])
    (kept,) = prune_store(memory, now - timedelta(days=1)).experiments
    assert "window closes" in kept.kept
    memory.write_exposures([Exposure("old", "v", "a", now - timedelta(days=8))])
    (gone,) = prune_store(memory, now - timedelta(days=1)).experiments
    assert gone.kept is None


def test_refunds_are_waited_for(memory, make_published):
    """A metric that counts refunds after its window is open until the last of them can have come."""
    now = datetime.now(UTC)
    metric = replace(METRICS[0], refund_window=3 * 86_400 * 1_000_000)
    memory.publish(replace(make_published("old", (metric,)), state="stopped"))
    memory.write_exposures([Exposure("old", "v", "a", now - timedelta(days=9))])
    (kept,) = plan_pruning(memory, now).experiments
    assert "window closes" in kept.kept
    memory.write_exposures([Exposure("old", "v", "a", now - timedelta(days=11))])
    assert plan_pruning(memory, now).pruned


def test_every_window_is_waited_for():
    """A metric has no other window than those that a pruning looks at."""
    windows = {one.name for one in fields(Metric) if "window" in one.name}
    assert windows == {"window_start", "window_end", "refund_window"}, "pruning._ends has to look at the new one, too"


def test_breakdowns_stay_as_they_are(store, make_published):
    """By each segment, a pruned experiment's visitors and moments are those of before; what is not kept is refused."""
    published = make_published("old", METRICS)
    published = replace(published, definition=replace(published.definition, segments=("country", "device")))
    store.publish(published)
    store.write_exposures(
        Exposure("old", f"v{i}", "ab"[i % 2], day(1), segments={"country": ("DE", "SE")[i % 3 == 0], "device": "phone"})
        for i in range(20)
    )
    store.write_outcomes(Outcome(i, f"v{i}", "purchase", day(2), value=Decimal(i)) for i in range(20))
    store.publish(replace(published, state="stopped", version=2))

    def counted(segment):
        return {
            value: [
                (stratum.phase, stratum.arms, [(m.n, m.mean.tolist(), m.m2.tolist()) for m in by_arm.values()])
                for stratum in strata
                for by_arm in stratum.moments.values()
            ]
            for value, strata in store.breakdown("old", segment).values.items()
        }

    before = counted("country"), counted("device")
    visitors = store.visitors_by("old", "country")
    assert sum(visitors["DE"][1].values()) + sum(visitors["SE"][1].values()) == 20
    assert set(before[0]) == {"DE", "SE"}
    prune_store(store, BEFORE)
    assert (counted("country"), counted("device")) == before
    assert store.visitors_by("old", "country") == visitors
    for read in (store.cumulative, store.since_exposure, store.distributions):
        with pytest.raises(InputError, match="on which day is not kept"):
            read("old")
    with pytest.raises(InputError, match="nothing is kept by segment 'language'"):
        store.breakdown("old", "language")
    with pytest.raises(InputError, match="were pruned"):
        store.breakdown("old", "country", as_of=day(200))


def test_a_metric_without_window_is_named(memory, make_published):
    """It would have gone on counting; the plan says that it ends with the pruning."""
    endless = Metric("conversion", "conversion", Column("purchase", "converted"))
    memory.publish(replace(make_published("old", (endless,)), state="stopped"))
    memory.write_exposures([Exposure("old", "v", "a", day(1))])
    assert plan_pruning(memory, BEFORE).pruned[0].endless == ("conversion",)


def test_linked_visitors_are_one_person(shop, link, column):
    """Outcomes of an id stay if a link, however many steps away, leads to a visitor of another experiment, and go if it
    leads to one of a pruned experiment only."""
    for anonymous, customer in (("x1", "x2"), ("x2", "x3"), ("x3", "v1"), ("v20", "y1"), ("y2", "y1")):
        link(shop, anonymous, customer)
    shop.write_outcomes(Outcome(f"of-{who}", who, "purchase", day(3)) for who in ("x1", "x2", "y1", "y2", "z"))
    assert prune_store(shop, BEFORE).outcomes == 14
    left = column("outcome", "outcome_id")
    assert [one for one in left if one.startswith("of-")] == ["of-x1", "of-x2", "of-z"]


def test_a_refund_stays_with_its_original(shop, column):
    """A refund goes with its original, stays with one that is needed, however late, and goes alone."""
    shop.write_outcomes(Outcome(f"r{i}", f"v{20 + i}", "purchase", day(4), value=Decimal(1)) for i in range(3))
    shop.write_outcomes([Outcome("r3", "v4", "purchase", day(30), value=Decimal(1))])
    with shop.engine.begin() as connection:
        for refund, original in (("r0", "o22"), ("r1", "o2"), ("r2", "not stored"), ("r3", "o4")):
            own = tables.outcome.c.outcome_id == refund
            connection.execute(update(tables.outcome).where(own).values(refund_of=original))
    assert plan_pruning(shop, BEFORE).outcomes == 14
    assert prune_store(shop, BEFORE).outcomes == 14
    left = column("outcome", "outcome_id")
    assert "o22" not in left
    assert [one for one in left if one.startswith("r")] == ["r1", "r3"]


def test_what_was_pruned_does_not_come_back(shop, column):
    """Delivered again, pruned outcomes and exposures are refused and counted; what is still stored is a repeat."""
    prune_store(shop, BEFORE)
    again = [Outcome(f"o{i}", f"v{i}", "purchase", day(2), value=Decimal(i * 137 + 5) / 100) for i in range(0, 30, 2)]
    result = shop.write_outcomes([*again, Outcome("later", "v1", "purchase", BEFORE)])
    assert (result.new, result.repeated, len(result.refused)) == (1, 3, 12)
    assert "is older than 2026-04-01" in result.refused[0].message
    gone = [
        Exposure("old", "v1", "b", day(1)),
        Exposure("new", "v6", "a", day(2)),
        Exposure("new", "late", "a", day(2)),
    ]
    stored = [
        Exposure("new", "v1", "b", day(1)),
        Exposure("new", "v1", "b", day(2)),
        Exposure("new", "v7", "b", day(160)),
    ]
    result = shop.write_exposures([*gone, *stored, Exposure("new", "v7", "b", BEFORE)])
    assert (result.new, result.repeated, result.changed, len(result.refused)) == (0, 3, 1, 3)
    assert len(column("exposure", "at")) == 10


def test_the_horizon_only_rises(shop):
    """A pruning up to an earlier date takes nothing back of what a later one has settled."""
    prune_store(shop, BEFORE)
    shop.write_exposures([Exposure("old", "x", "a", day(100))])
    prune_store(shop, day(120))
    assert take_inventory(shop).pruned_before == day(120)
    prune_store(shop, day(50))
    assert take_inventory(shop).pruned_before == day(120)
    assert take_inventory(shop).experiments[1].visitors == 0


@pytest.mark.parametrize("step", ["_keep", "raise_horizon", "_delete"])
def test_an_interrupted_pruning_is_finished_by_the_next(shop, column, monkeypatch, step):
    """Killed between any two of its transactions, it leaves the same report, and the next one removes the rest."""
    before = card(shop, "old"), card(shop, "new")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pruning, step, killed)
        with pytest.raises(KeyboardInterrupt):
            prune_store(shop, BEFORE)
    assert as_before(shop, (card(shop, "old"), card(shop, "new")), before)
    prune_store(shop, BEFORE)
    assert as_before(shop, (card(shop, "old"), card(shop, "new")), before)
    assert (len(column("exposure", "at")), len(column("outcome", "at"))) == (10, 5)


def test_parts_add_up(shop, column, monkeypatch):
    """Removed three visitors at a time, the same rows go."""
    monkeypatch.setattr(unneeded, "PART", 3)
    monkeypatch.setattr(pruning, "PIECE", 3)
    plan = plan_pruning(shop, BEFORE)
    assert (plan.outcomes, plan.needed) == (12, 3)
    assert prune_store(shop, BEFORE).outcomes == 12
    assert (len(column("exposure", "at")), len(column("outcome", "at"))) == (10, 5)


def test_a_date_to_come_is_refused(memory):
    """What has not happened yet cannot be old."""
    with pytest.raises(InputError, match="not all happened"):
        prune_store(memory, datetime.now(UTC) + timedelta(hours=1))


def test_a_pruned_experiment_is_not_audited(shop):
    """The audit says that there is nothing left to compute, not that nothing is wrong."""
    prune_store(shop, BEFORE)
    with pytest.raises(InputError, match="were pruned"):
        shop.audit("old")
    assert shop.audit("new").checked == 10


def test_a_pruned_table_that_is_imported_again_leaves_nothing(store, write):
    """Each of its rows is refused once, and what it says of orders and covariates is not stored either."""
    content = "visitor,arm,bought,before\n" + "".join(f"v{i},{'ab'[i % 2]},{i % 3 == 0:d},{i}\n" for i in range(6))
    columns = {"key": "mailing", "arm": "arm", "control": "a", "visitor": "visitor", "conversion": "bought"}
    table = read_table(write(content), **columns, covariate="before")
    assert import_table(store, table).new == 6
    prune_store(store, datetime.now(UTC))
    more = read_table(write(content + "v6,a,1,6\n"), **columns, covariate="before")
    again = import_table(store, more)
    assert (again.read, again.new, again.refused) == (7, 0, 7)
    with store.engine.connect() as connection:
        found = connection.execute(select(tables.covariate)).all()
        assert len(found) == 6
        assert connection.execute(select(tables.outcome)).all() == []
