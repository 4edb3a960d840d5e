"""The errors of PEP 249 for Spark, and which of them each failure of PySpark is."""

# PySpark is half a gigabyte, and not where the types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging import LogRecord

__all__ = [
    "CONNECTION_LOST",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
    "translated",
]

CONNECTION_LOST = "08006"
"""SQLSTATE of a session that is gone."""


class Warning(Exception):  # noqa: N818 - PEP 249 names it so
    """Never raised; PEP 249 asks for it."""


class Error(Exception):
    """Root of the driver's errors; `sqlstate` is Spark's, `hint` says what to do next; either may be None."""

    def __init__(self, message: str, *, sqlstate: str | None = None, hint: str | None = None):
        super().__init__(message)
        self.sqlstate = sqlstate
        self.hint = hint


class InterfaceError(Error):
    """The driver was used wrongly: something closed, a fetch without a statement."""


class DatabaseError(Error):
    """Any error of Spark's."""


class DataError(DatabaseError):
    """A value that cannot be passed or computed: overflow, division by zero, text that is no number."""


class OperationalError(DatabaseError):
    """Spark cannot be reached, started or asked; or a task failed."""


class IntegrityError(DatabaseError):
    """Never raised: nothing is written."""


class InternalError(DatabaseError):
    """A bug of Spark's, by its own account."""


class ProgrammingError(DatabaseError):
    """A statement that Spark cannot read, or that names what is not there."""


class NotSupportedError(DatabaseError):
    """A statement that writes, or what this engine does not have."""


# By the class of the SQLSTATE, its first two characters.
_KINDS: dict[str, type[DatabaseError]] = {
    "0A": NotSupportedError,
    "21": DataError,
    "22": DataError,
    "42": ProgrammingError,
    "XX": InternalError,
}

_HINTS = {
    "JAVA_GATEWAY_EXITED": "Spark needs Java 17 or later: install a runtime (Debian: apt-get install "
    "openjdk-17-jre-headless), or point JAVA_HOME at one.",
    "TABLE_OR_VIEW_NOT_FOUND": "Check the name, and the database in the URL: spark://local[2]/DATABASE.",
    "SCHEMA_NOT_FOUND": "Check the database in the URL: spark://local[2]/DATABASE.",
    "PATH_NOT_FOUND": "Check the path; every worker of the cluster must see it too.",
    "UNRESOLVED_COLUMN.WITH_SUGGESTION": "Check the column's name.",
    "OPERATION_CANCELED": "It was interrupted, or took longer than it may.",
    "INSUFFICIENT_PERMISSIONS": "Ask for SELECT on the table.",
}

_LOST = "The session or the server has gone; run it again, which connects anew."

# PySpark and gRPC tell these apart from others only in words.
_LOST_SIGNS = (
    "stopped SparkContext",
    "SparkContext was shut down",
    "StatusCode.UNAVAILABLE",
    "failed to connect to all addresses",
    "INVALID_HANDLE.SESSION",
    "Answer from Java side is empty",
    "Error while sending or receiving",
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what PySpark, Py4J and gRPC raise into the errors of this module."""
    import py4j.protocol
    from pyspark.errors import PySparkException

    with _without_log():
        try:
            yield
        except PySparkException as error:
            raise _of_spark(error) from error
        except (py4j.protocol.Py4JNetworkError, ConnectionError, EOFError) as error:
            raise _lost(str(error) or type(error).__name__) from error
        except py4j.protocol.Py4JJavaError as error:
            raise _of_text(str(error.java_exception)) from error
        except py4j.protocol.Py4JError as error:
            raise _of_text(str(error)) from error
        except Exception as error:
            # grpc is installed for Spark Connect alone, and its errors have no other sign.
            if type(error).__module__.partition(".")[0] != "grpc":
                raise
            raise _lost(_first_line(str(error))) from error


def _of_spark(error: Exception) -> Error:
    condition = getattr(error, "getCondition", lambda: None)()
    state = getattr(error, "getSqlState", lambda: None)()
    message = _first_line(str(error))
    if condition is None and state is None:
        return _of_text(str(error))
    if any(sign in message for sign in _LOST_SIGNS):
        return _lost(message)
    kind = _KINDS.get((state or "")[:2], OperationalError)
    return kind(message, sqlstate=state, hint=_HINTS.get(condition or ""))


def _of_text(text: str) -> Error:
    sign = next((sign for sign in _LOST_SIGNS if sign in text), None)
    return _lost(_first_line(text)) if sign else OperationalError(_first_line(text))


def _lost(message: str) -> Error:
    return OperationalError(f"the connection to Spark was lost: {message}", sqlstate=CONNECTION_LOST, hint=_LOST)


def _first_line(text: str) -> str:
    # What follows are the statement, the plan and the stack.
    return next((line.strip() for line in text.splitlines() if line.strip()), "Spark gave no reason")


_thread = threading.local()


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep PySpark from printing each of this thread's errors as JSON before it raises it."""
    from pyspark.logger import PySparkLogger

    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        # The same function again is no second filter.
        PySparkLogger.getLogger(name).addFilter(_is_foreign)
    before = getattr(_thread, "ours", False)
    _thread.ours = True
    try:
        yield
    finally:
        _thread.ours = before


def _is_foreign(_record: LogRecord) -> bool:
    return not getattr(_thread, "ours", False)
