"""Files that are no table are refused: what is wrong, where, and what to do about it."""

import gzip
import io
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.config import DataSettings
from pipeline.errors import MAX_MESSAGE, DataError
from pipeline.stages.read import read_in_order, read_rows

ROWS = b"1,x,yes\n2,x,no\n3,z,no\n"
HEADER = b"a,b,class\n"


def contract(path: Path, *, header: bool = False, **changes: object) -> DataSettings:
    """Two words and a class, in a file without a header unless told."""
    tree = {
        "name": "t",
        "path": str(path),
        "target": {"name": "class", "positive": ["yes"]},
        "columns": {"a": {"kind": "categorical"}, "b": {"kind": "categorical"}},
        "names": None if header else ["a", "b", "class"],
    }
    return DataSettings.parse(tree | changes)


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
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


def test_the_table_of_these_tests_is_read(tmp_path):
    """The negative control of this module: without a fault, nothing is refused."""
    path = tmp_path / "t.csv"
    path.write_bytes(ROWS)
    assert read_rows(contract(path)).count.sum() == 3
    path.write_bytes(HEADER + ROWS)
    assert read_rows(contract(path, header=True)).count.sum() == 3


def test_a_missing_file_is_named(tmp_path):
    """G01: missing."""
    assert "must exist; got no such file" in refused(tmp_path / "none.csv")


def test_a_dangling_link_is_told_from_a_missing_file(tmp_path):
    """G01: dangling link."""
    link = tmp_path / "link.csv"
    link.symlink_to("gone.csv")
    assert "got a link to gone.csv, which does not" in refused(link)


def test_a_loop_of_links_is_refused(tmp_path):
    """G01: symlink loop."""
    link = tmp_path / "loop.csv"
    link.symlink_to(link)
    assert "leads back to itself" in refused(link)


def test_a_path_that_cannot_be_one_is_refused():
    """F05: NUL in a path."""
    with pytest.raises(DataError, match="must be the path of a file; got a NUL character"):
        read_rows(contract(Path("t\0.csv")))


def test_a_folder_is_refused(tmp_path):
    """G01: directory."""
    assert "must be a regular file; got a folder" in refused(tmp_path)


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    """G01: no permission."""
    path = tmp_path / "t.csv"
    path.write_bytes(ROWS)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # nobody, for whom the mode counts
        os.seteuid(65534)
    try:
        assert "no permission" in refused(path)
    finally:
        os.seteuid(user)


def test_a_pipe_is_refused_before_it_is_opened(tmp_path):
    """G02: a pipe without a writer would block for ever."""
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    assert "must be a regular file; got a pipe" in refused(pipe)


def test_a_device_is_refused_before_it_is_opened():
    """G02: /dev/zero would never end."""
    assert "must be a regular file; got a device" in refused(Path("/dev/zero"))


