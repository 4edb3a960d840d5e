"""Spark, read through SQLAlchemy: a dialect of our own over `SparkSession.sql`, in this process or by Spark Connect.

URLs:
    spark://                              the session that runs in this process, else a new one on all cores
    spark://local[2]/shop                 a session on two cores, database `shop`
    spark://host:7077/shop                a standalone cluster, by Spark's own name for it
    spark:///shop?master=yarn             any other master that Spark knows
    spark+connect://host:15002/shop       a Spark Connect server; `:TOKEN@host` and `?use_ssl=true` where it needs them

`?spark.driver.memory=4g` and the like configure a session that is started. A Parquet file or folder is the table of
that path in the schema `parquet`; select from it by an alias, as Spark takes no column by such a name.
"""

# ruff: noqa: N802, N815 - SQLAlchemy looks its methods up by the names of types

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, types
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import BindTyping, IsolationLevel
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import GenericTypeCompiler, IdentifierPreparer, SQLCompiler

from ...errors import StoreError

__all__ = ["SparkConnectDialect", "SparkDialect"]


class _BigInteger(types.BigInteger):
    # Spark takes a small integer as 32 bits, and products of those overflow.
    render_bind_cast = True


class _String(types.String):
    def literal_processor(self, dialect: Any):
        """Spark reads a backslash as an escape, and '' as the end of one string and the start of the next."""
        return lambda value: "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class _Double(types.Double):
    def literal_processor(self, dialect: Any):
        """Without the D a number with a point is a DECIMAL to Spark."""
        return lambda value: f"{float(value)!r}D" if math.isfinite(value) else f"CAST('{value}' AS DOUBLE)"


class _TypeCompiler(GenericTypeCompiler):
    """Spark's names of types."""

    def visit_VARCHAR(self, type_: Any, **_: Any) -> str:
        return "STRING"

    visit_TEXT = visit_CHAR = visit_NVARCHAR = visit_NCHAR = visit_CLOB = visit_VARCHAR

    def visit_FLOAT(self, type_: Any, **_: Any) -> str:
        return "DOUBLE"

    visit_DOUBLE_PRECISION = visit_DOUBLE = visit_REAL = visit_FLOAT

    def visit_BLOB(self, type_: Any, **_: Any) -> str:
        return "BINARY"

    def visit_NUMERIC(self, type_: Any, **_: Any) -> str:
        # Without precision it would be DECIMAL(10, 0).
        return f"DECIMAL({type_.precision or 38}, {18 if type_.scale is None else type_.scale})"

    visit_DECIMAL = visit_NUMERIC

    def visit_TIMESTAMP(self, type_: Any, **_: Any) -> str:
        return "TIMESTAMP" if type_.timezone else "TIMESTAMP_NTZ"

    visit_DATETIME = visit_TIMESTAMP


class _Compiler(SQLCompiler):
    """Where Spark's grammar is not the common one."""

    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> str:
        return f"CAST({sqltext} AS {self.dialect.type_compiler_instance.process(dbapi_type)})"

    def visit_floordiv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        return f"{self.process(binary.left, **kw)} DIV {self.process(binary.right, **kw)}"

    def visit_empty_set_expr(self, element_types: Any, **_: Any) -> str:
        return f"SELECT {', '.join('NULL' for _ in element_types or [None])} WHERE false"

    def limit_clause(self, select: Any, **kw: Any) -> str:
        parts = (("LIMIT", select._limit_clause), ("OFFSET", select._offset_clause))
        return "".join(f"\n {word} {self.process(value, **kw)}" for word, value in parts if value is not None)

    def for_update_clause(self, select: Any, **_: Any) -> Any:
        return ""


class _Preparer(IdentifierPreparer):
    reserved_words = IdentifierPreparer.reserved_words | {"anti", "lateral", "minus", "semi", "setminus", "timestamp"}

    def __init__(self, dialect: Any):
        super().__init__(dialect, initial_quote="`", escape_quote="`")


