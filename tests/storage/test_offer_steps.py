"""Writing the steps of offers: once each, in any order, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest
from offerlift.cli.app import run
from offerlift.errors import InputError
from offerlift.experiments.records import OfferStep
from offerlift.storage import import_offer_steps, read_offer_steps, tables
from offerlift.storage.maintenance.pruning import prune_store
from offerlift.storage.store import Store
from sqlalchemy import func, select

from .conftest import START


def rows(store: Store) -> list[tuple[object, ...]]:
    """What is stored: visitor, step, offer, microseconds since the start, reason."""
    step, offer, reason = tables.offer_step, tables.name.alias(), tables.name.alias()
    statement = (
        select(tables.visitor.c.key, step.c.step, offer.c.key, step.c.at, reason.c.key)
        .join(tables.visitor, tables.visitor.c.id == step.c.visitor_id)
        .join(offer, offer.c.id == step.c.offer_id)
        .outerjoin(reason, reason.c.id == step.c.reason_id)
    )
    start = int(START.timestamp()) * 1_000_000
    with store.engine.connect() as connection:
        return sorted((who, step, of, at - start, why) for who, step, of, at, why in connection.execute(statement))


def test_the_earliest_counts_in_any_order(store, offering, at):
    """Of a visitor's step with an offer one row stays: the earliest, of one moment the one with the first reason."""
    store.publish(offering())
    said = [(30, "late"), (20, None), (20, "price"), (20, "colour")]
    for number, order in enumerate(permutations(said)):
        who = f"v{number}"
        for micros, reason in order:
            store.write_offer_steps([OfferStep("exit", who, "declined", "rebate", at(micros), reason)])
        # And all of them in one batch.
        store.write_offer_steps(
            OfferStep("exit", f"w{number}", "declined", "rebate", at(micros), why) for micros, why in order
        )
    expected = sorted(
        (f"{kind}{n}", "declined", "rebate", 20, "colour")
        for kind in "vw"
        for n in range(len(list(permutations(said))))
    )
    assert rows(store) == expected


def test_a_repeat_changes_nothing(store, offering, at):
    """Written again, every record is a repeat; other steps, offers and visitors are rows of their own."""
    store.publish(offering())
    steps = [
        OfferStep("exit", "v", "delivered", "small", at(1)),
        OfferStep("exit", "v", "accepted", "gift", at(2)),
        OfferStep("exit", "v", "declined", "small", at(2), "too_expensive"),
        OfferStep("exit", "V", "delivered", "small", at(1)),
        OfferStep("exit", "w", "withheld", "rebate", at(1), "min_margin"),
        OfferStep("exit", "x", "undelivered", "rebate", at(1), "bounced"),
    ]
    assert store.write_offer_steps(steps).new == 6
    before = rows(store)
    again = store.write_offer_steps([*steps, *steps])
    assert (again.new, again.changed, again.repeated) == (0, 0, 12)
    assert rows(store) == before
    assert len(before) == 6
    earlier = store.write_offer_steps([OfferStep("exit", "v", "accepted", "gift", at(1))])
    assert (earlier.new, earlier.changed, earlier.repeated) == (0, 1, 0)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (("other", "v", "accepted", "rebate"), "unknown experiment 'other'"),
        (("exit", "v", "accepted", "Rebate"), "unknown offer 'Rebate' of 'exit'; its offers are 'gift', 'rebate'"),
        (("exit", "", "accepted", "rebate"), "a visitor id"),
        (("exit", "v", "bought", "rebate"), "one of reached, withheld"),
        (("exit", "v", "accepted", "rebate", "why"), "has no reason"),
        (("exit", "v", "withheld", "rebate"), "needs its guard"),
        (("exit", "v", "declined", "rebate", "a\nb"), "printable"),
    ],
)
def test_what_cannot_be_is_refused_alone(memory, offering, at, record, message):
    """Each such record is refused with its reason, and the one beside it is stored."""
    memory.publish(offering())
    key, who, step, offer, *reason = record
    wrong = OfferStep(key, who, step, offer, at(1), *reason)
    result = memory.write_offer_steps([wrong, OfferStep("exit", "v", "reached", "rebate", at(1))])
    assert (result.new, [one.index for one in result.refused]) == (1, [0])
    assert message in result.refused[0].message


def test_two_writers_of_one_row(store, offering, at, monkeypatch):
    """A writer that was overtaken repeats its transaction, and the earlier step is the one that stays."""
    from offerlift.storage import offer_steps

    store.publish(offering())
    read = offer_steps._read
    store.write_offer_steps([OfferStep("exit", "v", "reached", "rebate", at(9))])
    calls = []

    def overtaken(connection, *arguments):
        calls.append(1)
        found = read(connection, *arguments)
        # As if the row had come after this transaction looked.
        return {} if len(calls) == 1 else found

    monkeypatch.setattr(offer_steps, "_read", overtaken)
    result = store.write_offer_steps([OfferStep("exit", "v", "reached", "rebate", at(5))])
    assert (result.changed, len(calls)) == (1, 2)
    assert rows(store) == [("v", "reached", "rebate", 5, None)]


