"""DuckDB's count of a CSV file is believed only where it is that of the exact reader."""

import codecs
import csv
import gzip
import hashlib
import io
import random
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read import counted_lines, duckdb_csv, read_rows
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.scan import scan
from pipeline.stages.read.source import open_source

NAMES = ["safety", "doors", "class"]
CATEGORICAL = {"kind": "categorical"}


def contract(path: Path, **changes: object) -> DataSettings:
    tree = {
        "name": "t",
        "path": str(path),
        "target": {"name": "class", "positive": ["yes"]},
        "columns": {"safety": CATEGORICAL, "doors": CATEGORICAL},
        "names": NAMES,
    }
    return DataSettings.parse(tree | changes)


def counted(path: Path, **changes: object) -> Counter[tuple[str, ...]] | None:
    """What read_rows finds, every row once; None where it refuses the file."""
    try:
        rows = read_rows(contract(path, **changes))
    except DataError:
        return None
    cells = [*rows.frame.itertuples(index=False, name=None)]
    assert len({*cells}) == len(cells)
    return Counter(dict(zip(cells, rows.count.tolist(), strict=True)))


def by_csv(content: bytes, header: bool, places: list[int]) -> Counter[tuple[str, ...]] | None:
    """The oracle: Python's csv over the whole text; None for what is no regular table."""
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode()
        records = [*csv.reader(io.StringIO(text, newline=""), strict=True)]
    except (UnicodeDecodeError, csv.Error):
        return None
    records = [cells for cells in records if cells]
    if any(len(cells) != 3 for cells in records) or "\0" in text or len(records) <= header:
        return None
    if header and [name.strip() for name in records[0]] != NAMES:
        return None
    return Counter(tuple(cells[at] for at in places) for cells in records[header:])


# --- any bytes -------------------------------------------------------------------------------

CELLS = [
    "",
    "a",
    "b",
    " ",
    "é",
    "a ",
    "\t",
    '""',
    '"a"',
    '"a,b"',
    '"a""b"',
    '"a\nb"',
    '"\r\n"',
    '" "',
]
BAD = [
    b",",
    b'"',
    b'a"',
    b"\0",
    b"\xe9",
    b"\x80",
    b" ",
    b"\1\2\3\4",
    b"a,b\n",
    b"\n",
    b"\r",
    b"\n\r",
]


def strange(rng: random.Random, header: bool) -> bytes:
    """A table in which hardly anything repeats a pattern, and now and then something is bad."""
    cells = rng.choice([CELLS, CELLS[:7], CELLS[:3]])
    ends = rng.choice(
        [["\n"], ["\r\n"], ["\r"], ["\n", "\r\n"], ["\n", "\n\n"], ["\n", "\r", "\r\n"]]
    )
    rows = [",".join(NAMES)] * header
    rows += [",".join(rng.choices(cells, k=3)) for _ in range(rng.randint(0, 6))]
    content = "".join(row + rng.choice(ends) for row in rows).encode()
    if rng.random() < 0.3:
        content = content.rstrip(b"\r\n")
    if rng.random() < 0.4:
        at = rng.randint(0, len(content))
        content = content[:at] + rng.choice(BAD) + content[at:]
    return codecs.BOM_UTF8 * (rng.random() < 0.2) + content


def compare(path: Path, seed: int, n: int) -> tuple[int, int]:
    """Read n strange files both ways; how many were believed, and how many were refused."""
    rng = random.Random(seed)
    n_tables = n_refused = 0
    for _ in range(n):
        header, ignored = rng.random() < 0.3, rng.choice([*NAMES[:2], None, None])
        content = strange(rng, header)
        path.write_bytes(gzip.compress(content) if rng.random() < 0.1 else content)
        kinds = {
            name: {"kind": "ignored"} if name == ignored else CATEGORICAL for name in NAMES[:2]
        }
        changes = {"columns": kinds}
        got = counted(path, **changes, names=None if header else NAMES)
        expected = by_csv(content, header, [i for i, name in enumerate(NAMES) if name != ignored])
        assert got == expected, (content, header, ignored)
        n_tables += got is not None
        n_refused += got is None
    return n_tables, n_refused


