"""One Spark for the whole run: starting it takes ten seconds."""

# PySpark is half a gigabyte, and not where the types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from offerlift.storage.engine import database_url, open_engine
from sqlalchemy import Engine

EXPECTED = os.environ.get("OFFERLIFT_TEST_SPARK")
"""Set to a master, such as local[2], Spark must be there (.ci/full)."""

MASTER = EXPECTED or "local[2]"


def pytest_configure(config: pytest.Config) -> None:
    """PySpark 4.3 warns about pandas 3, which it needs for Spark Connect alone."""
    config.addinivalue_line("filterwarnings", "ignore:PySpark does not yet fully support pandas:FutureWarning")


@pytest.fixture(scope="session")
def pyspark() -> None:
    """PySpark and Java; without them the test is skipped, but fails where OFFERLIFT_TEST_SPARK expects them."""
    lacking = []
    if find_spec("pyspark") is None:
        lacking.append("PySpark (pip install 'offerlift[spark]')")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        lacking.append("Java 17")
    if lacking:
        reason = f"no {' and no '.join(lacking)} to test Spark with"
        (pytest.fail if EXPECTED else pytest.skip)(reason)


@pytest.fixture(scope="session")
def session(pyspark: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The session of the test's own process, started by our driver as for any user."""
    folder = tmp_path_factory.mktemp("spark")
    engine = open_engine(
        database_url(
            f"spark:///?master={MASTER}&spark.sql.warehouse.dir={folder}&spark.sql.shuffle.partitions=2"
            "&spark.default.parallelism=2"
        ),
        schema=None,
        create=False,
    )
    with warnings.catch_warnings():
        # The gateway leaves the socket of its own handshake to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        with engine.connect():
            pass
    from pyspark.sql import SparkSession

    started = SparkSession.getActiveSession()
    assert started is not None
    yield started
    started.stop()


@pytest.fixture
def spark(session: Any) -> Engine:
    """An engine on Spark."""
    return open_engine(database_url(f"spark://{MASTER}"), schema=None, create=False)
