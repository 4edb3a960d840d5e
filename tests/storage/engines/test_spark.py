"""Spark: values there and back, what is refused, and whose session it is."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from offerlift.errors import StoreError
from offerlift.experiments.hashing import bucket
from offerlift.storage.engine import database_url, open_engine, reading, translated
from offerlift.storage.engines import spark_dialect
from offerlift.storage.engines.spark_dialect import SparkConnectDialect, SparkDialect
from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    Integer,
    Numeric,
    String,
    column,
    delete,
    func,
    insert,
    literal,
    select,
    table,
    text,
    update,
)
from sqlalchemy.engine import make_url

NASTY = [
    "it's",
    '"; DROP TABLE shop; --',
    "\\",
    "\\'",
    "%s %(a)s ?",
    ":a :1 {a}",
    "`a`",
    "A",
    "Å ß 漢 🛒",
    "a\x00b",
    "\n\t ",
    "",
    "x" * 10_000,
]


def run(engine, statement):
    with reading(engine) as connection:
        return connection.execute(statement).all()


def test_numbers_come_back_as_they_were_passed(spark):
    """Integers to 64 bits, doubles with NaN and infinities, decimals, booleans and NULL are what they were."""
    values = [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 0.1, 5e-324, 1e308, math.inf, True, None]
    (row,) = run(spark, select(*map(literal, values), literal(math.nan), literal(Decimal("1.10"))))
    *same, nan, exact = tuple(row)
    assert same == values
    assert [type(one) for one in same] == [type(one) for one in values]
    assert math.isnan(nan)
    assert exact == Decimal("1.10")


def test_text_is_never_read_as_sql(spark):
    """Quotes, SQL, markers of parameters and NUL come back letter by letter, as parameters and as literals."""
    passed = [literal(one) for one in NASTY]
    written = [literal(one, literal_execute=True) for one in NASTY]
    (got,) = run(spark, select(*passed, *written))
    assert list(got) == NASTY + NASTY


def test_ids_differ_by_case_and_by_trailing_spaces(spark):
    """ "A" is not "a", and "a" is not "a "."""
    assert run(spark, select(literal("A") == literal("a"), literal("a") == literal("a "))) == [(False, False)]


def test_exact_sums_are_integers(spark):
    """A sum that Spark keeps as a decimal without digits is a Python int, beyond 64 bits too."""
    amount = literal(2**63 - 1, literal_execute=True).cast(Numeric(30, 0)) * 3
    ((got,),) = run(spark, select(func.sum(amount)))
    assert (type(got), got) == (int, 3 * (2**63 - 1))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows sets the zone of a process otherwise")
def test_times_are_utc_wherever_the_process_runs(spark, monkeypatch):
    """A time comes back as it was passed, and a literal one is UTC, in a process of another zone."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        passed = datetime(2026, 11, 1, 5, 30, 0, 123456, tzinfo=UTC)
        kinds = text("SELECT timestamp '2026-03-29 02:30:00', timestamp_ntz '2026-03-29 02:30:00', date '2026-03-29'")
        assert run(spark, select(literal(passed))) == [(passed,)]
        moment = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001 - a TIMESTAMP_NTZ has no zone
        assert run(spark, kinds) == [(moment.replace(tzinfo=UTC), moment, date(2026, 3, 29))]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\ud800", datetime(2026, 3, 1)])  # noqa: DTZ001 - on purpose
def test_what_cannot_be_passed_is_refused(spark, value):
    """An integer beyond 64 bits, half a surrogate pair and a time without zone are errors that name the value."""
    with pytest.raises(StoreError, match=r"beyond 64 bits|no Unicode text|no time zone"):
        run(spark, select(literal(value)))


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (select(func.sum(literal(2**63 - 1) + literal(1))), "overflow"),
        (select(literal(7) % literal(0)), "by zero|DIVIDE_BY_ZERO|REMAINDER_BY_ZERO"),
        (select(table("no_such_table", column("x")).c.x), "no_such_table.*\n.*database in the URL"),
        (select(column("nope")).select_from(text("(SELECT 1 AS known)")), "nope.*known"),
        (text("SELECT FROM WHERE"), "PARSE_SYNTAX_ERROR|SYNTAX|UNRESOLVED"),
        (text("SELECT * FROM parquet.`/no/such/folder`"), "/no/such/folder.*\n.*every worker"),
    ],
)
def test_failures_say_what_is_wrong(spark, capfd, statement, says):
    """Overflow raises; what is missing is named, in a line and not in a stack; nothing is printed besides."""
    with pytest.raises(StoreError, match=says) as caught:
        run(spark, statement)
    assert len(str(caught.value)) < 600
    printed = capfd.readouterr().err
    assert "Traceback" not in printed
    assert "at org.apache" not in printed


SHOP = table("shop", column("a"))


