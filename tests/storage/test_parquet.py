"""Parquet files: the same rows as in CSV mean the same, types are exact, and what cannot be read is said."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from offerlift.errors import InputError, OfferliftError, StoreError
from offerlift.experiments.records import Outcome
from offerlift.storage import import_exposures, import_outcomes, import_table, read_exposures, read_outcomes, read_table
from offerlift.storage.csv_rows import CsvFile
from offerlift.storage.files import open_rows
from offerlift.storage.parquet_rows import ParquetFile
from offerlift.storage.rows import LONGEST_CELL, Meaning, Records, RowFile
from offerlift.storage.store import CHUNK, Store
from pyarrow.parquet import encryption
from sqlalchemy import create_engine, inspect, text

WHEN = datetime(2026, 3, 1, 12, 30, 0, 250_000, UTC)
BERLIN = pa.timestamp("us", tz="Europe/Berlin")


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """A Parquet file of these columns."""

    def write_file(columns: dict[str, Any] | pa.Table, name: str = "shop.parquet", **options: Any) -> Path:
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        pq.write_table(table, tmp_path / name, **options)
        return tmp_path / name

    return write_file


def cells(path: Path, meaning: Meaning, column: str = "x") -> list[str]:
    file = open_rows(path)
    position = file.position(column, meaning)
    return [row[position] for _, row in file]


def refused(path: Path, meaning: Meaning | None = None, column: str = "x") -> str:
    with pytest.raises(InputError) as error:
        cells(path, meaning or Meaning.NAME, column)
    return str(error.value)


D = Decimal
TYPED = [
    (Meaning.ID, pa.array(["v1", None, ""]), ["v1", "", ""]),
    (Meaning.ID, pa.array(["v1"], pa.large_string()), ["v1"]),
    (Meaning.ID, pa.array(["b", "a", None, "b"]).dictionary_encode(), ["b", "a", "", "b"]),
    (Meaning.ID, pa.array([7, 7, -3]).dictionary_encode(), ["7", "7", "-3"]),
    (Meaning.ID, pa.array([2**63 - 1, -1, None]), [str(2**63 - 1), "-1", ""]),
    (Meaning.ID, pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
    (Meaning.ID, pa.array([7, None], pa.int8()), ["7", ""]),
    (Meaning.ID, pa.array([D(10**37), None], pa.decimal128(38, 0)), [str(10**37), ""]),
    (Meaning.ID, pa.array([UUID(int=7).bytes, None], pa.uuid()), [str(UUID(int=7)), ""]),
    (Meaning.ID, pa.nulls(2), ["", ""]),
    (Meaning.NAME, pa.array([True, False, None]), ["true", "false", ""]),
    (Meaning.FLAG, pa.array([True, False, None]), ["true", "false", ""]),
    (Meaning.FLAG, pa.array([1.0, 0.0]), ["1", "0"]),
    (Meaning.AMOUNT, pa.array([D("90071992547409.91"), None], pa.decimal128(38, 2)), ["90071992547409.91", ""]),
    (Meaning.AMOUNT, pa.array([D(f"{10**60}.25")], pa.decimal256(76, 2)), [f"{10**60}.25"]),
    (Meaning.AMOUNT, pa.array([29.99, 29.990000000000002, float("nan")]), ["29.99", "29.990000000000002", "nan"]),
    (Meaning.AMOUNT, pa.array([0.5, 29.9], pa.float32()), ["0.5", "29.899999618530273"]),
    (Meaning.NUMBER, pa.array([np.float16(1.5)], pa.float16()), ["1.5"]),
]


@pytest.mark.parametrize(("meaning", "array", "expected"), TYPED, ids=lambda value: str(getattr(value, "type", "")))
def test_typed_columns_are_the_text_of_a_csv_file(save, meaning, array, expected):
    """Every type is written exactly, in every digit that is stored; nulls are empty."""
    assert cells(save({"x": array}), meaning) == expected


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_are_the_same_moment_in_every_unit_and_zone(save, unit):
    """A zone changes how a moment is shown, not which one is imported; no zone database is asked."""
    whole = WHEN.replace(microsecond=0)
    moments = pa.array([whole]).cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, "No/Where"))
    columns = {"visitor": ["v"], "arm": ["a"], "at": moments}
    ((_, _, record),) = read_exposures(save(columns), experiment="exit")
    assert record.at == whole


@pytest.mark.parametrize(
    ("meaning", "array", "said"),
    [
        (Meaning.TIME, pa.array([WHEN.replace(tzinfo=None)]), "seen timestamp[us]\nWithout its zone nobody knows"),
        (Meaning.TIME, pa.array([date(2026, 3, 1)]), "seen date32[day]\nA day is no moment"),
        (Meaning.TIME, pa.array([1_772_323_200]), "a time is text or a timestamp with a time zone; seen int64"),
        (Meaning.ID, pa.array([1.0, None]), "seen double\nWrite the ids as integers or text"),
        (Meaning.ID, pa.array([D("1.5")]), "seen decimal128(2, 1)\nWrite the ids"),
        (Meaning.ID, pa.array([True]), "seen bool"),
        (Meaning.ID, pa.array([b"v1"]), "seen binary"),
        (Meaning.AMOUNT, pa.array([True]), "an amount is text or an integer"),
        (Meaning.NUMBER, pa.array([WHEN]), "seen timestamp[us, tz=UTC]"),
        (Meaning.FLAG, pa.array([timedelta(1)]), "seen duration[us]"),
        (Meaning.NAME, pa.array([["a"]]), "seen list<"),
        (Meaning.NAME, pa.array([{"a": 1}]), "seen struct<a: int64>"),
        (Meaning.NAME, pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "seen map<"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_types_that_cannot_have_the_meaning_are_refused_as_a_whole(save, meaning, array, said):
    """File, column, type seen and what is allowed are named before any row is read."""
    path = save({"x": array})
    with pytest.raises(InputError) as error:
        open_rows(path).position("x", meaning)
    assert str(error.value).startswith(f"{path}, column 'x': {meaning.value} is ")
    assert said in str(error.value)


def test_columns_that_nobody_asked_for_are_not_read(save):
    """Lists and wide columns beside the named ones are no obstacle, and are not among a refused row's cells."""
    path = save({"tags": [["a"], []], "x": ["v1", None], "note": ["n" * 1000, ""]})
    assert cells(path, Meaning.ID) == ["v1", ""]
    file = ParquetFile(path)
    assert file.columns == ["tags", "x", "note"]
    assert (file.position("x", Meaning.ID), file.position("note"), file.position("x")) == (0, 1, 0)
    rows = list(file)
    file.reject(1, "why", rows[0][1])
    assert file.rejects[0].row == {"x": "v1", "note": "n" * 1000}
    assert file.rejects[0].place == "row 1"


