"""Tables of one row a visitor, read without any store."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from offerlift.errors import InputError
from offerlift.stats import Histogram
from offerlift.stats.moments import Moments
from offerlift.storage.table import outcome_key, read_table

SHOP = "who,arm,spent,bought,before\n1,a,10.50,1,3\n2,b,0,0,\n3,b,-2,yes,5.5\n4,a,0,no,-1e2\n"
COLUMNS = {"visitor": "who", "revenue": "spent", "conversion": "bought", "covariate": "before"}


def read(path, **options):
    return read_table(path, **{"arm": "arm", "control": "a"} | COLUMNS | options)


def refused(path, **options):
    with pytest.raises(InputError) as error:
        read(path, **options)
    return str(error.value)


def test_the_definition_of_a_table(write):
    """Control first, three metrics, revenue primary, exact ratios beside the buckets."""
    path = write("arm,spent,bought\nc,1,1\nb,1,1\na,1,1\n", "My Shop 2026.csv.gz")
    definition = read(path, control="b", visitor=None, covariate=None).definition
    assert (definition.experiment, definition.source, definition.control) == ("my-shop-2026", "table", "b")
    assert [(arm.name, arm.weight, arm.ratio) for arm in definition.arms] == [
        ("b", 3334, 1),
        ("a", 3333, 1),
        ("c", 3333, 1),
    ]
    assert [metric.name for metric in definition.metrics] == [
        "conversion",
        "revenue_per_visitor",
        "average_order_value",
    ]
    assert definition.plan.primary == "revenue_per_visitor"
    assert definition.plan.adjusted is False
    assert definition.expected_shares["a"] == Fraction(1, 3)


def test_only_what_has_a_column_is_a_metric(write):
    """Without revenue the conversion is the primary metric; a primary may be named; neither column is an error."""
    path = write(SHOP)
    assert read(path, revenue=None).definition.plan.primary == "conversion"
    assert [metric.name for metric in read(path, conversion=None).definition.metrics] == ["revenue_per_visitor"]
    assert read(path, primary="average_order_value").definition.plan.primary == "average_order_value"
    assert "not one of conversion, revenue_per_visitor, average_order_value" in refused(path, primary="profit")
    assert "no column of revenue nor of conversion" in refused(path, revenue=None, conversion=None)


def test_the_covariate_adjusts_revenue_and_conversion_only(write):
    """The average order value has no covariate."""
    metrics = {metric.name: metric for metric in read(write(SHOP)).definition.metrics}
    assert metrics["revenue_per_visitor"].covariate == metrics["conversion"].covariate
    assert metrics["conversion"].covariate.name == "before"
    assert metrics["average_order_value"].covariate is None


def test_the_moments_of_a_table(write):
    """Means, products and missing values are those of the file."""
    seen = read(write(SHOP)).observations()
    assert (seen.state, seen.refused_rows, seen.unknown_arms) == ("stopped", 0, {})
    assert (seen.arms["a"].visitors, seen.arms["b"].outcomes) == (2, {"conversion": 1, "revenue": 1})
    got = seen.moments["revenue_per_visitor"]["b"]
    expected = Moments.from_arrays(
        {"revenue:value": [0, -2], "covariate:before": [0, 5.5], "covariate:before:missing": [1, 0]}
    )
    assert got.columns == expected.columns
    assert got.n == 2
    assert got.mean == pytest.approx(expected.mean, rel=1e-15)
    assert got.m2 == pytest.approx(expected.m2, rel=1e-15)
    orders = seen.moments["average_order_value"]["a"]
    assert (orders.columns, orders.mean_of("conversion:count")) == (("revenue:value", "conversion:count"), 0.5)


def test_the_records_of_a_table(write):
    """Exposure and outcomes at one instant, the covariate just before; no outcome where nothing happened."""
    table = read(write(SHOP), key="shop")
    exposures, outcomes, covariates = list(table.exposures()), list(table.outcomes()), list(table.covariates())
    assert [(one.experiment, one.visitor, one.arm) for one in exposures] == [
        ("shop", "1", "a"),
        ("shop", "2", "b"),
        ("shop", "3", "b"),
        ("shop", "4", "a"),
    ]
    assert [(one.visitor, one.name, one.value) for one in outcomes] == [
        ("1", "conversion", None),
        ("1", "revenue", Decimal("10.50")),
        ("3", "conversion", None),
        ("3", "revenue", Decimal("-2")),
    ]
    assert {one.at for one in outcomes} == {one.at for one in exposures} == {table.definition.starts_at}
    assert [(one.visitor, one.value) for one in covariates] == [("1", 3.0), ("3", 5.5), ("4", -100.0)]
    assert all(one.at < exposures[0].at for one in covariates)


def test_rows_without_ids_are_numbered(write):
    """Without a column of ids the visitor is the number of the row, counted from 1, refused ones included."""
    table = read(write("arm,spent\na,1\nb,x\n\nb,2\n"), visitor=None, conversion=None, covariate=None)
    assert [row.visitor for row in table.rows] == ["1", "3"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("9,b,nan,1,1", "an amount must be a finite number such as 29.90, seen 'nan'"),
        ("9,b,inf,1,1", "finite"),
        ("9,b,,1,1", "an amount is empty"),
        ("9,b,ten,1,1", "seen 'ten'"),
        ("9,b,1.005,1,1", "part of a minor unit"),
        ("9,b,1e99,1,1", "2**53"),
        ("9,b,1,2,1", "a conversion is one of"),
        ("9,b,1,,1", "a conversion is one of"),
        ("9,b,1,1,NaN", "a number must be finite"),
        ("9,b,1,1,-inf", "a number must be finite"),
        ("9,b,1,1,old", "seen 'old'"),
        (",b,1,1,1", "a visitor id must not be empty"),
        ("a\0b,b,1,1,1", "NUL"),
        ("x" * 256 + ",b,1,1,1", "255 bytes"),
        ("9,,1,1,1", "the name of an arm must not be empty"),
        ("9,b,1,1", "4 cells"),
        ("1,a,10.51,1,3", "visitor '1' is on line 2 with other content; that one counts, line 6 does not"),
        ("1,b,10.50,1,3", "line 2"),
        ("1,a,10.50,1,", "line 2"),
    ],
)
def test_bad_rows_are_refused_with_line_and_reason(write, row, reason):
    """A row that cannot be read is left out with its line and reason; the others are in."""
    table = read(write(SHOP + row + "\n5,a,1,1,1\n"))
    assert [(one.line, reason in one.reason) for one in table.rejects] == [(6, True)], table.rejects
    assert (table.read, len(table.rows), table.repeated) == (6, 5, 0)
    assert table.observations().refused_rows == 1


def test_a_repeated_row_counts_once(write):
    """The same visitor with the same content is no error; notations of one amount are the same."""
    table = read(write(SHOP + "1,a,10.5,true,3.0\n"))
    assert (table.read, len(table.rows), table.repeated, table.rejects) == (5, 4, 1, ())


def test_weights_are_the_known_arms(write):
    """With weights, a row in another arm is refused, and an arm without rows is kept."""
    table = read(write(SHOP), weights={"a": "0.5", "b": 1, "c": 3})
    assert table.rejects == ()
    assert {name: str(share) for name, share in table.definition.expected_shares.items()} == {
        "a": "1/9",
        "b": "2/9",
        "c": "2/3",
    }
    assert table.observations().arms["c"].visitors == 0
    table = read(write(SHOP + "5,d,1,1,1\n"), weights={"a": 1, "b": 1})
    assert table.rejects[0].reason == "unknown arm 'd'; the arms are 'a', 'b'"


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "x", None, "1/3"])
def test_weights_are_positive_numbers(write, weight):
    """Anything else is refused with what was seen."""
    assert "positive number" in refused(write(SHOP), weights={"a": 1, "b": weight})


def test_whole_tables_that_are_refused(write):
    """A control that is not there, one arm, far too many, weights without the control, nothing readable."""
    assert "control 'z' is not among the arms of column 'arm'\nArms seen: 'a', 'b'" in refused(write(SHOP), control="z")
    assert "not the control 'a'" in refused(write(SHOP), weights={"b": 1, "c": 1})
    assert "'a', 'b'" in refused(write(SHOP), control="z", weights={"a": 1, "b": 1, "z": 1})
    assert "1 distinct values" in refused(write("who,arm,spent,bought,before\n1,a,1,1,1\n"))
    many = "who,arm,spent,bought,before\n" + "".join(f"{i},{i},1,1,1\n" for i in range(60))
    assert "60 distinct values" in refused(write(many), control="7")
    assert "none of the 1 rows can be read; line 2: column 'spent': an amount" in refused(
        write("who,arm,spent,bought,before\n1,a,x,1,1\n")
    )
    assert "no column 'money'" in refused(write(SHOP), revenue="money")
    assert "header and no rows" in refused(write(SHOP.split("\n")[0] + "\n"))
    assert "ISO 4217" in refused(write(SHOP), currency="euro")


def test_a_currency_without_cents(write):
    """In yen the amounts are whole, and means are in yen."""
    table = read(
        write("arm,spent\na,100\nb,1.5\nb,250\n"), visitor=None, conversion=None, covariate=None, currency="JPY"
    )
    assert len(table.rejects) == 1
    assert table.observations().moments["revenue_per_visitor"]["b"].mean_of("revenue:value") == 250.0


def test_long_ids_have_different_outcome_ids():
    """Two visitors that differ only in the last byte are two, although key and id together are too long."""
    one, two = (outcome_key("shop", "x" * 254 + last) for last in "ab")
    assert one != two
    assert len(one.encode()) <= 255


def test_spaces_around_an_arm_are_no_part_of_it(write):
    """`a` and ` a ` are one arm; an arm that a terminal would obey is refused."""
    table = read(write(SHOP + "5, a ,1,1,1\n6,b\x1b[2J,1,1,1\n"))
    assert {row.arm for row in table.rows} == {"a", "b"}
    assert [(one.line, "printable" in one.reason) for one in table.rejects] == [(7, True)]


@pytest.mark.parametrize("key", ["x\ny", "a:b", "<script>x", "", "x" * 101])
def test_keys_of_tables_are_those_of_definitions(write, key):
    """Nothing is read into a key that no command could name."""
    assert "the key of an experiment" in refused(write(SHOP), key=key)


@pytest.mark.parametrize(("different", "kind"), [(900, tuple), (1_100, Histogram)])
def test_values_of_a_table(tmp_path, different, kind):
    """Up to a thousand different amounts are kept as they are, more are a histogram; the largest are exact in both."""
    lines = [f"{'ab'[i % 2]},{i}.25" for i in range(different)]
    (tmp_path / "t.csv").write_text("\n".join(["arm,revenue", *lines]))
    table = read_table(tmp_path / "t.csv", arm="arm", control="a", revenue="revenue")
    found = table.values(2)["revenue_per_visitor"]["b"]
    assert isinstance(found.visitors, kind)
    assert found.largest.values == (different - 0.75, different - 2.75)
    assert found.largest.total == sum(i + 0.25 for i in range(1, different, 2))
