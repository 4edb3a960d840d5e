"""Imports: good rows are in, bad ones are listed, the same file again changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.experiments.records import Exposure
from offerlift.storage import import_exposures, import_outcomes, import_table, read_exposures, read_outcomes, read_table

HEADER = "who,arm,spent,bought,before\n"
SHOP = HEADER + "1,a,10.50,1,3\n2,b,0,0,\n3,b,-2,yes,5.5\n4,a,0,no,-1e2\n5,c,7,1,2\n6,c,x,1,2\n1,a,10.5,1,3\n"


def read(path, **options):
    columns = {
        "arm": "arm",
        "control": "a",
        "visitor": "who",
        "revenue": "spent",
        "conversion": "bought",
        "covariate": "before",
    }
    return read_table(path, **columns | {"key": "shop"} | options)


def same(one, other):
    """Whether two observations have the same counts and the same moments to 1e-12."""
    assert one.arms == other.arms
    assert one.refused_rows == other.refused_rows
    for metric, arms in one.moments.items():
        for arm, moments in arms.items():
            twin = other.moments[metric][arm]
            assert (moments.columns, moments.n) == (twin.columns, twin.n)
            for name in ("mean", "m2", "m3"):
                # A third moment that is 0 is a difference of cubes: 1e-14 of those is what is left.
                atol = 1e-14 * (np.abs(moments.mean) ** 3 + np.diag(moments.m2) ** 1.5).max()
                np.testing.assert_allclose(getattr(moments, name), getattr(twin, name), rtol=1e-12, atol=atol)


def test_a_table_there_and_back(store, write):
    """The store gives the same observations as the file, and the same again after a second import."""
    table = read(write(SHOP))
    first = import_table(store, table)
    assert (first.read, first.new, first.repeated, first.refused) == (7, 5, 1, 1)
    assert (first.rejects[0].line, first.rejects[0].row["spent"]) == (7, "x")
    seen = store.observations("shop")
    same(seen, table.observations())
    assert seen.definition == table.definition
    assert (seen.state, seen.first_exposure) == ("stopped", table.definition.starts_at)

    again = import_table(store, read(write(SHOP)))
    assert (again.new, again.repeated, again.refused) == (0, 6, 1)
    same(store.observations("shop"), seen)
    assert store.published("shop").version == 1


def test_more_rows_of_the_same_table(store, write):
    """A second file adds its visitors at the stored instant; arms that it lacks stay, unknown ones are refused."""
    import_table(store, read(write(SHOP)))
    report = import_table(store, read(write(HEADER + "7,a,1,1,1\n8,b,2,1,1\n9,d,3,1,1\n", "more.csv")))
    assert (report.new, report.refused) == (2, 1)
    assert report.rejects[0].reason == "unknown arm 'd' of 'shop'; its arms are 'a', 'b', 'c'"
    assert report.rejects[0].line == 4
    seen = store.observations("shop")
    assert (seen.arms["a"].visitors, seen.first_exposure) == (3, seen.last_exposure)
    assert seen.refused_rows == 2


def test_a_repaired_file_has_no_refused_rows(store, write):
    """Refused rows are those of the last import of a file of that name."""
    import_table(store, read(write(SHOP)))
    assert store.observations("shop").refused_rows == 1
    import_table(store, read(write(SHOP.replace("6,c,x", "6,c,8"))))
    seen = store.observations("shop")
    assert (seen.refused_rows, seen.arms["c"].visitors) == (0, 2)


@pytest.mark.parametrize(
    "row", ["1,b,10.50,1,3", "1,a,9,1,3", "1,a,10.50,0,3", "1,a,10.50,1,4", "1,a,10.50,1,", "2,b,5,0,"]
)
def test_other_content_of_a_stored_visitor_is_refused(store, write, row):
    """A visitor that is stored with another arm, revenue, conversion or covariate stays as it is."""
    import_table(store, read(write(SHOP)))
    before = store.observations("shop")
    report = import_table(store, read(write(HEADER + row + "\n8,b,1,1,1\n9,a,1,1,1\n", "other.csv")))
    assert (report.new, report.refused) == (2, 1)
    assert report.rejects[0].line == 2
    assert "is stored with arm" in report.rejects[0].reason
    after = store.observations("shop")
    assert after.arms["a"].visitors == before.arms["a"].visitors + 1
    assert sum(arm.crossovers for arm in after.arms.values()) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"control": "b"}, "control 'a'; this table has 'b'"),
        ({"covariate": None}, "with covariate 'before'; this table has"),
        ({"conversion": None}, "metrics"),
        ({"primary": "conversion"}, "primary metric revenue_per_visitor"),
        ({"weights": {"a": 2, "b": 1, "c": 1}}, "weights a 1/3"),
    ],
)
def test_a_table_of_another_shape_is_refused(memory, write, options, said):
    """Another control, other columns, metrics or weights than at the first import are an error of the whole file."""
    import_table(memory, read(write(SHOP)))
    with pytest.raises(InputError) as error:
        import_table(memory, read(write(SHOP), **options))
    assert said in str(error.value)


def test_the_same_weights_again_are_fine(memory, write):
    """Weights are compared as shares, exactly."""
    import_table(memory, read(write(SHOP), weights={"a": 1, "b": 1, "c": 1}))
    assert import_table(memory, read(write(SHOP), weights={"a": "0.1", "b": "0.1", "c": "0.1"})).new == 0


def test_tables_cannot_be_imported_into_what_offerlift_assigns(memory, make_published, write):
    """The error says what to use instead."""
    memory.publish(make_published("shop"))
    with pytest.raises(InputError, match="import exposures"):
        import_table(memory, read(write(SHOP)))


def test_a_table_of_another_currency_is_refused(memory, write):
    """Nothing is stored of it."""
    with pytest.raises(InputError, match="is in USD, the store in EUR"):
        import_table(memory, read(write(SHOP), currency="USD"))
    assert memory.experiments() == []


def test_two_tables_that_number_their_rows_do_not_mix(store, write):
    """Visitor 1 of one table is somebody else than visitor 1 of the next."""
    options = {"visitor": None}
    one = read(write(HEADER + "x,a,1,1,1\nx,b,2,0,1\n", "one.csv"), key="one", **options)
    two = read(write(HEADER + "x,a,3,0,9\nx,b,4,1,9\n", "two.csv"), key="two", **options)
    for table in (one, two):
        report = import_table(store, table)
        assert (report.new, report.refused) == (2, 0)
    same(store.observations("one"), one.observations())
    same(store.observations("two"), two.observations())


def test_very_long_ids(store, write):
    """A visitor id of 255 bytes has outcomes too, and again."""
    rows = HEADER + f"{'x' * 255},a,1,1,1\n{'é' * 127},b,2,1,1\n"
    assert import_table(store, read(write(rows))).new == 2
    assert import_table(store, read(write(rows))).repeated == 2
    assert store.observations("shop").arms["b"].outcomes == {"conversion": 1, "revenue": 1}


EXPOSURES = """visitor,arm,at
v1,a,2026-03-01T00:00:00Z
v2,b,2026-03-01T01:00:00+01:00
v1,b,2026-03-02T00:00:00Z
v3,d,2026-03-01T00:00:00Z
v4,a,2026-03-01T00:00:00
v5,a,soon
,a,2026-03-01T00:00:00Z
v6,a
"""


def test_exposures_of_a_file(store, make_published, write):
    """Unknown arms, times without offset and empty ids are listed by line; the rest is in, once."""
    store.publish(make_published())
    report = import_exposures(store, read_exposures(write(EXPOSURES), experiment="exit"))
    assert (report.read, report.new, report.changed, report.crossovers, report.refused) == (8, 2, 1, 1, 5)
    assert [one.line for one in report.rejects] == [5, 6, 7, 8, 9]
    assert "unknown arm 'd'" in report.rejects[0].reason
    assert report.rejects[0].row == {"visitor": "v3", "arm": "d", "at": "2026-03-01T00:00:00Z"}
    again = import_exposures(store, read_exposures(write(EXPOSURES), experiment="exit"))
    assert (again.new, again.changed, again.repeated, again.crossovers, again.refused) == (0, 0, 3, 0, 5)


def test_exposures_of_several_experiments(store, make_published, write):
    """The experiment may be a column; exactly one of the two ways is given."""
    store.publish(make_published())
    path = write("e,visitor,arm,at\nexit,v,a,2026-03-01T00:00:00Z\nexist,v,a,2026-03-01T00:00:00Z\n")
    report = import_exposures(store, read_exposures(path, experiment_column="e"))
    assert (report.new, report.refused) == (1, 1)
    with pytest.raises(InputError, match="either experiment or experiment_column"):
        read_exposures(path)
    with pytest.raises(InputError, match="either experiment or experiment_column"):
        read_exposures(path, experiment="exit", experiment_column="e")


OUTCOMES = """order,visitor,what,at,eur,cost,pieces,cur
1,v1,purchase,2026-03-01T00:00:01Z,29.90,10,2,EUR
1,v1,purchase,2026-03-01T00:00:01Z,29.9,10.00,2,
1,v1,purchase,2026-03-01T00:00:01Z,30,10,2,EUR
2,v2,purchase,,,,,
3,v2,purchase,2026-03-01T00:00:01Z,nan,,,
4,v2,purchase,2026-03-01T00:00:01Z,1.005,,,
5,v2,purchase,2026-03-01T00:00:01Z,1,,1.5,
6,v2,purchase,2026-03-01T00:00:01Z,1,,,USD
7,v2,purchase,2026-03-01T00:00:01Z,1,,,usd
"""


def test_outcomes_of_a_file(store, write):
    """Repeats, conflicts, empty optional cells and bad amounts: each row ends in one count, bad ones by line."""

    def load():
        columns = {
            "event_column": "what",
            "at": "at",
            "value": "eur",
            "cost": "cost",
            "quantity": "pieces",
            "currency_column": "cur",
        }
        return import_outcomes(store, read_outcomes(write(OUTCOMES), outcome_id="order", **columns))

    report = load()
    assert (report.read, report.new, report.repeated, report.refused) == (9, 3, 1, 5)
    assert [one.line for one in report.rejects] == [4, 6, 7, 8, 10]
    assert "value 29.90 EUR" in report.rejects[0].reason
    assert "value 30.00 EUR" in report.rejects[0].reason
    assert "three capitals" in report.rejects[4].reason
    again = load()
    assert (again.new, again.repeated, again.refused) == (0, 4, 5)


def test_refunds_and_reporting_amounts_in_a_file(memory, make_published, write, at):
    """Columns of refunds and of reporting amounts are read: 30 + 18 are sold, 10 given back."""
    memory.publish(make_published())
    memory.write_exposures([Exposure("exit", "v", "a", at(0))])
    path = write(
        "outcome_id,visitor,at,value,code,reported,of\n"
        "1,v,2026-03-01T01:00:00Z,30.00,,,\n2,v,2026-03-01T02:00:00Z,20,USD,18.00,\n"
        "3,v,2026-03-01T03:00:00Z,10.00,,,1\n4,v,2026-03-01T03:00:00Z,-1,,,1\n"
    )
    columns = {"at": "at", "value": "value", "currency_column": "code", "reporting_value": "reported"}
    report = import_outcomes(memory, read_outcomes(path, event="purchase", refund_of="of", **columns))
    assert (report.new, report.refused) == (3, 1)
    assert "positive" in report.rejects[0].reason
    assert memory.observations("exit").moments["revenue_per_visitor"]["a"].sum_of("purchase:value") == 38.0


def test_bad_files_are_refused_as_a_whole(memory, write):
    """A missing column or an empty file imports nothing."""
    with pytest.raises(InputError, match="no column 'arm'"):
        read_exposures(write("visitor,at\nv,2026-03-01T00:00:00Z\n"), experiment="exit")
    with pytest.raises(InputError, match="is empty"):
        read_outcomes(write(""), event="purchase")
    with pytest.raises(InputError, match="no rows"):
        import_outcomes(memory, read_outcomes(write("outcome_id,visitor\n"), event="purchase"))
