"""Moments from frames of every kind: the same numbers, and refusals that say what is wrong."""

from decimal import Decimal

import numpy as np
import pytest
from offerlift.errors import InputError
from offerlift.stats import Moments, compare, moments_by_arm, permutation_test

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")

COLUMNS = ["revenue", "bought"]


def visitors(offset=0.0):
    rng = np.random.default_rng(1)
    bought = rng.random(3000) < 0.3
    return pandas.DataFrame(
        {
            "arm": rng.choice(["control", "late", "cheap"], 3000),
            "bought": bought,
            "revenue": bought * rng.lognormal(3, 1, 3000) + offset,
        }
    )


def kinds(frame):
    """The same rows in every kind of frame."""
    connection = duckdb.connect()
    connection.register("visitors", frame)
    yield "pandas", frame
    yield "polars", polars.from_pandas(frame)
    yield "polars lazy", polars.from_pandas(frame).lazy()
    yield "pyarrow", pyarrow.Table.from_pandas(frame)
    yield "duckdb", connection.sql("SELECT * FROM visitors")
    yield "mapping", {name: frame[name].to_numpy() for name in frame}


def same(got, expected, rel):
    assert got.n == expected.n
    assert got.columns == expected.columns
    for name in ("mean", "m2", "m3"):
        assert getattr(got, name) == pytest.approx(getattr(expected, name), rel=rel), name


def test_every_kind_of_frame_has_the_same_moments():
    """pandas, Polars (eager and lazy), PyArrow, a DuckDB relation and a mapping agree with arrays to 1e-12."""
    frame = visitors()
    expected = {
        arm: Moments.from_arrays({name: rows[name].to_numpy() for name in COLUMNS})
        for arm, rows in frame.groupby("arm")
    }
    whole = Moments.merge(list(expected.values()))
    for kind, one in kinds(frame):
        found = moments_by_arm(one, "arm", COLUMNS)
        assert list(found) == ["cheap", "control", "late"], kind
        for arm, moments in found.items():
            same(moments, expected[arm], 1e-12)
        if kind != "mapping":
            same(Moments.from_frame(one, COLUMNS), whole, 1e-11)


def test_sums_in_a_database_keep_their_digits():
    """A mean of 1e9 with a spread of 20 keeps nine digits of its variance, summed in DuckDB and lazily in Polars."""
    frame = visitors(offset=1e9)
    expected = moments_by_arm(frame, "arm", ["revenue"])
    for kind, one in kinds(frame):
        for arm, moments in moments_by_arm(one, "arm", ["revenue"]).items():
            assert moments.variance_of("revenue") == pytest.approx(expected[arm].variance_of("revenue"), rel=1e-9), kind


def test_a_lazy_frame_is_not_fetched(monkeypatch):
    """Only sums come back from a lazy frame: three rows of three arms, not three thousand."""
    frame = polars.from_pandas(visitors()).lazy()
    seen = []
    collect = polars.LazyFrame.collect

    def counting(self, *arguments, **options):
        found = collect(self, *arguments, **options)
        seen.append(found.height)
        return found

    monkeypatch.setattr(polars.LazyFrame, "collect", counting)
    moments_by_arm(frame, "arm", COLUMNS)
    assert seen == [1, 3]


def test_arms_are_named_by_what_is_written():
    """Numbers, booleans and categories as arms become their text; two that are written alike are refused."""
    frame = pandas.DataFrame({"arm": [0, 1, 1], "x": [1.0, 2.0, 3.0]})
    assert list(moments_by_arm(frame, "arm", ["x"])) == ["0", "1"]
    assert list(moments_by_arm(frame.astype({"arm": "category"}), "arm", ["x"])) == ["0", "1"]
    assert list(moments_by_arm({"arm": [True, False], "x": [1, 2]}, "arm", ["x"])) == ["False", "True"]
    with pytest.raises(InputError, match="written alike"):
        moments_by_arm({"arm": np.array([1, "1"], dtype=object), "x": [1, 2]}, "arm", ["x"])


