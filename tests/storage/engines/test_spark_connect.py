"""Spark Connect: the same engine on a server of its own, and what happens when that is gone."""

# PySpark is half a gigabyte, and not where the types are checked.
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from offerlift.errors import StoreError
from offerlift.storage.engine import database_url, open_engine, reading, translated
from sqlalchemy import func, literal, select, text

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def server(pyspark: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """URL and process of a server on a free port."""
    import pyspark as installed

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("connect")
    settings = {"spark.connect.grpc.binding.port": port, "spark.ui.enabled": "false", "spark.log.level": "ERROR"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(Path(installed.__file__).parent / "bin" / "spark-submit", "--master", "local[2]"),
                *(word for key, value in settings.items() for word in ("--conf", f"{key}={value}")),
                *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"),
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"},
        )
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.5)
        yield f"spark+connect://127.0.0.1:{port}/default", process
    finally:
        process.terminate()
        process.wait(60)


def test_values_and_errors_over_the_network(server):
    """Parameters, exact types, UTC, ANSI arithmetic and errors are those of a session in this process."""
    engine = open_engine(database_url(server[0]), schema=None, create=False)
    values = [2**63 - 1, -(2**63), 0.1, True, None, "it's \\ `?` :x ß", b"\x00\xff", datetime(2026, 3, 1, tzinfo=UTC)]
    with reading(engine) as connection:
        assert list(connection.execute(select(*map(literal, values))).one()) == values
        assert connection.scalar(text("SELECT current_timezone()")) == "UTC"
    for statement, says in (
        (select(func.sum(literal(2**63 - 1) + literal(1))), "overflow"),
        (text("SELECT * FROM no_such_table"), "no_such_table"),
        (text("DROP TABLE no_such_table"), "only read from"),
    ):
        with pytest.raises(StoreError, match=says), reading(engine) as connection:
            connection.execute(statement)


@pytest.mark.filterwarnings("ignore:.*RETRIES_EXCEEDED:UserWarning")
def test_a_server_that_goes_away(server):
    """Its end is a lost connection that says to try again, after a bounded number of attempts; so is nobody there."""
    url, process = server
    engine = open_engine(database_url(url), schema=None, create=False)
    with engine.connect() as connection:
        assert connection.scalar(select(literal(1))) == 1
        process.terminate()
        process.wait(60)
        with pytest.raises(StoreError, match=r"connection to Spark was lost.*\n.*run it again"), translated(engine.url):
            connection.execute(select(literal(2)))
        assert connection.invalidated
    with pytest.raises(StoreError, match="connection to Spark was lost"), reading(engine):
        pass