def test_a_socket_is_refused(tmp_path, monkeypatch):
    """G02: socket."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is at most 107 bytes long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        assert "must be a regular file; got a socket" in refused(tmp_path / "s.csv")


@pytest.mark.parametrize(
    "content", [b"", b" \n\t\n  \r\n", b"\xef\xbb\xbf\n", gzip.compress(b"", mtime=0)]
)
def test_an_empty_file_is_refused(refusal, content):
    """G03: empty, or white space only."""
    assert "must hold a table" in refusal(content)


@pytest.mark.parametrize("content", [HEADER, HEADER.strip(), HEADER + b"\n\n"])
def test_a_header_without_rows_is_refused(refusal, content):
    """G04: header only."""
    assert "must hold rows; got a header and no row" in refusal(content, header=True)


def test_every_odd_name_of_a_header_is_told_with_the_nearest_that_lacks(refusal):
    """G04: unexpected header."""
    message = refusal(b"a,B ,klass\n" + ROWS, header=True)
    assert "line 1: the header must name 'b', 'class'; got no such column" in message
    assert "got 'B '; did you mean 'b'?" in message
    assert "got 'klass'; did you mean 'class'?" in message
    assert len(message.splitlines()) == 3


def test_a_file_without_its_header_is_told_how_to_name_its_columns(refusal):
    """G04: the first row stands where the header should."""
    message = refusal(ROWS, header=True)
    assert "must name 'a', 'b', 'class'; got '1', 'x', 'yes'" in message
    assert "data.names" in message


def test_a_name_given_twice_is_refused(refusal):
    """Section 5: duplicate column names."""
    message = refusal(b"a,b,b,class\n1,2,3,yes\n", header=True)
    assert "must name each column once; got 'b' more than once" in message


@pytest.mark.parametrize(("char", "name"), [(b";", "semicolons"), (b"\t", "tabs"), (b"|", "bars")])
@pytest.mark.parametrize("header", [True, False])
def test_another_separator_is_recognised(refusal, char, name, header):
    """G05: semicolon or tab."""
    content = (HEADER + ROWS if header else ROWS).replace(b",", char)
    message = refusal(content, header=header)
    assert f"it looks separated by {name}: set data.delimiter={char.decode()!r}" in message


def test_the_other_separator_is_read_once_it_is_configured(tmp_path):
    """G05: the cure that the message names works."""
    path = tmp_path / "t.csv"
    path.write_bytes((HEADER + ROWS).replace(b",", b"\t"))
    assert read_rows(contract(path, header=True, delimiter="\t")).count.sum() == 3


def test_an_index_column_is_recognised_without_a_header(refusal):
    """G06: 8 fields for 7; pandas took the first for an index, in silence."""
    message = refusal(b"0,1,x,yes\n1,2,x,no\n2,3,z,no\n")
    assert "must have 3 fields in a row; got 4 at 3 rows: lines 1, 2, 3" in message
    assert "is the first one an index?" in message


@pytest.mark.parametrize("name", [b"", b"Unnamed: 0"])
def test_an_index_column_is_recognised_in_a_header(refusal, name):
    """G06: index column."""
    message = refusal(name + b",a,b,class\n0,1,x,yes\n", header=True)
    assert "is it an index?" in message


def test_an_index_column_that_the_header_leaves_out_is_recognised(refusal):
    """G06: as R writes it."""
    message = refusal(HEADER + b"1,1,x,yes\n2,2,x,no\n", header=True)
    assert "got 4 at 2 rows: lines 2, 3: is the first one an index?" in message


def test_a_column_too_few_is_refused(refusal):
    """G06: 6 columns for 7."""
    assert "must have 3 fields in a row; got 2 at 2 rows: lines 1, 2" in refusal(b"1,yes\n2,no\n")


@pytest.mark.parametrize("content", [b"1,x,yes,\n2,x,no,\n", b"1,x,yes\n2,x,no,\n", b"1,x,yes,"])
def test_a_delimiter_at_the_end_of_a_line_is_recognised(refusal, content):
    """G06: trailing comma; DuckDB alone drops it in silence."""
    assert "there is a delimiter at the end of the line" in refusal(content)


def test_a_long_row_is_named_by_its_line(refusal):
    """G07: ragged, long."""
    assert "got 4 at line 4" in refusal(ROWS + b"4,x,no,more\n")


def test_a_short_row_is_named_by_its_line_counting_blank_lines_and_newlines_in_quotes(refusal):
    """G07: ragged, short; the line is the one that an editor shows."""
    assert "got 2 at line 6: is the line cut off?" in refusal(b'1,"x\ny",yes\n\n2,x,no\n\n3,z\n')


def test_a_truncated_last_line_is_named(refusal):
    """G07: truncated last line."""
    assert "got 2 at line 3: is the line cut off?" in refusal(ROWS.removesuffix(b",no\n"))


def test_a_comment_is_recognised(refusal):
    """G07: comment line."""
    assert "got 1 at line 1: is it a comment? Take it out" in refusal(b"# the cars\n" + ROWS)


def test_rows_of_each_wrong_length_are_told_together(refusal):
    """All faults at once, the first of them first."""
    message = refusal(ROWS + b"1\n" * 9 + b"1,2,3,4\n" + b"1\n")
    assert "got 1 at 10 rows: lines 4, 5, 6, 7, 8, …" in message.splitlines()[0]
    assert "got 4 at line 13" in message.splitlines()[1]


@pytest.mark.parametrize("block", [b"\x00", b"\x00" * 4096])
def test_nul_bytes_are_named_by_offset_and_line(refusal, block):
    """G08: NUL byte or block; DuckDB alone accepts them."""
    assert "NUL bytes; got one at offset 10, line 2" in refusal(ROWS[:10] + block + ROWS[10:])


def test_kinds_of_files_that_are_not_read_are_named(refusal):
    """G08: PNG."""
    assert "got a PNG image" in refusal(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused_with_an_offset(refusal, seed):
    """G08: random bytes."""
    import random

    message = refusal(random.Random(seed).randbytes(5000))
    assert "at offset" in message
    assert "Latin-1" not in message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_recognised(refusal, encoding):
    """G09: UTF-16, with a byte order mark or without."""
    assert "UTF-16" in refusal(ROWS.decode().encode(encoding))


def test_latin_1_is_recognised_by_offset_line_and_letter(refusal):
    """G09: Latin-1."""
    message = refusal(ROWS + "4,é,no\n".encode("latin-1"))
    assert f"got byte 0xe9 at offset {len(ROWS) + 2}, line 4: is it Latin-1 (é)?" in message


def test_a_character_cut_off_at_the_end_is_refused(refusal):
    """G09: the last byte of a letter is lost."""
    assert "got byte 0xc3 at offset" in refusal(ROWS + "4,x,é".encode()[:-1])


def test_an_unclosed_quote_is_named_by_the_line_where_it_opens(refusal):
    """G11: unclosed quote."""
    message = refusal(ROWS + b'4,"x,no\n' + ROWS)
    assert "must close every quote; got one that opens at line 4 and does not close" in message


def test_a_quote_that_swallows_lines_until_the_next_is_named_by_its_opening(refusal):
    """G11: the next quote closes it in the middle of a cell."""
    message = refusal(ROWS + b'4,"x,no\n5,x,no\n6,"y",no\n')
    assert "after the closing quote at line 6, in the cell that opens at line 4" in message


def test_a_newline_in_quotes_belongs_to_its_cell(tmp_path):
    """G11: newline in quotes."""
    path = tmp_path / "t.csv"
    path.write_bytes(b'1,"x\ny",yes\n2,x,no\n')
    assert read_rows(contract(path)).frame["b"].tolist() == ["x\ny", "x"]


def test_a_long_cell_after_an_unclosed_quote_is_named_by_the_quote(refusal):
    """G11: all the rest of a large file."""
    message = refusal(ROWS + b'4,"x,no\n' + ROWS * 60_000)
    assert "at most 1000000 bytes; got a longer one at line 4: is a quote opened there" in message


def test_a_huge_field_is_refused_in_a_short_message(refusal):
    """G22: a field of 2 MB; the slow test has 50."""
    assert "cells of at most 1000000 bytes; got a longer one at line 2" in refusal(
        b"1,x,no\n2," + b"x" * 2_000_000 + b",no\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("cell", [b"x" * 50_000_000, b'"' + b"x,\n" * 16_000_000 + b'"'])
def test_a_field_of_50_mb_is_refused_in_a_short_message(refusal, cell):
    """G22: 50 MB field."""
    assert "cells of at most 1000000 bytes; got a longer one at line 2" in refusal(
        b"1,x,no\n2," + cell + b",no\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("header", [True, False])
def test_a_million_columns_are_refused_in_a_short_message(refusal, header):
    """G22: 10^6 columns."""
    names = ",".join(f"c{i}" for i in range(10**6)).encode()
    message = refusal(names + b"\n" + names + b"\n", header=header)
    assert (
        "must name 'a', 'b', 'class'" in message if header else "got 1000000 at 2 rows" in message
    )


def test_a_file_beyond_the_size_limit_is_refused_by_its_size(refusal):
    """G22: > limit size."""
    message = refusal(ROWS * 100, max_bytes=1000)
    assert "must hold at most 1000 bytes (data.max_bytes); got 2200 bytes" in message


def test_a_zip_archive_is_refused_by_name(refusal):
    """G23: zip, which an Excel workbook is as well."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("t.csv", ROWS)
    assert "got a zip archive" in refusal(archive.getvalue())


