"""Letting a server count what it has, so that it plans well."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler

from ..tables import covariate, exposure, outcome, visitor

__all__ = ["collect_statistics"]


def collect_statistics(engine: Engine) -> None:
    """Count the large tables now: servers do by themselves, but after a minute or more."""
    with engine.begin() as connection:
        for table in (visitor, exposure, outcome, covariate):
            connection.execute(_Analyze(table))


class _Analyze(ExecutableDDLElement):
    """ANALYZE of one table."""

    def __init__(self, table: Table):
        self.table = table


@compiles(_Analyze, "postgresql")
def _compile_postgresql(element: _Analyze, compiler: DDLCompiler, **_: Any) -> str:
    return f"ANALYZE {compiler.preparer.format_table(element.table)}"


@compiles(_Analyze, "mysql", "mariadb")
def _compile_mysql(element: _Analyze, compiler: DDLCompiler, **_: Any) -> str:
    # Local: replicas count for themselves.
    return f"ANALYZE LOCAL TABLE {compiler.preparer.format_table(element.table)}"
