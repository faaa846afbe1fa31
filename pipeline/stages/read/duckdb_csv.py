"""Distinct rows of a CSV file, counted by DuckDB while its bytes are scanned.

DuckDB drops a delimiter at the end of a line and, now and then, white space beside a quote or line
end. So it is believed where every record, and every byte, that the scan has found is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pipeline.config.contract import DataSettings
from pipeline.stages.read.counted_lines import rows_of
from pipeline.stages.read.duckdb_reader import (
    ask,
    ask_by,
    ask_in_parts,
    cells_of,
    connected,
    patterns_of,
)  # fmt: skip
from pipeline.stages.read.layout import Layout, read_layout
from pipeline.stages.read.records import MAX_CELL
from pipeline.stages.read.scan import Scan, scan
from pipeline.stages.read.source import Source

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Found = TypeVar("Found")

# Nothing is sniffed. Buffers, one for each thread, are of 32 times the longest line if not said.
CSV = (
    "read_csv(?, compression=?, columns=?, header=?, delim=?, quote=?, escape=?, strict_mode=?, "
    f"auto_detect=false, allow_quoted_nulls=true, max_line_size={MAX_CELL}, buffer_size={2**23})"
)
NO_DELIMITER = "\1\2\3\4"  # a line that holds it is not believed
MOST = 3


def count_csv(
    source: Source, data: DataSettings, wanted: Sequence[str]
) -> tuple[Layout, pa.Table | None]:
    """Return the layout of a CSV file, and its counted rows or None where DuckDB misreads them.

    Where at most the first columns are ignored, lines are counted, and the distinct ones parsed: a
    third of the time. DataError for what is no text, or has not the columns of the contract.
    """
    with _beside(partial(_count_first, source, data, wanted)) as answer:
        found = scan(source, data.delimiter, data.max_bytes, data.sha256)
        columns, table = answer.result()  # or what is wrong with the columns
    n_cut = _n_before(columns, wanted)
    if n_cut is not None:
        lines, table = table, None
        if lines is not None and _are_whole(lines, n_cut, columns, found):
            table = rows_of(lines, columns.after(n_cut), wanted, data, found.has_quotes)
        if table is not None or not _is_regular(columns, found):
            return columns, table
        with _beside(partial(_count_cells, source, data, wanted, columns)) as other:
            table = other.result()  # line ends in quotes, and what else is rare
    return columns, None if table is None else _if_whole(table, columns, found)


def _n_before(columns: Layout, wanted: Sequence[str]) -> int | None:
    """Return how many columns stand before the wanted ones; None where others are among those.

    None for more than MOST, which would take longer to cut off than DuckDB takes to parse them.
    """
    n = len(columns.names) - len(wanted)
    return n if n <= MOST and {*columns.names[n:]} == {*wanted} else None


def _count_first(
    source: Source, data: DataSettings, wanted: Sequence[str], db: DuckDBPyConnection
) -> tuple[Layout, pa.Table | None]:
    """Return the layout, and what is counted beside the scan: lines where that can do, or cells."""
    columns = read_layout(source, data)
    n_cut = _n_before(columns, wanted)
    if n_cut is None:
        return columns, _count_cells(source, data, wanted, columns, db)
    return columns, _count_lines(source, data.delimiter, n_cut, db)


@contextmanager
def _beside(query: Callable[[DuckDBPyConnection], Found]) -> Iterator[Future[Found]]:
    """Run the query beside the block, which interrupts it where it fails."""
    with connected() as db, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(query, db)
        try:
            yield answer
        except BaseException:
            while not wait([answer], 0.01).done:  # it may have been about to begin
                db.interrupt()
            raise


def _ask(db: DuckDBPyConnection, source: Source, sql: str, how: Sequence[Any]) -> pa.Table | None:
    """Return what the query finds; None where DuckDB refuses the file."""
    import duckdb

    try:
        return ask_by(db, source, sql, *how)
    except duckdb.Error:
        return None


def _count_lines(
    source: Source, delimiter: str, n_cut: int, db: DuckDBPyConnection
) -> pa.Table | None:
    """Return each line that is not blank, from its cell ``n_cut`` on, and its count.

    ``n_bytes`` are those before that cell.
    """
    lines = f"SELECT line, strlen(line) AS n_bytes FROM {CSV} WHERE line <> ''"  # noqa: S608
    cut = f"substr(line, 1 + position(chr({ord(delimiter)}) IN line)) AS line"
    for _ in range(n_cut):
        lines = f"SELECT {cut}, n_bytes FROM ({lines})"  # noqa: S608
    counts = "sum(n_bytes - strlen(line))::BIGINT AS n_bytes, count(*) AS n"
    sql = f"SELECT line, {counts} FROM ({lines}) GROUP BY line"  # noqa: S608
    how = (_packing(source), {"line": "VARCHAR"}, False, NO_DELIMITER, "", "", False)
    return _ask(db, source, sql, how)


def _are_whole(lines: pa.Table, n_cut: int, columns: Layout, found: Scan) -> bool:
    """Return whether each record is a line, every byte of it is there, and it was cut rightly."""
    is_cut = n_cut == 0 or (_is_regular(columns, found) and not found.has_quotes)
    is_whole = _totals(lines) == (found.n_records, found.n_bytes - found.n_ends)
    return found.is_plain and is_cut and is_whole


def _count_cells(
    source: Source, data: DataSettings, wanted: Sequence[str], columns: Layout,
    db: DuckDBPyConnection,
) -> pa.Table | None:  # fmt: skip
    """Return the counted rows, and as ``n_bytes`` those of their other columns."""
    import pyarrow.compute as pc

    ignored = [f"c{i}" for i, name in enumerate(columns.names) if name not in wanted]
    n_bytes = " + ".join(f"coalesce(sum(strlen({cell})), 0)" for cell in ignored) or "0"
    cells = ", ".join(f"c{columns.names.index(name)} AS w{i}" for i, name in enumerate(wanted))
    counts = f"({n_bytes})::BIGINT AS n_bytes, count(*) AS n"
    sql = f"SELECT {cells}, {counts} FROM {CSV} GROUP BY ALL"  # noqa: S608 (places alone)
    table = _ask(db, source, sql, _how(source, columns, data.delimiter))
    if table is None:
        return None
    for i in range(len(wanted)):  # "" was read as null, whether in quotes or not
        table = table.set_column(i, f"w{i}", pc.fill_null(table[i], ""))
    return table


def _if_whole(table: pa.Table, columns: Layout, found: Scan) -> pa.Table | None:
    """Return counted rows without ``n_bytes``, if every row and every byte of a cell is there."""
    is_whole = _is_regular(columns, found) and _totals(table) == _expected(columns, found)
    return table.drop_columns("n_bytes") if is_whole else None


def _totals(table: pa.Table) -> tuple[int, int]:
    """Return how many rows, or lines, are counted, and their bytes."""
    import pyarrow.compute as pc

    *texts, rest, counts = table.columns
    n = counts.to_numpy()
    n_bytes = [int(n @ pc.binary_length(text).to_numpy().astype(np.int64)) for text in texts]
    return int(n.sum()), sum(n_bytes) + int(rest.to_numpy().sum())


def csv_in_parts(
    source: Source, columns: Layout, delimiter: str, found: Scan, n: int
) -> Iterator[pa.Table] | None:
    """Return every column of a CSV file in its order, about ``n`` rows at a time.

    Each record of it must be a line. None where one is not, or where DuckDB refuses or misreads the
    file, as ``count_csv``: it is read twice, the first time to check.
    """
    import duckdb

    if not _is_regular(columns, found) or not found.is_by_line:
        return None
    names = [f"c{at}" for at in range(len(columns.names))]
    sizes = " + ".join(f"coalesce(sum(strlen({name})), 0)" for name in names)
    how = _how(source, columns, delimiter)
    try:
        sql = f"SELECT count(*) AS n, ({sizes})::BIGINT AS n_bytes FROM {CSV}"  # noqa: S608
        totals = ask(source, sql, *how).to_pylist()[0]
    except duckdb.Error:
        return None
    if (totals["n"], totals["n_bytes"]) != _expected(columns, found):
        return None
    return ask_in_parts(source, f"SELECT {cells_of(names)} FROM {CSV}", n, *how)  # noqa: S608


def _is_regular(columns: Layout, found: Scan) -> bool:
    """Return whether the file has rows, each of as many cells as there are columns."""
    n_delimiters = found.n_records * (len(columns.names) - 1)
    has_rows = found.n_records > (columns.header is not None)
    return has_rows and found.is_plain and found.n_delimiters == n_delimiters


def _expected(columns: Layout, found: Scan) -> tuple[int, int]:
    """Return how many rows there are, and bytes of their cells."""
    header = "".join(columns.header or ())
    return found.n_records - (columns.header is not None), found.n_content - len(header.encode())


def _how(source: Source, columns: Layout, delimiter: str) -> tuple[Any, ...]:
    """Return what the question marks of CSV but the first stand for, where cells are parsed."""
    types = {f"c{i}": "VARCHAR" for i in range(len(columns.names))}
    return _packing(source), types, columns.header is not None, delimiter, '"', '"', True


def _packing(source: Source) -> str:
    return "gzip" if source.kind == "gzip" else "none"


class MisreadError(Exception):
    """DuckDB cannot read a file that may still be good CSV."""


def csv_batches(
    source: Source, columns: Layout, delimiter: str, wanted: Sequence[str], n: int
) -> Iterator[pa.RecordBatch]:
    """Yield the wanted columns of a CSV file as text, in its order, about ``n`` rows at a time.

    The last column, ``n_bytes``, holds those of the other cells of each row. Whether all is there
    is for the caller to find out, by ``expected_of``. MisreadError where DuckDB refuses it.
    """
    import duckdb

    ignored = [f"c{i}" for i, name in enumerate(columns.names) if name not in wanted]
    n_bytes = " + ".join(f"coalesce(strlen({cell}), 0)" for cell in ignored) or "0"
    cells = cells_of(f"c{columns.names.index(name)}" for name in wanted)
    sql = f"SELECT {cells}, ({n_bytes})::BIGINT AS n_bytes FROM {CSV}"  # noqa: S608 (places alone)
    try:
        with connected() as db:
            how = _how(source, columns, delimiter)
            yield from db.sql(sql, params=[patterns_of(source), *how]).to_arrow_reader(n)
    except duckdb.Error as error:
        raise MisreadError(str(error)) from None


def expected_of(source: Source, data: DataSettings, columns: Layout) -> tuple[int, int] | None:
    """Return how many rows a CSV file has, and bytes of cells; None where it is irregular."""
    found = scan(source, data.delimiter, data.max_bytes, data.sha256)
    return _expected(columns, found) if _is_regular(columns, found) else None