def test_a_bomb_is_refused_once_it_inflates_beyond_the_limit(refusal):
    """G23: 30 MB of rows in 30 kB; no more than the limit is ever inflated."""
    bomb = gzip.compress(b"1,x,no\n" * 4_000_000, mtime=0)
    assert len(bomb) < 100_000
    message = refusal(bomb, name="t.csv.gz", max_bytes=1_000_000)
    assert "at most 1000000 bytes (data.max_bytes); got more when inflated" in message


def test_a_bomb_of_zeros_is_refused_at_its_first_byte(refusal):
    """G23: bomb."""
    message = refusal(gzip.compress(bytes(50_000_000)), name="t.csv.gz")
    assert "NUL bytes; got one at offset 0" in message


def test_a_truncated_gzip_is_refused(refusal):
    """G23: truncated gzip; its rows are whole, its end is missing."""
    assert "ends early" in refusal(gzip.compress(ROWS * 1000, mtime=0)[:-8])


def test_a_damaged_gzip_is_refused(refusal):
    """G23: a checksum that does not fit."""
    packed = bytearray(gzip.compress(ROWS * 1000, mtime=0))
    packed[-6] ^= 1
    assert "must be an intact gzip file" in refusal(bytes(packed))


def test_a_gzip_in_a_gzip_is_refused(refusal):
    """G23: only one layer is unpacked."""
    assert "a gzip file in a gzip file" in refusal(gzip.compress(gzip.compress(ROWS, mtime=0)))