@pytest.mark.exhaustive
def test_strange_files_are_read_as_pythons_csv_reads_them_or_refused(tmp_path):
    """Blank lines, ends of each kind, quotes, NUL, Latin-1, ragged rows, byte order marks."""
    n_tables, n_refused = compare(tmp_path / "t.csv", seed=0, n=100)
    assert min(n_tables, n_refused) > 20


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(1, 21))
def test_thousands_of_strange_files_are_read_as_pythons_csv_reads_them(tmp_path, seed):
    assert min(compare(tmp_path / "t.csv", seed, n=400)) > 80


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("cell", [b"a", "é".encode()])  # with quotes in buffers so small it refuses
def test_lines_that_go_from_one_buffer_of_duckdb_to_the_next_are_whole(
    tmp_path, monkeypatch, end, cell
):
    """Of some twenty buffers, in threads."""
    small = duckdb_csv.CSV.replace(str(2**23), "4096").replace(
        "max_line_size=1000000", "max_line_size=99"
    )
    monkeypatch.setattr(duckdb_csv, "CSV", small)
    monkeypatch.setattr("pipeline.stages.read.rows._count_by_csv", None)
    rng = random.Random(0)
    rows = [
        b",".join((cell, b"%d" % rng.choice([1, 22, 333333]), b"no")) + end for _ in range(5000)
    ]
    path = tmp_path / "t.csv"
    path.write_bytes(b"".join(rows))
    for changes in ({}, {"columns": {"safety": {"kind": "ignored"}, "doors": CATEGORICAL}}):
        places = [0, 1, 2] if not changes else [1, 2]
        assert counted(path, **changes) == by_csv(path.read_bytes(), False, places)


def counts(content: bytes) -> tuple[int, ...]:
    """The oracle of the scan: a loop over the bytes of a file of single-byte delimiters."""
    n_records = n_delimiters = n_content = n_lines = n_ends = 0
    is_quoted = False
    before = ord("\n")
    for byte in content:
        is_end, was_end = byte in b"\r\n", before in b"\r\n"
        n_lines += is_end and not (byte == ord("\n") and before == ord("\r"))
        n_ends += is_end
        if byte == ord('"'):
            is_quoted = not is_quoted
            n_content += is_quoted and before == ord('"')
        elif is_quoted or not (is_end or byte == ord(",")):
            n_content += 1
        elif is_end:
            n_records += not was_end
        else:
            n_delimiters += 1
        before = byte
    return n_records + (before not in b"\r\n"), n_delimiters, n_content, n_lines, n_ends


@pytest.mark.parametrize("chunk", [1, 2, 3, 63, 64, 65, 200, 2**19])
def test_the_scan_counts_as_a_loop_over_the_bytes(tmp_path, monkeypatch, chunk):
    """Words of 64 bytes and chunks begin and end anywhere, also within quotes and CRLF."""
    monkeypatch.setattr("pipeline.stages.read.source.CHUNK", chunk)
    rng = random.Random(chunk)
    for _ in range(40):
        alphabet = rng.choice(["a,\n", 'ab,"\n', 'a,"\r\n', '"', "a\r\n"])
        content = "".join(rng.choices(alphabet, k=rng.randint(1, 300))).encode()
        (tmp_path / "t.csv").write_bytes(content)
        found = scan(open_source(tmp_path / "t.csv", 999), ",", 999)
        got = found.n_records, found.n_delimiters, found.n_content, found.n_lines, found.n_ends
        assert got == counts(content), content
        assert found.n_bytes == len(content)


# --- what is not believed --------------------------------------------------------------------

TRAILING = b"low,2,no\nhigh,4,yes,\nlow,2,no\n"


def test_a_reader_that_drops_a_delimiter_at_the_end_of_a_line_is_not_believed(
    tmp_path, monkeypatch
):
    path = tmp_path / "t.csv"
    path.write_bytes(TRAILING)
    count_lines = duckdb_csv._count_lines

    def careless(*asked: object) -> pa.Table:
        lines = count_lines(*asked)
        line = [text.rstrip(",") for text in lines["line"].to_pylist()]
        return lines.set_column(0, "line", pa.array(line, pa.large_string()))

    monkeypatch.setattr(duckdb_csv, "_count_lines", careless)
    with pytest.raises(DataError, match="got 4 at line 2"):
        read_rows(contract(path))
    monkeypatch.setattr(duckdb_csv, "_are_whole", lambda *_: True)  # the negative control
    assert counted(path) == Counter({("low", "2", "no"): 2, ("high", "4", "yes"): 1})