@pytest.mark.parametrize(
    "statement",
    [
        insert(SHOP).values(a=1),
        update(SHOP).values(a=1),
        delete(SHOP),
        text("CREATE TABLE shop (a INT)"),
        text("/* SELECT */ DROP TABLE shop"),
        text("WITH x AS (SELECT 1) INSERT INTO shop SELECT * FROM x"),
        text("SET spark.sql.ansi.enabled = false"),
        text("CACHE TABLE shop"),
    ],
    ids=str,
)
def test_writes_are_refused(spark, statement):
    """Whatever is not a reading statement is refused before Spark sees it, with where to write instead."""
    with pytest.raises(StoreError, match="only read from; refused"):
        run(spark, statement)


def test_words_of_writing_may_stand_in_what_is_read(spark):
    """INSERT in a string, a quoted name or a comment writes nothing."""
    read = text("WITH x AS (SELECT 'INSERT INTO' AS `delete`) /* MERGE */ SELECT `delete` FROM x -- UPDATE")
    assert run(spark, read) == [("INSERT INTO",)]


def test_the_session_stays_the_users(spark, session):
    """Our settings are ours: after a connection closed, the user's session runs on with its own and its views."""
    session.conf.set("spark.sql.ansi.enabled", "false")
    session.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    session.range(5).createOrReplaceTempView("five")
    try:
        assert run(spark, text("SELECT sum(id), current_timezone() FROM five")) == [(10, "UTC")]
        with pytest.raises(StoreError, match="overflow"):
            run(spark, text("SELECT 9223372036854775807 + 1"))
        spark.dispose()
        assert session.conf.get("spark.sql.session.timeZone") == "Asia/Tokyo"
        assert session.sql("SELECT 9223372036854775807 + 1").collect() == [(-(2**63),)]
        assert session.getActiveSession()._jsparkSession.equals(session._jsparkSession)
    finally:
        session.catalog.dropTempView("five")
        session.conf.unset("spark.sql.ansi.enabled")
        session.conf.unset("spark.sql.session.timeZone")


def test_the_database_of_the_url_is_meant(spark, session):
    """Names without a database are those of the URL's; a missing one is named."""
    session.sql("CREATE DATABASE IF NOT EXISTS other")
    session.sql("CREATE TABLE other.amounts USING parquet AS SELECT 42 AS x")
    try:
        other = open_engine(spark.url.set(database="other"), schema=None, create=False)
        assert run(other, select(table("amounts", column("x")).c.x)) == [(42,)]
        assert session.catalog.currentDatabase() == "default"
        missing = open_engine(spark.url.set(database="nowhere"), schema=None, create=False)
        with pytest.raises(StoreError, match="nowhere"):
            run(missing, select(literal(1)))
    finally:
        session.sql("DROP DATABASE other CASCADE")


def test_a_parquet_file_is_a_table(spark, session, tmp_path):
    """The path in the schema `parquet`, with names that need quoting."""
    session.sql("SELECT 7 AS `größe in cm`, 8 AS `a``b`").write.parquet(str(tmp_path / "it's here"))
    file = table(str(tmp_path / "it's here"), column("größe in cm"), column("a`b"), schema="parquet").alias()
    assert run(spark, select(file.c["größe in cm"], file.c["a`b"]).where(file.c["größe in cm"] == 7)) == [(7, 8)]


