"""What an installation without extras says when one is needed: the command that installs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMANDS = {
    "postgresql": ["db", "stats", "--db", "postgresql://me@127.0.0.1/shop"],
    "mysql": ["db", "stats", "--db", "mysql://me@127.0.0.1/shop"],
    "mariadb": ["db", "stats", "--db", "mariadb://me@127.0.0.1/shop"],
    "duckdb": ["db", "stats", "--db", "duckdb:///shop.duckdb"],
    "duckdb of Parquet files": ["analyze", "free-shipping", "--warehouse", "duckdb:///."],
    "spark": ["analyze", "free-shipping", "--warehouse", "spark://local"],
    "parquet to read": ["import", "outcomes", "shop.parquet", "--event", "purchase", "--db", "shop.db"],
    "parquet to write": ["db", "export", "--to", "out", "--db", "shop.db"],
    "transpile": ["sql", "free-shipping", "--dialect", "bigquery", "--db", "shop.db"],
}

SCRIPT = """
import contextlib, io, json, sys
BARE = {"psycopg", "pymysql", "duckdb", "duckdb_engine", "pyspark", "pyarrow", "sqlglot", "pandas"}

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BARE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
from offerlift.cli.app import run
from offerlift.storage import Store
from pathlib import Path
WAREHOUSE = '''
warehouse:
  assignments: {table: log, visitor: visitor, arm: arm, at: at}
  facts: [{table: facts, visitor: visitor, at: at, event: purchase, value: value, cost: cost, money: major}]
'''
Path("shop.duckdb").touch()
Path("shop.parquet").write_bytes(b"PAR1" * 3)
Path("log.parquet").write_bytes(b"PAR1" * 3)
said = {}
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    assert run(["init"]) == 0
    assert run(["publish", "offers", "--db", "shop.db"]) == 0
with open("offers/free-shipping.yaml", "a") as file:
    file.write(WAREHOUSE)
for name, arguments in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.redirect_stdout(io.StringIO()):
        code = run(arguments)
    said[name] = [code, errors.getvalue()]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, tuple[int, str]]:
    """Exit code and message of each command, in a process that finds none of the extras."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(COMMANDS)],
        cwd=tmp_path_factory.mktemp("bare"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_missing_extra_says_what_to_install(said, name):
    """Without its packages a command says the line for pip, in a few words and without a stack."""
    extra = {"mariadb": "mysql"}.get(name, name.split()[0])
    code, message = said[name]
    assert f"pip install 'offerlift[{extra}]'" in message
    assert code in (2, 3)
    assert len(message) < 300, message
