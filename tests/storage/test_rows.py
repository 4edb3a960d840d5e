"""CSV files: what is read, and what is said about files that cannot be."""

from __future__ import annotations

import csv
import gzip

import pytest
from offerlift.errors import InputError, StoreError
from offerlift.storage.csv_rows import CsvFile
from offerlift.storage.rows import Reject, write_rejects


def refused(path, **options):
    with pytest.raises(InputError) as error:
        list(CsvFile(path, **options))
    return str(error.value)


def test_rows_with_their_lines(write):
    """Quoted line breaks, blank lines and CRLF keep the line numbers right; names and cells are as written."""
    path = write('visitor,note\r\n1,"two\r\nlines"\r\n\r\n 2 ,x\r\n')
    file = CsvFile(path)
    assert file.columns == ["visitor", "note"]
    assert list(file) == [(2, ["1", "two\r\nlines"]), (5, [" 2 ", "x"])]
    assert file.read == 2


@pytest.mark.parametrize("name", ["shop.csv.gz", "shop.csv", "shop"])
def test_gzip_is_known_by_its_first_bytes(write, name):
    """A gzipped file is read whatever it is called."""
    path = write(gzip.compress(b"a,b\n1,2\n"), name)
    assert list(CsvFile(path)) == [(2, ["1", "2"])]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    """Files that Excel saved as UTF-8 begin with a mark."""
    assert CsvFile(write(b"\xef\xbb\xbfa,b\n1,2\n")).columns == ["a", "b"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings(write, encoding):
    """A file in another encoding is read when told which."""
    path = write("größe,b\nä,2\n".encode(encoding))
    file = CsvFile(path, encoding=encoding)
    assert file.columns == ["größe", "b"]
    assert list(file) == [(2, ["ä", "2"])]


def test_bytes_that_are_not_utf_8(write):
    """The line, the byte and the offset are named, and what to do."""
    said = refused(write(b"a,b\n1,2\nB\xe4r,3\n"))
    assert "line 3: byte 0xe4 at offset 9 is not utf-8" in said
    assert "--encoding" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "a header and no rows"),
        ("a,b\n\n\n", "a header and no rows"),
        ("a,b,a\n1,2,3\n", "same name: 'a'"),
        ("a,b\rc,d\r1,2", "not CSV"),
        (b"\x1f\x8bnot gzip", "cannot read"),
        (gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:-20], "cannot read"),
    ],
)
def test_whole_files_that_are_refused(write, content, said):
    """Empty, without rows, ambiguous or damaged files are refused in so many words."""
    assert said in refused(write(content))


@pytest.mark.parametrize("encoding", ["punycode", "idna", "base64"])
def test_encodings_that_are_none_of_a_text_file(write, encoding):
    """A codec that fails in a way of its own, or is none for text, is refused in words like any other."""
    path = write("größe,b\nä,2\n".encode())
    with pytest.raises(InputError):
        list(CsvFile(path, encoding=encoding))


def test_files_that_are_not_there(tmp_path):
    """A missing file and a folder are named."""
    assert "no such file" in refused(tmp_path / "missing.csv")
    with pytest.raises(StoreError, match="it is a folder"):
        CsvFile(tmp_path)
    assert "unknown encoding" in refused(tmp_path, encoding="utf-9")
    assert "one character" in refused(tmp_path, delimiter="")


def test_a_missing_column_lists_those_there_are(write):
    """The nearest name is suggested, and a wrong delimiter is recognised."""
    with pytest.raises(InputError, match=r"no column 'Revenu'; it has 'visitor', 'revenue'\nDid you mean 'revenue'"):
        CsvFile(write("visitor,revenue\n1,2\n")).position("Revenu")
    with pytest.raises(InputError, match="something else than ',': --delimiter ';'"):
        CsvFile(write("visitor;revenue\n1;2\n")).position("revenue")
    assert CsvFile(write("visitor;revenue\n1;2\n"), delimiter=";").position("revenue") == 1


def test_ragged_rows_are_rejected(write):
    """A row of another width than the header is left out with its cells; the others are in."""
    file = CsvFile(write("a,b\n1,2\n3\n4,5,6,7\n8,9\n"))
    assert [cells for _, cells in file] == [["1", "2"], ["8", "9"]]
    assert file.read == 4
    assert file.rejects == [
        Reject(3, "the row has 1 cells, the header 2", {"a": "3"}),
        Reject(4, "the row has 4 cells, the header 2", {"a": "4", "b": "5", "...": "6,7"}),
    ]


def test_the_rejects_file(tmp_path):
    """Line, reason and the original cells, as CSV."""
    path = tmp_path / "rejects.csv"
    write_rejects(path, [Reject(3, 'a "reason", long', {"a": "1\n2"}), Reject(9, "other", {"a": "x", "b": "ü"})])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["line", "reason", "a", "b"],
            ["3", 'a "reason", long', "1\n2", ""],
            ["9", "other", "x", "ü"],
        ]
    with pytest.raises(StoreError, match="cannot write the rejects"):
        write_rejects(tmp_path / "missing" / "rejects.csv", [])


def test_an_unclosed_quote_swallows_nothing_unseen(write):
    """The lines that it took are refused one by one, with the first and the last; what follows is read."""
    rows = "".join(f"{i},x\n" for i in range(3, 40))
    file = CsvFile(write('a,b\n1,"x\n' + rows))
    good = [line for line, _ in file]
    assert (good[0], len(good), file.read) == (22, 18, 38)
    assert [one.line for one in file.rejects] == list(range(2, 22))
    assert "lines 2 to 21 are not CSV (a quote is not closed within 20 lines)" in file.rejects[0].reason
    assert file.rejects[1].row == {"...": "3,x"}


def test_the_file_ends_inside_a_quote(write):
    """What the last quote took is refused."""
    file = CsvFile(write('a,b\n1,2\n3,"x\n4,5\n'))
    assert [cells for _, cells in file] == [["1", "2"]]
    assert [one.line for one in file.rejects] == [3, 4]
    assert "lines 3 to 4" in file.rejects[0].reason


@pytest.mark.parametrize("row", ["2,a\rb", "2," + "x" * 200_000, '2,"x"y'])
def test_a_line_that_is_not_csv_is_refused_alone(write, row):
    """A lone CR, a cell beyond the limit, text after a closing quote."""
    file = CsvFile(write(f"a,b\n1,1\n{row}\n3,3\n"))
    assert [cells for _, cells in file] == [["1", "1"], ["3", "3"]]
    assert [one.line for one in file.rejects] == [3]


def test_empty_columns_at_the_end_are_ignored(write):
    """Columns that a spreadsheet emptied have no name; a cell in one of them is refused."""
    file = CsvFile(write("a,b,,\n1,2,,\n3,4\n5,6,x,\n"))
    assert file.columns == ["a", "b"]
    assert [cells for _, cells in file] == [["1", "2"], ["3", "4"]]
    assert [one.line for one in file.rejects] == [4]
