"""A file becomes its distinct rows with their counts, whatever its form and order."""

import gzip
import hashlib
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read import Rows, duckdb_csv, lines_of, read_in_order, read_rows
from pipeline.stages.read.duckdb_reader import connected
from pipeline.stages.read.scan import scan
from pipeline.stages.read.source import open_source

ROWS = [
    ("low", "2", "no"),
    ("high", "4", "yes"),
    ("low", "2", "no"),
    ("", "5more", "no"),
    ("Größe", "4", "yes"),
]
NAMES = ("safety", "doors", "class")
COLUMNS = {"safety": {"kind": "categorical"}, "doors": {"kind": "categorical"}}


def contract(path: Path | str, **changes: object) -> DataSettings:
    tree = {
        "name": "t",
        "path": str(path),
        "target": {"name": "class", "positive": ["yes"]},
        "columns": COLUMNS,
        "names": list(NAMES),
    }
    return DataSettings.parse(tree | changes)


def csv_bytes(rows: Sequence[Sequence[str]], end: str = "\n", quote: str = "") -> bytes:
    return "".join(",".join(f"{quote}{cell}{quote}" for cell in row) + end for row in rows).encode()


def read_bytes(tmp_path: Path, content: bytes, name: str = "t.csv", **changes: object) -> Rows:
    path = tmp_path / name
    path.write_bytes(content)
    return read_rows(contract(path, **changes))


def counted(rows: Rows) -> Counter[tuple[str, ...]]:
    cells = rows.frame.itertuples(index=False, name=None)
    return Counter(dict(zip(cells, rows.count.tolist(), strict=True)))


def random_rows(seed: int, n: int = 200) -> list[tuple[str, ...]]:
    rng = random.Random(seed)
    values = ["", " ", "a", "A", "ä", "b,c", 'say "x"', "two\nlines", "NULL", "0", "-", "日本"]
    return [tuple(rng.choice(values) for _ in NAMES) for _ in range(n)]


def written(rows: Sequence[Sequence[str]]) -> bytes:
    """By pandas, as the counterpart of what is tested here."""
    return pd.DataFrame(rows).to_csv(index=False, header=False).encode()


def test_rows_are_counted_and_sorted(tmp_path):
    rows = read_bytes(tmp_path, csv_bytes(ROWS))
    assert list(rows.frame.columns) == list(NAMES)
    assert list(rows.frame.itertuples(index=False, name=None)) == sorted(set(ROWS))
    assert rows.count.tolist() == [Counter(ROWS)[row] for row in sorted(set(ROWS))]
    assert rows.count.dtype == np.int64


@pytest.mark.parametrize("seed", range(5))
def test_counted_rows_are_the_long_table(tmp_path, seed):
    """With quotes, newlines in quotes, empty cells: what pandas wrote is what is counted."""
    table = random_rows(seed)
    assert counted(read_bytes(tmp_path, written(table))) == Counter(table)