def test_damage_in_a_column_that_nobody_asked_for(save, write):
    """Its pages are not even looked at."""
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    path = save({"x": [1, 2], "note": ["abc", "xyz"]}, write_page_checksum=True, **plain)
    raw = path.read_bytes()
    at = raw.index(b"abc")
    damaged = write(raw[:at] + b"?" + raw[at + 1 :], "damaged.parquet")
    assert cells(damaged, Meaning.ID) == ["1", "2"]
    assert "checksum" in refused(damaged, Meaning.NAME, "note")


def test_a_missing_column_lists_those_there_are(save):
    """The nearest name is suggested, as with CSV."""
    assert "no column 'X'; it has 'x', 'y'\nDid you mean 'x'?" in refused(save({"x": [1], "y": [2]}), column="X")


# --- the same shop in both formats


SHOP_COLUMNS = {"arm": "arm", "control": "a", "visitor": "who", "revenue": "spent", "conversion": "bought"}
BREAKS: list[tuple[str, Any]] = [
    ("who", None),
    ("who", "x" * 256),
    ("who", "v\0v"),
    ("spent", None),
    ("spent", 1.005),
    ("spent", float("nan")),
    ("spent", float("inf")),
    ("spent", 1e300),
    ("bought", None),
    ("before", float("inf")),
    ("before", 1e61),
    ("arm", ""),
    ("arm", "a\u0007"),
]