class SparkDialect(DefaultDialect):
    """`spark://`: a session in this process."""

    name = "spark"
    driver = "pyspark"
    needed: tuple[str, ...] = ("pyspark",)
    default_paramstyle = "qmark"
    supports_statement_cache = True
    supports_native_boolean = True
    supports_native_decimal = True
    supports_sane_rowcount = False
    supports_alter = False
    div_is_floordiv = False
    max_identifier_length = 255
    bind_typing = BindTyping.RENDER_CASTS
    statement_compiler = _Compiler
    type_compiler_cls = _TypeCompiler
    preparer = _Preparer
    # What is not among them, such as Integer, is passed as it is.
    colspecs = {types.BigInteger: _BigInteger, types.String: _String, types.Double: _Double}  # noqa: RUF012 - SQLAlchemy declares it as an instance's

    @classmethod
    def import_dbapi(cls) -> Any:
        """The driver.

        Raises:
            StoreError: what it needs is not installed.
        """
        missing = [name for name in cls.needed if find_spec(name) is None]
        if missing:
            raise StoreError(
                f"the driver for {cls.name} is missing: {', '.join(missing)}",
                hint="Install it: pip install 'offerlift[spark]'.",
            )
        from . import spark_dbapi

        return spark_dbapi

    @classmethod
    def get_pool_class(cls, url: URL) -> type[NullPool]:
        """No pool: a connection is a cheap clone, and a kept one would not see views that were made since."""
        return NullPool

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """What the driver's `connect` takes.

        Raises:
            StoreError: a parameter that is none of Spark's.
        """
        settings = _settings(url, {"master"})
        master = _one(url, "master")
        if url.host is not None:
            master = f"spark://{url.host}:{url.port}" if url.port else url.host
            if not url.port and not master.startswith("local"):
                raise StoreError(
                    f"not a master of Spark: {master!r} in {url.render_as_string()}",
                    hint="Write spark://local[2]/database, spark://host:7077/database with the port of a cluster, "
                    "spark:///database?master=yarn, or spark+connect://host:15002/database.",
                )
        return [], {"master": master, "database": url.database, "settings": settings}

    def initialize(self, connection: Any) -> None:
        """Ask nothing: a statement costs Spark a tenth of a second."""
        self.default_schema_name = None

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Whether an error means that the session is gone."""
        return getattr(e, "sqlstate", None) == self.loaded_dbapi.CONNECTION_LOST

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing: there are no transactions."""

    def get_isolation_level_values(self, dbapi_conn: Any) -> list[IsolationLevel]:
        """Each statement sees the tables as they are when it begins; that is all Spark has."""
        return ["AUTOCOMMIT"]

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        """Nothing: there is only one."""

    def get_default_isolation_level(self, dbapi_conn: Any) -> IsolationLevel:
        """The only one."""
        return "AUTOCOMMIT"


class SparkConnectDialect(SparkDialect):
    """`spark+connect://`: a server of Spark Connect."""

    driver = "connect"
    needed = ("pyspark", "grpc", "pandas", "pyarrow")
    supports_statement_cache = True

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """What the driver's `connect` takes.

        Raises:
            StoreError: no host, a token outside the password, or a parameter that is none of Spark's.
        """
        if url.host is None:
            raise StoreError(
                "spark+connect:// names no host",
                hint="Write spark+connect://host:15002/database, port 15002 by default.",
            )
        if "token" in url.query:
            # As a parameter it would be printed with the URL.
            raise StoreError(
                "the token of Spark Connect is the password of the URL, not a parameter",
                hint="Write spark+connect://:TOKEN@host:443/database?use_ssl=true.",
            )
        settings = _settings(url, {"use_ssl"})
        fields = {"use_ssl": _one(url, "use_ssl"), "user_id": url.username, "token": url.password}
        given = "".join(f";{key}={quote(value, safe='')}" for key, value in fields.items() if value)
        remote = f"sc://{url.host}:{url.port or 15002}/{given}"
        return [], {"remote": remote, "database": url.database, "settings": settings}


def _one(url: URL, key: str) -> str | None:
    value = url.query.get(key)
    return value if value is None or isinstance(value, str) else value[-1]


def _settings(url: URL, known: set[str]) -> dict[str, str]:
    """The parameters that are settings of Spark's."""
    settings = {key: _one(url, key) or "" for key in url.query if key not in known}
    unknown = [key for key in settings if not key.startswith("spark.")]
    if unknown:
        raise StoreError(
            f"?{unknown[0]}= in {url.render_as_string()} is no setting of Spark's",
            hint=f"Those begin with spark., as in ?spark.driver.memory=4g; others are {', '.join(sorted(known))}.",
        )
    return settings
