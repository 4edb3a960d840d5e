"""Column types that mean the same on every engine: text that compares by its bytes, and 64-bit numbers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import TypeCompiler

__all__ = ["DOCUMENT", "ID", "NUMBER", "bytes_collation", "word"]


class _ByteString(mysql.VARCHAR):
    """Text of MySQL or MariaDB that compares by its bytes, those of trailing spaces included."""


class _ByteText(mysql.LONGTEXT):
    """The same without a limit; a plain TEXT ends at 64 kB there."""


def bytes_collation(dialect: Dialect) -> str:
    """The collation of MySQL or MariaDB that compares by bytes; a server of either kind answers to a URL of the other.

    Their default collations make "a", "A" and "á" one visitor, and utf8mb4_bin, which pads, makes "a" and "a " one.
    """
    return "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"


@compiles(_ByteString, "mysql", "mariadb")
@compiles(_ByteText, "mysql", "mariadb")
def _compile_bytes(element: _ByteString | _ByteText, compiler: TypeCompiler, **_: Any) -> str:
    kind = f"VARCHAR({element.length})" if isinstance(element, _ByteString) else "LONGTEXT"
    return f"{kind} CHARACTER SET utf8mb4 COLLATE {bytes_collation(compiler.dialect)}"


def word(length: int) -> String:
    """Text of at most so many characters, which the program chose."""
    of_mysql = _ByteString(length)
    return String(length).with_variant(of_mysql, "mysql").with_variant(of_mysql, "mariadb")


ID = word(255).with_variant(String(255, collation="C"), "postgresql")
"""Text that somebody else chose: PostgreSQL's own collation would sort it differently from one server to the next."""

DOCUMENT = Text().with_variant(_ByteText(), "mysql").with_variant(_ByteText(), "mariadb")
"""Text of any length."""

NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer; SQLite numbers rows by itself only where the type is spelled INTEGER."""