def test_a_damaged_parquet_file_is_refused(refusal):
    """Parquet: the reason of DuckDB on one line."""
    packed = io.BytesIO()
    pd.DataFrame({"a": ["1"], "b": ["x"], "class": ["yes"]}).to_parquet(packed)
    content = bytearray(packed.getvalue())
    content[-20:-8] = b"\xff" * 12
    assert "must be an intact parquet file" in refusal(bytes(content))
    assert "parquet file without its end" in refusal(packed.getvalue()[:-10])


def test_nested_parquet_columns_are_refused(refusal):
    """Parquet: a cell is text or a number."""
    packed = io.BytesIO()
    pd.DataFrame({"a": ["1"], "b": [["x", "y"]], "class": ["yes"]}).to_parquet(packed)
    assert "got nested 'b'" in refusal(packed.getvalue())


def test_the_columns_of_parquet_are_checked_by_name(refusal):
    """G04 for parquet."""
    packed = io.BytesIO()
    pd.DataFrame({"a": ["1"], "bb": ["x"], "class": ["yes"]}).to_parquet(packed)
    message = refusal(packed.getvalue())
    assert "must name 'b'; got no such column" in message
    assert "got 'bb'; did you mean 'b'?" in message


DEEP = ROWS * 100_000  # 2.2 MB, 300,000 rows: several of DuckDB's buffers


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (b"4,\x00,no\n", "NUL bytes; got one at offset 2200002, line 300001"),
        (b"4,\xe9,no\n", "got byte 0xe9 at offset 2200002, line 300001: is it Latin-1 (é)?"),
        (b"4,x\n", "got 2 at line 300001"),
        (b"4,x,no,\n", "got 4 at line 300001: there is a delimiter at the end"),
        (b'4,"x,no\n', "opens at line 300001 and does not close"),
        (b'4,"x"y,no\n', "after the closing quote at line 300001"),
    ],
    ids=["nul", "latin-1", "short", "trailing", "unclosed", "after-quote"],
)
def test_a_fault_deep_in_a_file_of_several_megabytes_is_found(tmp_path, fault, message):
    """G07, G08, G09, G11: nothing is only sampled."""
    path = tmp_path / "deep.csv"
    path.write_bytes(DEEP + fault + ROWS)
    assert message in refused(path)