FORMS = {
    "byte order mark": b"\xef\xbb\xbf" + csv_bytes(ROWS),
    "CRLF": csv_bytes(ROWS, "\r\n"),
    "CR": csv_bytes(ROWS, "\r"),
    "no final newline": csv_bytes(ROWS).removesuffix(b"\n"),
    "all quoted": csv_bytes(ROWS, quote='"'),
    "byte order mark and quotes": b"\xef\xbb\xbf" + csv_bytes(ROWS, "\r\n", quote='"'),
    "blank lines": b"\n\n" + csv_bytes(ROWS, "\n\n") + b"\n",
    "blank CRLF lines": csv_bytes(ROWS, "\r\n\r\n"),
    "blank CR lines": csv_bytes(ROWS, "\r\r"),
    "mixed ends": csv_bytes(ROWS[:2], "\r\n") + csv_bytes(ROWS[2:3], "\r") + csv_bytes(ROWS[3:]),
    "gzip": gzip.compress(csv_bytes(ROWS)),
    "gzip of two members": gzip.compress(csv_bytes(ROWS[:1])) + gzip.compress(csv_bytes(ROWS[1:])),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_a_file_does_not_change_its_digest(tmp_path, form):
    """G10: BOM, CRLF, CR, no final newline, all quoted, blank lines."""
    plain = read_bytes(tmp_path, csv_bytes(ROWS))
    assert read_bytes(tmp_path, FORMS[form]).digest == plain.digest


@pytest.mark.parametrize("form", [form for form in FORMS if "gzip" not in form])
def test_the_form_of_a_file_with_a_header_does_not_change_its_digest(tmp_path, form):
    """G10: the header is no row, in every form."""
    plain = read_bytes(tmp_path, csv_bytes(ROWS))
    end = {"CR": b"\r", "blank CR lines": b"\r\r"}.get(form, b"\n")
    mark, body = b"\xef\xbb\xbf", FORMS[form]
    start = mark if body.startswith(mark) else b""
    content = start + b"safety,doors,class" + end + body.removeprefix(mark)
    assert read_bytes(tmp_path, content, names=None).digest == plain.digest


def test_the_order_of_rows_and_of_columns_does_not_change_the_digest(tmp_path):
    """G21: rows shuffled or sorted give the same table, hence the same split."""
    plain = read_bytes(tmp_path, csv_bytes(ROWS))
    shuffled = random.Random(0).sample(ROWS, len(ROWS))
    again = read_bytes(tmp_path, csv_bytes(shuffled))
    assert again.digest == plain.digest
    assert again.frame.equals(plain.frame)
    turned = read_bytes(tmp_path, csv_bytes([row[::-1] for row in shuffled]), names=[*NAMES[::-1]])
    assert turned.digest == plain.digest


def changed(rows: list[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    (a, b, c), *rest = rows
    return {
        "one cell": [(a + "x", b, c), *rest],
        "space around a cell": [(a + " ", b, c), *rest],
        "cells swapped between columns": [(b, a, c), *rest],
        "a boundary between cells moved": [(a + b[0], b[1:], c), *rest],
        "a row more": [*rows, rows[1]],
        "a row less": rest,
        "an empty cell filled": [tuple(cell or "?" for cell in row) for row in rows],
    }


@pytest.mark.parametrize("change", changed(ROWS))
def test_every_change_of_the_table_changes_the_digest(tmp_path, change):
    """The negative controls of the digest."""
    plain = read_bytes(tmp_path, csv_bytes(ROWS))
    assert read_bytes(tmp_path, csv_bytes(changed(ROWS)[change])).digest != plain.digest


def test_the_names_of_columns_are_part_of_the_digest(tmp_path):
    plain = read_bytes(tmp_path, csv_bytes(ROWS))
    renamed = read_bytes(
        tmp_path,
        csv_bytes(ROWS),
        names=["speed", "doors", "class"],
        columns={"speed": COLUMNS["safety"], "doors": COLUMNS["doors"]},
    )
    assert renamed.digest != plain.digest


def test_no_boundary_of_cells_or_columns_can_be_moved_unseen():
    """Cells that would read alike if they were only joined."""
    tables = [
        [["ab", "c"], ["", ""]],
        [["a", "bc"], ["", ""]],
        [["", "abc"], ["", ""]],
        [["ab", ""], ["c", ""]],
        [["", ""], ["ab", "c"]],
    ]
    digests = {
        Rows(pd.DataFrame(table, columns=["a", "b"], dtype="str"), np.ones(2, np.int64), Path())
        .digest
        for table in tables
    }  # fmt: skip
    assert len(digests) == len(tables)


@pytest.mark.parametrize("seed", range(3))
def test_the_digest_is_sha256_of_names_counts_lengths_and_cells(tmp_path, seed):
    """Against the definition, cell by cell: lengths are in code points, integers of 8 bytes."""
    rows = read_bytes(tmp_path, written(random_rows(seed)))
    expected = hashlib.sha256(json.dumps([list(NAMES), len(rows.count)]).encode())
    for count in rows.count.tolist():
        expected.update(count.to_bytes(8, "little"))
    for name in NAMES:
        for cell in rows.frame[name].tolist():
            expected.update(len(cell).to_bytes(8, "little"))
        for cell in rows.frame[name].tolist():
            expected.update(cell.encode())
    assert rows.digest == expected.hexdigest()


def test_ignored_columns_are_not_read(tmp_path):
    columns = {"safety": COLUMNS["safety"], "doors": {"kind": "ignored"}}
    rows = read_bytes(tmp_path, csv_bytes(ROWS), columns=columns)
    assert list(rows.frame.columns) == ["safety", "class"]
    assert counted(rows) == Counter((safety, label) for safety, _, label in ROWS)


def test_names_that_differ_in_case_only_or_need_quotes_are_kept_apart(tmp_path):
    """Names in SQL are not told apart by case, and the count has a name as well."""
    names = ["a", "A", "count", 'x"y', "c0", "class"]
    content = csv_bytes([names, ["1", "2", "3", "4", "5", "yes"]], quote="").replace(
        b'x"y', b'"x""y"'
    )
    columns = {name: {"kind": "categorical"} for name in names[:-1]}
    rows = read_bytes(tmp_path, content, names=None, columns=columns)
    assert rows.frame.iloc[0].to_dict() == dict(
        zip(names, ["1", "2", "3", "4", "5", "yes"], strict=True)
    )
    frame = pd.DataFrame([["1", "2", "3", "4", "5", "yes"]], columns=names)
    frame.to_parquet(tmp_path / "t.parquet")
    again = read_rows(contract(tmp_path / "t.parquet", names=None, columns=columns))
    assert again.digest == rows.digest


def test_parquet_holds_the_same_table(tmp_path):
    plain = read_bytes(tmp_path, csv_bytes(ROWS))
    frame = pd.DataFrame(ROWS, columns=list(NAMES)).replace("", None)
    frame.to_parquet(tmp_path / "t.bin")  # known by its content, not by its name
    assert read_rows(contract(tmp_path / "t.bin")).digest == plain.digest


def test_numbers_of_parquet_are_text_that_gives_the_same_number(tmp_path):
    values = [0.1, 1 / 3, -2.5e-300, 1e22, 5.0, None]
    frame = pd.DataFrame({"safety": values, "doors": [1, 2, 3, 4, 5, 6], "class": ["yes"] * 6})
    frame.to_parquet(tmp_path / "t.parquet")
    rows, lines = read_in_order(tmp_path / "t.parquet", contract("t"))
    assert [float(text) if text else None for text in rows["safety"]] == values
    assert rows["doors"].tolist() == ["1", "2", "3", "4", "5", "6"]
    assert lines.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_path_is_taken_as_it_is_written(tmp_path):
    """F12: brackets, stars, spaces and letters of any language; a pattern is one of parquet."""
    for name in ("a b.csv", "t[1]*?.csv", "größe — 日本.csv", "it's.csv"):
        assert counted(read_bytes(tmp_path, csv_bytes(ROWS), name=name)) == Counter(ROWS)
    (tmp_path / "t1.csv").write_bytes(csv_bytes(ROWS[:1]))
    with pytest.raises(DataError, match="files of parquet"):
        read_rows(contract(tmp_path / "t?.csv"))
    with pytest.raises(DataError, match="must fit"):
        read_rows(contract(tmp_path / "u?.csv"))


def test_a_relative_path_starts_from_the_project_folder(project, monkeypatch, tmp_path):
    (project / "t.csv").write_bytes(csv_bytes(ROWS))
    monkeypatch.chdir(tmp_path)
    assert counted(read_rows(contract("t.csv"))) == Counter(ROWS)


def test_a_pinned_file_is_read_and_a_changed_one_refused(tmp_path):
    """Section 2: the message says what was expected, what was got, and the cure."""
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes(ROWS))
    pin = hashlib.sha256(csv_bytes(ROWS)).hexdigest()
    assert read_rows(contract(path, sha256=pin)).count.sum() == len(ROWS)
    path.write_bytes(csv_bytes(ROWS, "\r\n"))
    with pytest.raises(DataError) as error:
        read_rows(contract(path, sha256=pin))
    message = str(error.value)
    assert pin in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message
    assert "make data" in message
    assert "data.sha256=null" in message


@pytest.mark.parametrize("how", ["appended", "rewritten", "replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, how):
    """G24: what was looked at is what was parsed, or nothing is returned."""
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes(ROWS))
    source = open_source(path, 10**6)
    source.require_unchanged()  # the negative control
    match how:
        case "appended":
            with path.open("ab") as file:
                file.write(b"x,y,yes\n")
        case "rewritten":  # same length, times put back: the inode remembers
            info = path.stat()
            path.write_bytes(csv_bytes(ROWS).replace(b"4", b"3"))
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
        case "replaced":
            other = tmp_path / "other.csv"
            other.write_bytes(csv_bytes(ROWS))
            other.replace(path)
        case "removed":
            path.unlink()
    with pytest.raises(DataError, match="must not change"):
        source.require_unchanged()


@pytest.mark.parametrize("mode", ["ab", "r+b"], ids=["grows", "is written over"])
def test_a_file_that_is_written_under_the_reader_is_refused(tmp_path, mode):
    """G24: a program that is not done with the file, even where it writes what stands there."""
    path = tmp_path / "t.csv"
    path.write_bytes(csv_bytes(ROWS) * 50_000)
    writing, done = threading.Event(), threading.Event()

    def write() -> None:
        with path.open(mode, buffering=0) as file:
            while not done.wait(0.0001):
                file.write(csv_bytes(ROWS))
                writing.set()

    writer = threading.Thread(target=write)
    writer.start()
    writing.wait()
    try:
        with pytest.raises(DataError, match="must not change"):
            read_rows(contract(path))
    finally:
        done.set()
        writer.join()
    assert read_rows(contract(path)).count.sum() >= 250_000


def test_the_digest_is_of_what_was_parsed(tmp_path):
    """G24: rows that were read keep their digest when the file becomes another."""
    rows = read_bytes(tmp_path, csv_bytes(ROWS))
    (tmp_path / "t.csv").write_bytes(csv_bytes(ROWS[:2]))
    again = Rows(rows.frame, rows.count, rows.path)
    assert again.digest == read_bytes(tmp_path, csv_bytes(ROWS)).digest


@pytest.mark.parametrize("seed", range(8))
def test_both_readers_agree_wherever_the_fast_one_is_believed(tmp_path, monkeypatch, seed):
    """DuckDB against Python's csv on malformed, strangely quoted and ended text."""
    rng = random.Random(seed)
    n_fast = 0
    for alphabet in ("ab", "ab ", 'ab"', "ab\n", 'a",\n\ré', "a\t\\"):
        rows = [_strange_row(rng, alphabet) for _ in range(rng.randint(1, 6))]
        ends = rng.choice(["\n", "\r\n", "\r"])
        text = "".join(row + (ends if rng.random() < 0.95 else rng.choice("\n\r")) for row in rows)
        path = tmp_path / "t.csv"
        path.write_bytes(text.encode())
        believed = _fast(path, monkeypatch)
        if believed is not None:
            n_fast += 1
            exact, lines = exactly(path, monkeypatch)
            assert believed == Counter(exact.itertuples(index=False, name=None)), repr(text)
            fast, fast_lines = read_in_order(path, contract(path), need_target=True)
            pd.testing.assert_frame_equal(fast, exact)
            assert fast_lines.tolist() == lines.tolist(), repr(text)
    assert n_fast


def exactly(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows in order by Python's csv."""
    with monkeypatch.context() as patch:
        patch.setattr(duckdb_csv, "csv_in_parts", lambda *_: None)
        return read_in_order(path, contract(path), need_target=True)


def _strange_row(rng: random.Random, alphabet: str) -> str:
    cells = []
    for _ in range(3 if rng.random() < 0.97 else rng.randint(2, 4)):
        cell = "".join(rng.choices(alphabet, k=rng.randint(0, 3)))
        must_quote = bool(set(cell) & set(',"\n\r'))
        if rng.random() < (0.9 if must_quote else 0.3):
            cell = '"' + cell.replace('"', '""') + '"'
        cells.append(cell)
    return ",".join(cells)


def _fast(path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, ...]] | None:
    """What read_rows takes from DuckDB; None where it has the exact reader decide."""

    def refuse(*_: object) -> None:
        raise DataError("the exact reader was asked")

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.stages.read.rows._count_by_csv", refuse)
        try:
            return counted(read_rows(contract(path)))
        except DataError:
            return None


# DuckDB alone drops the white space; None: the exact reader refuses what follows a quote.
MISREAD = {
    'low, "2",no\n': [("low", ' "2"', "no")],
    '"a","b",c\r\n ba,a,b\r ba,a,b\r\n': [("a", "b", "c"), (" ba", "a", "b"), (" ba", "a", "b")],
    'low,"2" ,no\n': None,
}


@pytest.mark.parametrize("text", MISREAD)
def test_what_duckdb_alone_would_get_wrong_is_read_exactly(tmp_path, text):
    """Every byte of a cell that the scan has seen must be in what DuckDB has read."""
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    expected = MISREAD[text]
    if expected is None:
        with pytest.raises(DataError, match="close a quote"):
            read_rows(contract(path))
        return
    assert counted(read_rows(contract(path))) == Counter(expected)
    columns, believed = duckdb_csv.count_csv(open_source(path, 999), contract(path), NAMES)
    assert believed is None
    found = scan(open_source(path, 999), ",", 999)
    one_less = replace(found, is_plain=True, n_content=found.n_content - 1)
    with connected() as db:
        asked = open_source(path, 999), contract(path), NAMES, columns
        cells = duckdb_csv._count_cells(*asked, db)
    assert duckdb_csv._if_whole(cells, columns, found) is None
    # If this fails, DuckDB was mended: good news.
    assert duckdb_csv._if_whole(cells, columns, one_less) is not None


@pytest.mark.parametrize("chunk", [3, 4, 5, 7, 64])  # the byte order mark is whole
def test_the_scan_counts_alike_whatever_the_size_of_its_chunks(tmp_path, monkeypatch, chunk):
    """Quotes, CRLF, the byte order mark and letters of several bytes across boundaries."""
    path = tmp_path / "t.csv"
    content = b"\xef\xbb\xbf" + 'ä,"x\r\ny",no\r\n\r\n"日","q""q",yes\r\n'.encode()
    path.write_bytes(content)
    monkeypatch.setattr("pipeline.stages.read.source.CHUNK", chunk)
    found = scan(open_source(path, 999), ",", 999)
    assert (found.n_records, found.n_delimiters, found.is_plain) == (2, 4, True)
    assert found.n_content == len('äx\r\nyno日q"qyes'.encode())


@pytest.mark.parametrize("chunk", range(1, 9))
def test_a_bad_byte_is_placed_alike_whatever_the_size_of_the_chunks(tmp_path, monkeypatch, chunk):
    """A letter that begins at the end of one chunk and does not go on in the next."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b,c\r\nd,\xc3,e\r\nf,g,h\r\n" + "ä,ö,ü".encode())
    monkeypatch.setattr("pipeline.stages.read.source.CHUNK", chunk)
    with pytest.raises(DataError, match="0xc3 at offset 9, line 2"):
        scan(open_source(path, 999), ",", 999)


def test_blank_lines_before_a_header_are_no_header(tmp_path):
    """DuckDB alone takes the first of them for the header, and the header for a row."""
    content = b"\n\nsafety,doors,class\n" + csv_bytes(ROWS)
    assert counted(read_bytes(tmp_path, content, names=None)) == Counter(ROWS)


def test_rows_in_order_carry_their_physical_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'\nlow,2,no\n\n"two\nlines",4,yes\r\nhigh,4,yes')
    frame, lines = read_in_order(path, contract(path), need_target=True)
    assert lines.tolist() == [2, 4, 6]
    assert frame["safety"].tolist() == ["low", "two\nlines", "high"]
    assert list(frame.columns) == list(NAMES)


@pytest.mark.parametrize("header", [b"", b"safety,doors\n", b"safety,doors,class\n"])
def test_rows_to_predict_may_lack_the_target_and_have_a_header(tmp_path, header):
    """Of a contract whose own file has no header."""
    path = tmp_path / "new.csv"
    cells = [row if b"class" in header else row[:2] for row in ROWS]
    path.write_bytes(header + csv_bytes(cells))
    frame, lines = read_in_order(path, contract("t.csv"))
    assert list(frame.columns) == [*NAMES][: len(cells[0])]
    assert list(frame.itertuples(index=False, name=None)) == cells
    assert lines.tolist() == [i + 1 + bool(header) for i in range(len(ROWS))]


def test_rows_to_predict_may_stand_in_any_order_of_named_columns(tmp_path):
    path = tmp_path / "new.csv"
    path.write_bytes(b"doors,safety\n2,low\n")
    frame, _ = read_in_order(path, contract("t.csv", names=None))
    assert frame.to_dict("list") == {"safety": ["low"], "doors": ["2"]}
    path.write_bytes(b"doors,safty\n2,low\n")
    with pytest.raises(DataError, match=r"'safty'.*'safety'"):
        read_in_order(path, contract("t.csv", names=None))


def test_the_first_lines_that_hold_a_value_are_found(tmp_path):
    content = b"safety,doors,class\n" + csv_bytes([("low", str(i % 3), "no") for i in range(30)])
    sought = [("doors", frozenset("1")), ("safety", frozenset(["gone"]))]
    for name, body in (("t.csv", content), ("t.gz", gzip.compress(content))):
        path = tmp_path / name
        path.write_bytes(body)
        assert lines_of(path, contract(path, names=None), sought) == [(3, 6, 9, 12, 15), ()]
    path = tmp_path / "t.parquet"
    pd.DataFrame({"safety": "low", "doors": [i % 3 for i in range(30)], "class": "no"}).to_parquet(
        path
    )
    assert lines_of(path, contract(path), sought) == [(2, 5, 8, 11, 14), ()]
    assert lines_of(tmp_path / "gone.csv", contract("t"), sought) == [(), ()]