@pytest.mark.parametrize(
    "frame",
    [
        {"arm": ["a", "b", float("nan")], "x": [1.0, 2.0, 3.0]},
        {"arm": pandas.Series(["a", "b", None], dtype="string"), "x": [1.0, 2.0, 3.0]},
        polars.DataFrame({"arm": [1.0, 2.0, float("nan")], "x": [1.0, 2.0, 3.0]}),
        polars.LazyFrame({"arm": [1.0, 2.0, float("nan")], "x": [1.0, 2.0, 3.0]}),
        pyarrow.table({"arm": [1.0, 2.0, float("nan")], "x": [1.0, 2.0, 3.0]}),
    ],
)
def test_a_missing_arm_is_no_arm_of_its_own(frame):
    """NaN among texts or numbers, and pandas' NA, are rows without an arm, not an arm called "nan" or a lost row."""
    with pytest.raises(InputError, match="rows have no 'arm'"):
        moments_by_arm(frame, "arm", ["x"])


def test_mixed_values_of_a_list_are_not_made_one_arm():
    """A number and a text that are written alike are refused in a list as in an array of objects."""
    with pytest.raises(InputError, match="written alike"):
        moments_by_arm({"arm": [1, "1"], "x": [1, 2]}, "arm", ["x"])


def test_what_a_mask_hides_is_missing():
    """A masked array's hidden values enter no moments, no arm and no resampling; without hidden ones it is an array."""
    hidden = np.ma.array([1.0, 2.0, 999.0], mask=[False, False, True])
    arms = ["a", "b", "b"]
    for use in (
        lambda: Moments.from_arrays({"x": hidden}),
        lambda: moments_by_arm({"arm": arms, "x": hidden}, "arm", ["x"]),
        lambda: moments_by_arm({"arm": np.ma.array(arms, mask=hidden.mask), "x": [1, 2, 3]}, "arm", ["x"]),
        lambda: compare({"a": hidden, "b": [1.0, 2.0]}, control="a"),
        lambda: permutation_test(hidden, [1.0, 2.0]),
    ):
        with pytest.raises(InputError, match="1 missing values"):
            use()
    assert Moments.from_arrays({"x": hidden[:2]}).mean_of("x") == 1.5


def test_decimals_are_numbers():
    """Money as Decimal is read, from pandas objects and from a DuckDB DECIMAL column."""
    frame = pandas.DataFrame({"arm": ["a", "a", "b"], "x": [Decimal("1.10"), Decimal("2.20"), Decimal("3.30")]})
    assert moments_by_arm(frame, "arm", ["x"])["a"].mean_of("x") == pytest.approx(1.65)
    relation = duckdb.connect().sql("SELECT 'a' AS arm, 1.10::DECIMAL(9, 2) AS x UNION ALL SELECT 'a', 2.20")
    assert moments_by_arm(relation, "arm", ["x"])["a"].mean_of("x") == pytest.approx(1.65)


BROKEN = {
    "a missing value": ({"arm": ["a", "b"], "x": [1.0, None]}, "missing"),
    "no arm": ({"arm": ["a", None], "x": [1.0, 2.0]}, "no 'arm'"),
    "text": ({"arm": ["a", "b"], "x": ["1", "2"]}, "numbers or booleans"),
    "infinity": ({"arm": ["a", "b"], "x": [1.0, float("inf")]}, "finite"),
    "too many arms": ({"arm": [f"visitor {k}" for k in range(200)], "x": [1.0] * 200}, "column of arms"),
    "another name": ({"variant": ["a", "b"], "x": [1.0, 2.0]}, "no column 'arm'"),
    "another metric": ({"arm": ["a", "b"], "y": [1.0, 2.0]}, "no column 'x'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_said(name):
    """Missing values, text, infinities, rows without an arm and wrong names are refused, lazily as well."""
    data, words = BROKEN[name]
    for frame in (polars.DataFrame(data), polars.DataFrame(data).lazy(), pyarrow.table(data)):
        with pytest.raises(InputError, match=words):
            moments_by_arm(frame, "arm", ["x"])


def test_what_is_no_frame_is_said():
    """A list is no frame; columns of two lengths are no table."""
    with pytest.raises(InputError, match="list is no data frame"):
        moments_by_arm([1, 2], "arm", ["x"])
    with pytest.raises(InputError, match="columns of"):
        moments_by_arm({"arm": ["a", "b"], "x": [1.0]}, "arm", ["x"])


def test_a_column_named_twice_is_refused() -> None:
    """Two equal columns make moments that nothing can be named in."""
    with pytest.raises(InputError, match="name one twice"):
        moments_by_arm({"arm": ["a", "b"], "x": [1.0, 2.0]}, "arm", ["x", "x"])