def test_a_reading_transaction_of_the_store_is_one_of_sparks(spark):
    """Several statements in one connection, empty IN lists, LIMIT and OFFSET as parameters."""
    numbers = text("(SELECT explode(sequence(1, 9)) AS x)").columns(column("x", Integer)).alias("numbers")
    listed = select(numbers.c.x).order_by(numbers.c.x)
    with reading(spark) as connection:
        assert connection.scalars(listed.limit(2).offset(3)).all() == [4, 5]
        assert connection.scalars(listed.offset(7)).all() == [8, 9]
        assert connection.scalars(listed.where(numbers.c.x.in_([]))).all() == []
        assert connection.scalars(listed.where(numbers.c.x.in_([3, 1, 77]))).all() == [1, 3]
        assert connection.scalars(select(numbers.c.x // 4).order_by(numbers.c.x).limit(4)).all() == [0, 0, 0, 1]


def test_a_statement_can_be_interrupted(spark):
    """From another thread, and the connection answers the next one."""
    with spark.connect() as connection:
        driver = connection.connection.dbapi_connection
        stop = threading.Event()

        def interrupt():
            # Whatever comes first: the statement has hardly begun when the first attempt comes.
            while not stop.wait(0.5):
                driver.interrupt()

        other = threading.Thread(target=interrupt)
        other.start()
        try:
            with pytest.raises(StoreError, match=r"(?i)cancel"), translated(spark.url):
                connection.execute(text("SELECT sum(id % 7) FROM range(100000000000)"))
        finally:
            stop.set()
            other.join()
        assert connection.scalar(select(literal(1))) == 1


def test_products_of_small_parameters_do_not_overflow(spark):
    """A small BigInteger is passed as 64 bits, where Spark would take 32."""
    small = literal(2**31 - 1, BigInteger)
    assert run(spark, select(small * small)) == [((2**31 - 1) ** 2,)]


def test_the_documented_bucket_is_ours(spark):
    """The expression of docs/assignment.md, pasted into Spark, gives the assigner's buckets."""
    documented = (Path(__file__).parents[3] / "docs" / "assignment.md").read_text(encoding="utf-8")
    expression = documented.partition("-- Spark\n")[2].partition("\n")[0]
    ids = ["v1", "A", "a", "it's", "Å ß 漢 🛒", "17", "x" * 255]
    asked = [text(f"SELECT {expression} FROM (SELECT :visitor AS visitor)").bindparams(visitor=one) for one in ids]
    with reading(spark) as connection:
        assert [connection.scalar(one) for one in asked] == [bucket("free-shipping/s", one) for one in ids]


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("spark://", {"master": None, "database": None}),
        ("spark://local[2]/shop", {"master": "local[2]", "database": "shop"}),
        ("spark://local[*]", {"master": "local[*]", "database": None}),
        ("spark://head:7077/shop", {"master": "spark://head:7077", "database": "shop"}),
        ("spark:///shop?master=yarn", {"master": "yarn", "database": "shop"}),
        ("spark://local?spark.driver.memory=4g", {"master": "local", "settings": {"spark.driver.memory": "4g"}}),
    ],
)
def test_urls_of_a_session_here(url, arguments):
    """Each form names its master, database and settings."""
    _, got = SparkDialect().create_connect_args(make_url(url))
    assert {key: got[key] for key in arguments} == arguments


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("spark+connect://head/shop", "sc://head:15002/"),
        ("spark+connect://head:443/shop?use_ssl=true", "sc://head:443/;use_ssl=true"),
        ("spark+connect://ann:a%3Bb@head/shop", "sc://head:15002/;user_id=ann;token=a%3Bb"),
    ],
)
def test_urls_of_a_server(url, remote):
    """Host, port, TLS, user and token become Spark's own connection string."""
    _, got = SparkConnectDialect().create_connect_args(make_url(url))
    assert (got["remote"], got["database"]) == (remote, "shop")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("spark://head/shop", "not a master of Spark: 'head'.*\n.*spark://host:7077"),
        ("spark://local[2]?memory=4g", "memory.*\n.*begin with spark"),
        ("spark+connect:///shop", "names no host"),
        ("spark+connect://head?token=secret", "token of Spark Connect is the password"),
    ],
)
def test_urls_that_cannot_be_used(url, says):
    """What is wrong with them is said, and a token is not printed."""
    kind = SparkConnectDialect if "connect" in url else SparkDialect
    with pytest.raises(StoreError, match=says) as caught:
        kind().create_connect_args(make_url(url))
    assert "secret" not in str(caught.value)


def test_what_is_written_differently():
    """Backticks, escaped strings, doubles with a D, Spark's types."""

    def said(expression):
        return str(expression.compile(dialect=SparkDialect(), compile_kwargs={"literal_binds": True}))

    assert said(select(table("t", column("a`b")).c["a`b"])) == "SELECT t.`a``b` \nFROM t"
    assert said(literal("it's \\")) == r"'it\'s \\'"
    assert said(literal(0.5, Double)) == "0.5D"
    assert said(literal(math.nan, Double)) == "CAST('nan' AS DOUBLE)"
    types = {String(9): "STRING", Double(): "DOUBLE", BigInteger(): "BIGINT", Boolean(): "BOOLEAN"}
    for kind, name in types.items():
        assert said(column("x").cast(kind)) == f"CAST(x AS {name})"
    assert said(column("x").cast(Numeric())) == "CAST(x AS DECIMAL(38, 18))"


def test_without_pyspark_it_says_what_to_install(monkeypatch):
    """A missing extra is named, for Spark Connect too."""
    monkeypatch.setattr(spark_dialect, "find_spec", lambda name: None)
    for url in ("spark://local[2]", "spark+connect://head"):
        with pytest.raises(StoreError, match=r"pip install 'offerlift\[spark\]'"):
            open_engine(database_url(url), schema=None, create=False)


def test_without_java_it_says_what_to_install(pyspark, tmp_path):
    """A machine without Java, as a fresh process sees it."""
    script = (
        "from sqlalchemy import literal, select\n"
        "from offerlift.storage.engine import database_url, open_engine, reading\n"
        "with reading(open_engine(database_url('spark://local[1]'), schema=None, create=False)) as connection:\n"
        "    connection.execute(select(literal(1)))\n"
    )
    environment = os.environ | {"JAVA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "StoreError" in done.stderr
    assert "Spark needs Java 17 or later: install" in done.stderr
