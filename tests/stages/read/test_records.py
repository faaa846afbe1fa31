"""Files that are no table are refused: what is wrong, where, and what to do about it."""

import gzip
import io
import os
import random
import re
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read import read_in_order, read_rows
from pipeline.text import MAX_MESSAGE

ROWS = b"1,x,yes\n2,x,no\n3,z,no\n"
HEADER = b"a,b,class\n"
Refuse = Callable[..., str]


def contract(path: Path, *, header: bool = False, **changes: object) -> DataSettings:
    """Two words and a class, in a file without a header unless it is said to have one."""
    tree = {
        "name": "t",
        "path": str(path),
        "target": {"name": "class", "positive": ["yes"]},
        "columns": {"a": {"kind": "categorical"}, "b": {"kind": "categorical"}},
        "names": None if header else ["a", "b", "class"],
    }
    return DataSettings.parse(tree | changes)


@pytest.fixture
def refusal(tmp_path: Path) -> Refuse:
    """The message that refuses a file with these bytes; both ways of reading give the same."""

    def refuse(content: bytes, name: str = "t.csv", **changes: object) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        message = refused(path, **changes)
        with pytest.raises(DataError) as again:
            read_in_order(path, contract(path, **changes), need_target=True)
        assert str(again.value) == message
        return message

    return refuse


def refused(path: Path, **changes: object) -> str:
    with pytest.raises(DataError) as error:
        read_rows(contract(path, **changes))
    message = str(error.value)
    assert len(message) <= MAX_MESSAGE
    assert path.name in message
    return message


def parquet(**columns: list[object]) -> bytes:
    packed = io.BytesIO()
    pd.DataFrame(columns).to_parquet(packed)
    return packed.getvalue()


def test_the_table_of_these_tests_is_read(tmp_path):
    """The negative control of this module: without a fault, nothing is refused."""
    path = tmp_path / "t.csv"
    path.write_bytes(ROWS)
    assert read_rows(contract(path)).count.sum() == 3
    path.write_bytes(HEADER + ROWS)
    assert read_rows(contract(path, header=True)).count.sum() == 3