@pytest.mark.parametrize("columns", [1, 2])
def test_rows_whose_first_columns_are_ignored_must_be_regular_too(tmp_path, columns):
    """A line that lacks the ignored cells is no row, also where another has them twice."""
    path = tmp_path / "t.csv"
    names = [*(f"i{i}" for i in range(columns)), *NAMES]
    ignored = {name: {"kind": "ignored"} for name in names[:columns]}
    changes = {"names": names, "columns": {**ignored, "safety": CATEGORICAL, "doors": CATEGORICAL}}
    good = b"".join(b"%d," % i * columns + b"low,2,no\n" for i in range(3))
    path.write_bytes(good + b"," * columns + b"low,,\n")
    assert counted(path, **changes) == Counter({("low", "2", "no"): 3, ("low", "", ""): 1})
    path.write_bytes(good + b"low,2,no\n" + b"1," * 2 * columns + b"low,2,no\n")
    assert counted(path, **changes) is None
    path.write_bytes(good + b'"x,y",' * columns + b"low,2,no\n")
    assert counted(path, **changes) == Counter({("low", "2", "no"): 4})


def test_rows_that_differ_in_their_quotes_alone_are_one(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'safety,"doors",class\nlow,2,no\n"low",2,no\nlow,"2","no"\n"a,b",4,yes\n')
    assert counted(path, names=None) == Counter({("low", "2", "no"): 3, ("a,b", "4", "yes"): 1})


def test_a_row_that_reads_as_the_header_is_a_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"safety,doors,class\nlow,2,no\n" + b"safety,doors,class\n" * 2)
    assert counted(path, names=None) == Counter({("low", "2", "no"): 1, tuple(NAMES): 2})


def test_many_lines_with_quotes_are_parsed_by_duckdb(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(b"".join(b'"%d",2,no\n' % i for i in range(9)))
    whole = counted(path)
    monkeypatch.setattr(counted_lines, "MANY", 8)
    monkeypatch.setattr("pipeline.stages.read.rows._count_by_csv", None)
    assert counted(path) == whole
    assert len(whole) == 9


def test_a_path_is_no_pattern_where_rows_are_read_in_batches(tmp_path):
    (tmp_path / "t1.csv").write_bytes(b"high,4,yes\n")
    (tmp_path / "t[1].csv").write_bytes(b"low,2,no\n")
    source = open_source(tmp_path / "t[1].csv", 999)
    (batch,) = duckdb_csv.csv_batches(source, Layout(tuple(NAMES)), ",", NAMES, 9)
    assert batch.to_pylist() == [{"w0": "low", "w1": "2", "w2": "no", "n_bytes": 0}]


# --- side by side ----------------------------------------------------------------------------


def endless(db):
    return db.sql(
        "SELECT sum(a.range + b.range) FROM range(10000000) a, range(10000000) b"
    ).to_arrow_table()


@pytest.mark.parametrize("error", [DataError, KeyboardInterrupt])
def test_a_query_is_interrupted_where_the_scan_refuses_the_file(error):
    begun = time.monotonic()
    with pytest.raises(error), duckdb_csv._beside(endless):
        raise error("no")
    assert time.monotonic() - begun < 20  # and not for ever


@pytest.mark.parametrize("form", ["csv", "gzip", "parquet"])
def test_the_refusal_of_a_pin_comes_before_every_other(tmp_path, form):
    """As if the file had been hashed before it was looked at; without the pin the other comes."""
    content = b"low,2,no\nlow,\0,no\n"
    path = tmp_path / "t.csv"
    path.write_bytes(
        {"csv": content, "gzip": gzip.compress(content), "parquet": b"PAR1" + content + b"PAR1"}[
            form
        ]
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for pin in (None, sha256):
        with pytest.raises(DataError, match=r"NUL|intact"):
            read_rows(contract(path, sha256=pin))
    with pytest.raises(DataError, match="must have the sha256"):
        read_rows(contract(path, sha256=sha256[::-1]))