def shop(rows: int, seed: int) -> dict[str, list[Any]]:
    """Columns of a shop whose every twentieth row is broken in one of the ways."""
    draw = random.Random(seed)
    columns: dict[str, list[Any]] = {
        "who": [f"v{number}" for number in range(rows)],
        "arm": [draw.choice("abc") for _ in range(rows)],
        "spent": [(100 * draw.randrange(-5, 90) + draw.randrange(1, 100)) / 100 for _ in range(rows)],
        "bought": [draw.random() < 0.3 for _ in range(rows)],
        "before": [None if draw.random() < 0.1 else draw.gauss(0, 1e3) for _ in range(rows)],
    }
    for number, row in enumerate(range(7, rows, 20)):
        column, value = BREAKS[number % len(BREAKS)]
        columns[column][row] = value
    return columns


def as_csv(columns: dict[str, list[Any]]) -> str:
    def cell(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, datetime):
            return value.isoformat()
        return "" if value is None else str(value)

    rows = (",".join(map(cell, row)) for row in zip(*columns.values(), strict=True))
    return "\n".join([",".join(columns), *rows]) + "\n"


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables of a store, but for the names of files and the moments of writing."""
    engine = create_engine(url)
    with engine.connect() as connection:
        names = sorted(set(inspect(connection).get_table_names()) - {"import_file", "experiment_version", "meta"})
        found = {
            name: [
                tuple(value for column, value in row.items() if column != "received_at")
                for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()
            ]
            for name in names
        }
    engine.dispose()
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def said(rejects: Sequence[Any]) -> list[tuple[int, str, dict[str, str]]]:
    """Row (a CSV file's lines begin with the header), reason and cells of what was refused."""
    first = {"line": 1, "row": 0}
    return [(one.line - first[one.counted], one.reason, dict(one.row)) for one in rejects]


def test_a_table_with_broken_rows_is_the_same_in_both_formats(save, write, tmp_path):
    """5 % broken rows: the same visitors, numbers, refused rows and reasons, whichever file they came from."""
    columns = shop(4_000, seed=4)
    parquet = save(columns, row_group_size=700)
    csv = write(as_csv(columns))
    options: dict[str, Any] = {**SHOP_COLUMNS, "covariate": "before", "key": "shop"}
    tables = [read_table(path, **options) for path in (parquet, csv)]
    assert len(tables[0].rejects) == 200
    one, other = tables
    assert [row.content for row in one.rows] == [row.content for row in other.rows]
    assert [row.visitor for row in one.rows] == [row.visitor for row in other.rows]
    assert said(one.rejects) == said(other.rejects)
    assert (one.read, one.repeated) == (other.read, other.repeated)
    with Store.open(tmp_path / "both.db") as store:
        assert import_table(store, one).new == 3_800
        again = import_table(store, other)
        assert (again.new, again.repeated, again.refused) == (0, 3_800, 200)


def test_events_with_broken_rows_are_the_same_in_both_formats(save, write, tmp_path, make_published):
    """Exposures and outcomes, 5 % broken: every table of the two stores is equal, and so is what was refused."""
    draw = random.Random(5)
    count = 2_000
    exposures: dict[str, list[Any]] = {
        "visitor": [draw.randrange(1_500) for _ in range(count)],
        "arm": [draw.choice("abc") if number % 20 else "d" for number in range(count)],
        "at": [
            WHEN + timedelta(microseconds=draw.randrange(10**12)) if number % 40 else None for number in range(count)
        ],
    }
    outcomes: dict[str, list[Any]] = {
        "id": list(range(count)),
        "visitor": [str(draw.randrange(1_500)) if number % 60 != 1 else "" for number in range(count)],
        "what": [draw.choice(("purchase", "click")) if number % 50 != 3 else "a:b" for number in range(count)],
        "at": [WHEN + timedelta(microseconds=draw.randrange(10**12)) for _ in range(count)],
        "value": [Decimal(draw.randrange(10**6)).scaleb(-2 if number % 25 != 7 else -3) for number in range(count)],
        "quantity": [draw.choice((None, 1, 2, 3)) for _ in range(count)],
    }
    outcomes["value"] = [one.quantize(Decimal("0.001")) for one in outcomes["value"]]
    typed = {
        "visitor": pa.array(exposures["visitor"], pa.int32()),
        "arm": pa.array(exposures["arm"]).dictionary_encode(),
        "at": pa.array(exposures["at"]).cast(BERLIN),
    }
    files = {
        "parquet": (save(typed, "e.parquet"), save(outcomes, "o.parquet", compression="zstd")),
        "csv": (write(as_csv(exposures), "e.csv"), write(as_csv(outcomes), "o.csv")),
    }
    columns = {"outcome_id": "id", "event_column": "what", "at": "at", "value": "value", "quantity": "quantity"}
    reports, stores = {}, {}
    for kind, (first, second) in files.items():
        with Store.open(tmp_path / f"{kind}.db") as store:
            store.publish(make_published())
            reports[kind] = (
                import_exposures(store, read_exposures(first, experiment="exit")),
                import_outcomes(store, read_outcomes(second, **columns)),
            )
        stores[kind] = contents(f"sqlite:///{tmp_path / kind}.db")
    for one, other in zip(reports["parquet"], reports["csv"], strict=True):
        assert (one.read, one.new, one.repeated, one.changed, one.crossovers) == (
            other.read,
            other.new,
            other.repeated,
            other.changed,
            other.crossovers,
        )
        assert [(row, why) for row, why, _ in said(one.rejects)] == [(row, why) for row, why, _ in said(other.rejects)]
        assert one.refused >= count // 20
        assert one.events == other.events
    assert reports["csv"][1].events == ("click", "purchase")
    assert len(stores["csv"]["exposure"]) > 500
    assert len(stores["csv"]["outcome"]) > 1_500
    assert stores["parquet"] == stores["csv"]


def test_integers_and_text_are_the_same_visitor(store, save, write, make_published):
    """1 of an integer column and "1" of a text file is one person, on every engine."""
    store.publish(make_published())
    columns = {"visitor": pa.array([1, 2, None]), "arm": ["a", "b", "a"], "at": [WHEN] * 3}
    first = import_exposures(store, read_exposures(save(columns), experiment="exit"))
    assert (first.new, first.refused) == (2, 1)
    assert (first.rejects[0].place, first.rejects[0].row["visitor"]) == ("row 3", "")
    rows = f"visitor,arm,at\n1,a,{WHEN.isoformat()}\n2,b,{WHEN.isoformat()}\n"
    assert import_exposures(store, read_exposures(write(rows), experiment="exit")).repeated == 2


def test_doubles_are_money_where_they_are_whole_minor_units(save):
    """Within 1e-9 of a cent a double counts; other rows are refused with column, value and what is allowed."""
    path = save({"arm": ["a", "b", "a"], "spent": [29.990000000000002, 0.1 + 0.2, 1.005]})
    table = read_table(path, arm="arm", control="a", revenue="spent")
    assert [(row.visitor, row.revenue) for row in table.rows] == [("1", 2999), ("2", 30)]
    assert said(table.rejects) == [
        (
            3,
            "column 'spent': EUR has 2 decimal places, seen 1.005; a part of a minor unit is refused",
            {"arm": "a", "spent": "1.005"},
        )
    ]


# --- hostile and damaged files


@pytest.mark.parametrize("name", ["shop.csv", "shop", "shop.csv.gz", "SHOP.PARQUET"])
def test_parquet_is_known_by_its_first_bytes(save, name):
    """A Parquet file is read whatever it is called."""
    assert cells(save({"x": [1]}, name), Meaning.ID) == ["1"]


def test_a_name_that_says_parquet_and_a_file_that_does_not(write, tmp_path):
    """Something else under that name is refused with its first bytes; CSV under other names is CSV."""
    path = write("x,y\n1,2\n", "shop.parquet")
    assert f"{path} is no Parquet file: one begins with b'PAR1', seen b'x,y\\n'" in refused(path)
    assert "is empty" in refused(write("", "none.parquet"))
    assert isinstance(open_rows(write("x,y\n1,2\n", "shop.txt")), CsvFile)
    with pytest.raises(StoreError, match=r"it is a folder\nGive one file"):
        open_rows(tmp_path)
    assert "no such file" in refused(tmp_path / "missing.parquet")
    assert "not the name of a file" in refused(tmp_path / "a\0b")


def test_a_gzipped_parquet_file(save, write):
    """It is named as what it is, not taken for CSV."""
    packed = gzip.compress(save({"x": [1]}).read_bytes())
    assert "gzipped Parquet file\nUnpack it first" in refused(write(packed, "shop.parquet.gz"))


def test_truncated_files_are_refused(save, write):
    """Cut off anywhere, a file is named with what to do; nothing of it is read."""
    whole = save({"x": list(range(5_000))}).read_bytes()
    for length in (4, 8, 12, 1_000, len(whole) - 8, len(whole) - 4, len(whole) - 1):
        path = write(whole[:length], "cut.parquet")
        assert refused(path).startswith(f"cannot read {path}: ")
        assert "fetch it again" in refused(path)


def test_damage_inside_a_page_stops_with_the_row(save, write, memory):
    """What was read before the damage is stored and stays; the error names the row, and the rest is not guessed."""
    count = 3 * CHUNK
    path = save(
        {"outcome_id": list(range(count)), "visitor": ["v"] * count},
        compression="none",
        use_dictionary=False,
        row_group_size=CHUNK,
        write_page_checksum=True,
    )
    raw = bytearray(path.read_bytes())
    at = raw.index((2 * CHUNK + 100).to_bytes(8, "little"))
    raw[at] ^= 1
    damaged = write(bytes(raw), "damaged.parquet")
    with pytest.raises(InputError, match=f"after row {2 * CHUNK}: .*checksum") as error:
        import_outcomes(memory, read_outcomes(damaged, event="purchase"))
    assert "again" in error.value.hint
    report = import_outcomes(memory, read_outcomes(path, event="purchase"))
    assert (report.new, report.repeated) == (CHUNK, 2 * CHUNK)


@pytest.mark.parametrize("compression", ["snappy", "none"])
def test_random_damage_is_an_error_in_words_or_rows(save, write, compression):
    """Bytes changed at random: the file is refused by this package's error, or its rows are read; nothing else."""
    columns = {
        "who": pa.array([f"v{number % 50}" for number in range(300)]).dictionary_encode(),
        "x": [number / 8 for number in range(300)],
        "at": pa.array([WHEN] * 300).cast(BERLIN),
    }
    whole = save(columns, compression=compression, row_group_size=100).read_bytes()
    draw = random.Random(compression)
    ends = {"read": 0, "refused": 0}
    for _ in range(300):
        raw = bytearray(whole)
        for _ in range(draw.choice((1, 1, 3, 20))):
            raw[draw.randrange(4, len(raw))] = draw.randrange(256)
        try:
            file = open_rows(write(bytes(raw), "damaged"))
            for column, meaning in (("who", Meaning.ID), ("x", Meaning.AMOUNT), ("at", Meaning.TIME)):
                file.position(column, meaning)
            assert len(list(file)) > 0
            ends["read"] += 1
        except OfferliftError:
            ends["refused"] += 1
    assert min(ends.values()) > 10


def test_an_index_that_its_dictionary_does_not_have(save, write):
    """Arrow does not check where a damaged index points; such a file is refused, and no other value is taken for it."""
    path = save({"x": pa.array(["aa", "bb", "aa"]).dictionary_encode()}, compression="none")
    raw = path.read_bytes()
    # Bit width 1, then one bit-packed group: 0 1 0.
    packed = b"\x01\x03\x02"
    assert raw.count(packed) == 1
    wide = write(raw.replace(packed, b"\x02\x03\x3c"), "index.parquet")
    assert "a value that its dictionary does not have" in refused(wide)


def test_encrypted_files_are_refused(save, write):
    """A file whose footer is encrypted is named as such."""
    whole = save({"x": [1]}).read_bytes()
    assert "is an encrypted Parquet file\nWrite it again" in refused(write(b"PARE" + whole[4:-4] + b"PARE", "x"))


class Keys(encryption.KmsClient):
    """Keys wrapped in nothing but base64."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return b64encode(key_bytes)

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
        return b64decode(wrapped_key)


def test_an_encrypted_column_beside_open_ones(tmp_path):
    """Only reading the encrypted one is an error."""
    factory = encryption.CryptoFactory(lambda _: Keys())
    wanted = encryption.EncryptionConfiguration(footer_key="f", column_keys={"c": ["x"]}, plaintext_footer=True)
    keys = factory.file_encryption_properties(encryption.KmsConnectionConfig(), wanted)
    path = tmp_path / "secret.parquet"
    pq.write_table(pa.table({"x": [1], "y": [2]}), path, encryption_properties=keys)
    assert cells(path, Meaning.ID, "y") == ["2"]
    assert "Cannot decrypt" in refused(path)


def test_files_without_rows_or_with_a_name_twice(save):
    """Both are refused as with CSV."""
    assert "has columns and no rows" in refused(save({"x": pa.array([], pa.string())}))
    twice = pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])
    assert "columns of the same name: 'x'" in refused(save(twice))


def test_a_huge_cell_is_refused_alone(save, memory):
    """A text beyond the limit of a cell is refused with its length; the rejects hold its beginning only."""
    path = save({"outcome_id": ["1", "2" * 5_000_000, "3"], "visitor": ["v", "w", "x"]})
    report = import_outcomes(memory, read_outcomes(path, event="purchase"))
    assert (report.new, report.refused) == (2, 1)
    reason = f"column 'outcome_id': a cell has at most {LONGEST_CELL} characters, this one 5000000"
    assert said(report.rejects) == [(2, reason, {"outcome_id": "2" * 100 + "...", "visitor": "w"})]


def test_text_that_is_no_utf_8_is_refused_alone(save, memory):
    """The row of such an id is left out; the others are stored."""
    raw = pa.array([b"v1", b"v\xff2", b"v3"])
    text_of_them = pa.StringArray.from_buffers(3, *raw.buffers()[1:])
    report = import_outcomes(memory, read_outcomes(save({"outcome_id": [1, 2, 3], "visitor": text_of_them}), event="e"))
    assert (report.new, [one.line for one in report.rejects]) == (2, [2])


def test_without_pyarrow_the_error_says_what_to_install(save, monkeypatch):
    """CSV needs nothing; a Parquet file names the extra."""
    path = save({"x": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pyarrow is not installed\nInstall it: pip install 'offerlift[parquet]'" in refused(path)


# --- memory


READ = """
import sys
import pyarrow
from offerlift.storage.files import open_rows
from offerlift.storage.rows import Meaning
file = open_rows(sys.argv[1])
file.position("x", Meaning.ID)
assert sum(1 for _ in file) == file.read
print(file.read, pyarrow.default_memory_pool().max_memory())
"""


def test_a_file_is_read_in_bounded_memory(save):
    """Eight times the rows in one row group: the most that Arrow ever held is about the same, not eight times."""
    draw = random.Random(8)
    peaks = []
    for count in (30_000, 240_000):
        path = save({"x": [draw.randbytes(40).hex() for _ in range(count)]}, row_group_size=count)
        done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
        read, peak = map(int, done.stdout.split())
        assert read == count
        peaks.append(peak)
    assert peaks[1] < 2 * peaks[0]


def test_an_import_holds_one_transactions_rows(memory):
    """While a file is stored, no more cells are held than those of the transaction and the row being read."""

    held = most = 0

    class Cells(list[str]):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    class Counted(RowFile):
        def __iter__(self) -> Iterator[tuple[int, list[str]]]:
            nonlocal held, most
            for number in range(3 * CHUNK + 10):
                self.read += 1
                held += 1
                most = max(most, held)
                yield number + 2, Cells([str(number)])

    records = Records(Counted(Path("counted"), ["id"]), lambda row: Outcome(row[0], "v", "purchase"))
    assert import_outcomes(memory, records).new == 3 * CHUNK + 10
    assert CHUNK <= most <= 2 * CHUNK