# One message of each kind, whole: {kind: (content, changes of the contract, message)}.
GOLDEN: dict[str, tuple[bytes, dict[str, object], str]] = {
    "empty": (b"", {}, "FILE must hold a table; got no row"),
    "header alone": (HEADER, {"header": True}, "FILE must hold rows; got a header alone"),
    "kind of file": (
        b"\x89PNG\r\n\x1a\n",
        {},
        "FILE must be csv, csv.gz or parquet; got a PNG image",
    ),
    "too large": (
        ROWS,
        {"max_bytes": 9},
        "FILE must hold at most 9 bytes (data.max_bytes); got 22 bytes",
    ),
    "no header": (
        ROWS,
        {"header": True},
        "header of FILE, line 1, must name 'a', 'b', 'class'; got '1', 'x', 'yes': if the file has "
        "no header, name its columns in data.names=[a,b,class], in its order",
    ),
    "names": (
        b"a,B,a\n" + ROWS,
        {"header": True},
        "header of FILE, line 1, must name each column once; got 'a' twice: set "
        "data.names=[a,B,a_2] data.header=true data.rest=ignored\n"
        "header of FILE, line 1, must name 'b', 'class'; got no such column\n"
        "header of FILE, line 1, must name columns of the contract; got 'B'; did you mean 'b'?",
    ),
    "length": (
        ROWS + b"4,x\n" * 7,
        {},
        "FILE must have 3 cells in a row; got 2 in 7 rows: lines 4, 5, 6, 7, 8, …: is the line cut "
        "off?",
    ),
    "separator": (
        ROWS.replace(b",", b";"),
        {},
        "FILE must have 3 cells in a row; got 1 in 3 rows: lines 1, 2, 3: it looks separated by "
        "semicolons: set data.delimiter=semicolon",
    ),
    "open quote": (
        ROWS + b'4,"x,no\n' + ROWS,
        {},
        "FILE must close every quote; got unexpected end of data at line 7, in the cell that opens "
        "at line 4 (set data.quote=null if quotes are text)",
    ),
    "text after a quote": (
        ROWS + b'4,"x\ny"z,no\n',
        {},
        "FILE must close a quote at the end of a cell (one within quotes is written twice); got "
        "',' expected after '\"' at line 5, in the cell that opens at line 4 (set data.quote=null "
        "if quotes are text)",
    ),
    "long cell": (
        ROWS + b"4," + b"x" * 1_000_001 + b",no\n",
        {},
        "FILE must hold cells of at most 1000000 characters (or is a quote not closed?); got field "
        "larger than field limit (1000000) at line 4, in the cell that opens at line 4",
    ),
    "no UTF-8": (
        ROWS + "4,é,no\n".encode("latin-1"),
        {},
        "FILE must be UTF-8 text; got byte 0xe9 at offset 24, line 4: is it Latin-1 (é)? Set "
        "data.encoding=latin-1",
    ),
    "NUL": (
        ROWS + b"4,\0,no\n",
        {},
        "FILE must be text without NUL bytes; got byte 0x00 at offset 24, line 4: take them out "
        "with tr -d '\\000' < FILE > FILE.new",
    ),
    "gzip": (
        gzip.compress(ROWS, mtime=0)[:-8],
        {},
        "FILE must be an intact gzip file; got one that ends early",
    ),
    "nested": (
        parquet(a=["1"], b=[["x", "y"]], **{"class": ["yes"]}),
        {},
        "FILE must hold columns of text and numbers; got nested 'b'",
    ),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_a_refusal_says_thing_rule_value_place_and_cure(refusal, tmp_path, kind):
    content, changes, message = GOLDEN[kind]
    assert refusal(content, **changes).replace(str(tmp_path / "t.csv"), "FILE") == message


# --- what is no file ---------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    """G01: missing."""
    assert "no such file" in refused(tmp_path / "none.csv")


def test_a_dangling_link_is_distinguished_from_a_missing_file(tmp_path):
    """G01: dangling link."""
    link = tmp_path / "link.csv"
    link.symlink_to("gone.csv")
    assert "a link to gone.csv: no such file" in refused(link)


def test_a_loop_of_links_is_refused(tmp_path):
    """G01: symlink loop."""
    link = tmp_path / "loop.csv"
    link.symlink_to(link)
    assert "symbolic links" in refused(link)


def test_a_path_that_cannot_be_one_is_refused():
    """F05: NUL in a path."""
    with pytest.raises(DataError, match="NUL"):
        read_rows(contract(Path("t\0.csv")))


def test_a_folder_is_refused(tmp_path):
    """G01: directory."""
    assert "got a folder" in refused(tmp_path)


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    """G01: no permission."""
    path = tmp_path / "t.csv"
    path.write_bytes(ROWS)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # nobody, for whom the mode counts
        os.seteuid(65534)
    try:
        assert "permission denied" in refused(path)
    finally:
        os.seteuid(user)


def test_a_pipe_is_refused_before_it_is_opened(tmp_path):
    """G02: a pipe without a writer would block for ever."""
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert "got a pipe" in refused(pipe)


def test_a_device_is_refused_before_it_is_opened():
    """G02: /dev/zero would never end."""
    assert "got a device" in refused(Path("/dev/zero"))


def test_a_socket_is_refused(tmp_path, monkeypatch):
    """G02: socket."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is at most 107 bytes long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        assert "got a socket" in refused(tmp_path / "s.csv")


# --- what is no table ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b" \n\t\n  \r\n", b"\xef\xbb\xbf\n", gzip.compress(b"", mtime=0)]
)
@pytest.mark.parametrize("header", [True, False])
def test_an_empty_file_is_refused(refusal, content, header):
    """G03: empty, or white space only."""
    assert refusal(content, header=header)


@pytest.mark.parametrize("content", [HEADER, HEADER.strip(), HEADER + b"\n\n"])
def test_a_header_without_rows_is_refused(refusal, content):
    """G04: header only."""
    assert "must hold rows" in refusal(content, header=True)


def test_every_unknown_name_of_a_header_is_reported_with_the_nearest_that_is_missing(refusal):
    """G04: unexpected header."""
    lines = refusal(b"a,B,klass\n" + ROWS, header=True).splitlines()
    assert "'b', 'class'" in lines[0]
    assert "'B'; did you mean 'b'?" in lines[1]
    assert "'klass'; did you mean 'class'?" in lines[2]
    assert len(lines) == 3


@pytest.mark.parametrize(("char", "name"), [(b";", "semicolon"), (b"\t", "tab"), (b"|", "bar")])
@pytest.mark.parametrize("header", [True, False])
def test_another_separator_is_recognised(refusal, char, name, header):
    """G05: semicolon or tab."""
    content = (HEADER + ROWS if header else ROWS).replace(b",", char)
    message = refusal(content, header=header)
    assert message.endswith(f"looks separated by {name}s: set data.delimiter={name}")


def test_the_other_separator_is_read_once_it_is_configured(tmp_path):
    """G05: the cure that the message names works."""
    path = tmp_path / "t.csv"
    path.write_bytes((HEADER + ROWS).replace(b",", b"\t"))
    assert read_rows(contract(path, header=True, delimiter="\t")).count.sum() == 3


HINTS = {
    "index, no header": (b"0,1,x,yes\n1,2,x,no\n2,3,z,no\n", "lines 1, 2, 3", "an index?"),
    "index that a header leaves out, as R writes it": (
        HEADER + b"1,1,x,yes\n2,2,x,no\n",
        "lines 2, 3",
        "an index?",
    ),
    "index with a name": (b"Unnamed: 0,a,b,class\n0,1,x,yes\n", "line 1", "an index?"),
    "index with an empty name": (b",a,b,class\n0,1,x,yes\n", "line 1", "an index?"),
    "a column too few": (b"1,yes\n2,no\n", "lines 1, 2", "cut off?"),
    "delimiter at the end": (b"1,x,yes,\n2,x,no,\n", "lines 1, 2", "delimiter at the end"),
    "delimiter at one end": (b"1,x,yes\n2,x,no,\n", "line 2", "delimiter at the end"),
    "delimiter at the only end": (b"1,x,yes,", "line 1", "delimiter at the end"),
    "delimiter at the end of a header": (b"a,b,class,\n1,x,yes,\n", "line 1", "delimiter at the"),
    "a row too long": (ROWS + b"4,x,no,more\n", "got 4 at line 4", ""),
    "a row too short": (b'1,"x\ny",yes\n\n2,x,no\n\n3,z\n', "got 2 at line 6", "cut off?"),
    "the last line cut": (ROWS.removesuffix(b",no\n"), "got 2 at line 3", "cut off?"),
    "a comment": (b"# the cars\n" + ROWS, "got 1 at line 1", "a comment?"),
    "white space": (ROWS + b"  \n", "got 1 at line 4", "white space"),
}


@pytest.mark.parametrize("case", HINTS)
def test_rows_of_another_length_are_named_by_line_with_their_probable_cause(refusal, case):
    """G06, G07. The line is what an editor shows, blank ones and those in quotes counted."""
    content, place, hint = HINTS[case]
    header = b"class" in content
    message = refusal(content, header=header)
    assert place in message
    assert hint in message
    assert ("?" in message) == ("?" in hint)


def test_rows_of_each_wrong_length_are_reported_together(refusal):
    """All faults at once, the first of them first."""
    first, second = refusal(ROWS + b"1\n" * 9 + b"1,2,3,4\n" + b"1\n").splitlines()
    assert "got 1 in 10 rows: lines 4, 5, 6, 7, 8, …" in first
    assert "got 4 at line 13" in second


# --- what is no text ----------------------------------------------------------------------------


@pytest.mark.parametrize("block", [b"\x00", b"\x00" * 4096])
def test_nul_bytes_are_named_by_offset_and_line(refusal, block):
    """G08: NUL byte or block; DuckDB alone accepts them."""
    assert "0x00 at offset 10, line 2" in refusal(ROWS[:10] + block + ROWS[10:])


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused_with_an_offset(refusal, seed):
    """G08: random bytes."""
    message = refusal(random.Random(seed).randbytes(5000))
    assert "at offset" in message
    assert "Latin-1" not in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(refusal, encoding):
    """G09: UTF-16, with a byte order mark or without."""
    assert "UTF-16" in refusal(ROWS.decode().encode(encoding))


def test_a_character_cut_off_at_the_end_is_refused(refusal):
    """G09: the last byte of a letter is lost."""
    message = refusal(ROWS + "4,x,é".encode()[:-1])
    assert f"0xc3 at offset {len(ROWS) + 4}, line 4" in message


# --- quotes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "opens"),
    [
        (ROWS + b'4,"x,no\n' + ROWS, 4),
        (ROWS + b'4,"x,no\n5,x,no\n6,"y",no\n', 4),  # the next quote closes it within a cell
        (ROWS + b'4,"x\r\ny"",\r\nz",no\r\n5,"x,no\r\n', 7),
        (b'"1,x,no\n', 1),
        (ROWS + b'4,"x,no\n' + ROWS * 60_000, 4),  # all the rest of a large file
    ],
)
def test_an_unclosed_quote_is_named_by_the_line_where_it_opens(refusal, content, opens):
    """G11: unclosed quote."""
    assert re.search(rf"opens at line {opens}( \(|$)", refusal(content))


def test_a_newline_in_quotes_belongs_to_its_cell(tmp_path):
    """G11: newline in quotes."""
    path = tmp_path / "t.csv"
    path.write_bytes(b'1,"x\ny",yes\n2,x,no\n')
    assert read_rows(contract(path)).frame["b"].tolist() == ["x\ny", "x"]


# --- sizes -------------------------------------------------------------------------------------


def test_a_line_without_an_end_does_not_fill_the_memory(refusal, monkeypatch):
    """G22: no more than a bounded part of it is ever read."""
    monkeypatch.setattr("pipeline.stages.read.records.MAX_LINE", 1000)
    assert "at line 2" in refusal(b"1,x,no\n2," + b"x," * 1000)


@pytest.mark.exhaustive
@pytest.mark.parametrize("cell", [b"x" * 50_000_000, b'"' + b"x,\n" * 16_000_000 + b'"'])
def test_a_field_of_50_mb_is_refused_in_a_short_message(refusal, cell):
    """G22: 50 MB field."""
    assert "opens at line 2" in refusal(b"1,x,no\n2," + cell + b",no\n")


@pytest.mark.exhaustive
@pytest.mark.parametrize("header", [True, False])
def test_a_million_columns_are_refused_in_a_short_message(refusal, header):
    """G22: 10^6 columns."""
    names = ",".join(f"c{i}" for i in range(10**6)).encode()
    message = refusal(names + b"\n" + names + b"\n", header=header)
    assert "'a', 'b', 'class'" in message if header else "got 1000000 in 2 rows" in message


def test_an_archive_is_refused_by_name(refusal):
    """G23: zip, which an Excel workbook is as well."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("t.csv", ROWS)
    assert "a zip archive" in refusal(archive.getvalue())


def test_a_bomb_is_refused_once_it_inflates_beyond_the_limit(refusal):
    """G23: 8 MB of rows in 10 kB; no more than the limit is ever inflated."""
    bomb = gzip.compress(b"1,x,no\n" * 1_200_000, mtime=0)
    assert len(bomb) < 20_000
    message = refusal(bomb, name="t.csv.gz", max_bytes=1_000_000)
    assert "at most 1000000 bytes (data.max_bytes)" in message


def test_a_bomb_of_zeros_is_refused_at_its_first_byte(refusal):
    """G23: bomb."""
    assert "offset 0" in refusal(gzip.compress(bytes(5_000_000)), name="t.csv.gz")


def test_a_damaged_gzip_is_refused(refusal):
    """G23: a checksum that does not fit; rows are whole."""
    packed = bytearray(gzip.compress(ROWS * 1000, mtime=0))
    packed[-6] ^= 1
    assert "intact gzip" in refusal(bytes(packed))


def test_a_gzip_in_a_gzip_is_refused(refusal):
    """G23: only one layer is unpacked."""
    assert "gzip file in a gzip" in refusal(gzip.compress(gzip.compress(ROWS, mtime=0)))


# --- parquet -----------------------------------------------------------------------------------


def test_a_damaged_parquet_file_is_refused(refusal):
    """The reason of DuckDB on one line."""
    whole = parquet(a=["1"], b=["x"], **{"class": ["yes"]})
    content = bytearray(whole)
    content[-20:-8] = b"\xff" * 12
    message = refusal(bytes(content))
    assert "intact parquet" in message
    assert len(message.splitlines()) == 1
    assert "without its end" in refusal(whole[:-10])


def test_the_columns_of_parquet_are_checked_by_name(refusal):
    """G04 for parquet."""
    message = refusal(parquet(a=["1"], bb=["x"], **{"class": ["yes"]}))
    assert "'bb'; did you mean 'b'?" in message


def test_a_parquet_file_without_rows_is_refused(refusal):
    assert "must hold rows" in refusal(parquet(a=[], b=[], **{"class": []}))


# --- nothing is only sampled --------------------------------------------------------------------

DEEP = ROWS * 100_000  # 2.2 MB, 300,000 rows: several of DuckDB's buffers


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (b"4,\x00,no\n", "offset 2200002, line 300001"),
        (b"4,\xe9,no\n", "offset 2200002, line 300001"),
        (b"4,x\n", "got 2 at line 300001"),
        (b"4,x,no,\n", "got 4 at line 300001"),
        (b'4,"x,no\n', "opens at line 300001"),
        (b'4,"x"y,no\n', "opens at line 300001"),
    ],
    ids=["nul", "latin-1", "short", "trailing", "unclosed", "after-quote"],
)
def test_a_fault_deep_in_a_file_of_several_megabytes_is_found(tmp_path, fault, place):
    """G07, G08, G09, G11."""
    path = tmp_path / "deep.csv"
    path.write_bytes(DEEP + fault + ROWS)
    assert place in refused(path)