CONTENT = """who,what,which,when,why
v1,delivered,rebate,2026-03-02T10:00:00Z,
v1,declined,rebate,2026-03-02T10:01:00+00:00,too_expensive
v2,undelivered,small,2026-03-02T10:00:00Z,bounced
v3,accepted,nothing,2026-03-02T10:00:00Z,
v4,bought,rebate,2026-03-02T10:00:00Z,
v5,accepted,rebate,2026-03-02 10:00:00,
"""
COLUMNS = {"visitor": "who", "step": "what", "offer": "which", "at": "when", "reason": "why"}


@pytest.fixture(params=["csv", "parquet"])
def step_file(request, write: Callable[..., Path], tmp_path: Path) -> Path:
    if request.param == "csv":
        return write(CONTENT)
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    header, *lines = (line.split(",") for line in CONTENT.splitlines())
    columns = dict(zip(header, zip(*lines, strict=True), strict=True))
    pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), tmp_path / "steps.parquet")
    return tmp_path / "steps.parquet"


def test_a_file_of_steps(memory, offering, step_file):
    """Good rows are stored, the others listed with their reason; the same file again changes nothing."""
    memory.publish(offering())
    report = import_offer_steps(memory, read_offer_steps(step_file, experiment="exit", **COLUMNS))
    assert (report.read, report.new, report.refused) == (6, 3, 3)
    assert [("unknown offer", "one of reached", "offset")[i] in one.reason for i, one in enumerate(report.rejects)] == [
        True
    ] * 3
    again = import_offer_steps(memory, read_offer_steps(step_file, experiment="exit", **COLUMNS))
    assert (again.new, again.repeated, again.refused) == (0, 3, 3)
    assert [(who, step, why) for who, step, _, _, why in rows(memory)] == [
        ("v1", "declined", "too_expensive"),
        ("v1", "delivered", None),
        ("v2", "undelivered", "bounced"),
    ]


def test_the_command_imports_steps(tmp_path, offering, write, monkeypatch, capsys):
    """`offerlift import steps` says what it did, lists what it refused, and exits with 1 then."""
    monkeypatch.chdir(tmp_path)
    with Store.open("shop.db") as store:
        store.publish(offering())
    path = write(CONTENT, "steps.csv")
    options = [word for name, column in COLUMNS.items() for word in (f"--{name}", column)]
    assert run(["import", "steps", str(path), "--experiment", "exit", "--db", "shop.db", *options]) == 1
    assert "6 rows read: 3 new, 0 changed, 0 repeated, 3 refused" in capsys.readouterr().out
    assert "unknown offer" in (tmp_path / "steps.csv.rejects.csv").read_text()
    assert run(["import", "steps", str(path), "--db", "shop.db"]) == 2


def test_pruned_steps_do_not_come_back(store, offering, at):
    """What is from before the pruning is refused, of visitors who were never exposed as well; later steps are taken."""
    from dataclasses import replace

    from offerlift.experiments.records import Exposure

    published = offering()
    store.publish(published)
    store.write_exposures([Exposure("exit", "v", "b", at(1))])
    steps = [OfferStep("exit", who, "reached", "rebate", at(2)) for who in ("v", "stranger")]
    store.write_offer_steps(steps)
    store.publish(replace(published, state="stopped", version=2))
    limit = at(3_600_000_000)
    (plan,) = prune_store(store, limit).experiments
    assert plan.offer_steps == 2
    assert rows(store) == []
    result = store.write_offer_steps([*steps, OfferStep("exit", "v", "reached", "rebate", limit)])
    assert (result.new, len(result.refused)) == (1, 2)
    assert "was pruned" in result.refused[0].message


def test_the_time_of_receipt_is_kept(memory, offering, at):
    """It is that of the first writing, and no content."""
    memory.publish(offering())
    for _ in range(2):
        memory.write_offer_steps([OfferStep("exit", "v", "reached", "rebate", at(1))])
    with memory.engine.connect() as connection:
        assert connection.scalars(select(func.count()).select_from(tables.offer_step)).one() == 1
        (received,) = connection.scalars(select(tables.offer_step.c.received_at))
    assert abs(received / 1e6 - datetime.now(UTC).timestamp()) < 600


def test_a_naive_time_is_refused(memory, offering, write):
    """As everywhere: a time needs its zone; and a file's rows need their experiment."""
    memory.publish(offering())
    result = memory.write_offer_steps([OfferStep("exit", "v", "reached", "rebate", START.replace(tzinfo=None))])
    assert "time zone" in result.refused[0].message
    with pytest.raises(InputError, match="either experiment or experiment_column"):
        read_offer_steps(write(CONTENT))
