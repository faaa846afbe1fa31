"""Distinct rows counted by SQL, done where the data is: DuckDB, embedded, on csv and parquet.

A table of counted rows holds text in columns w0, w1, …, in no order, and the count last, as n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.config.file_settings import BLANKS, FileSettings
from pipeline.errors import DataError
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.records import MAX_CELL
from pipeline.stages.read.scan import Scan
from pipeline.stages.read.source import Source, files_of, too_large
from pipeline.text import one_line, quoted

if TYPE_CHECKING:
    import pyarrow as pa

# Nothing is sniffed.
CSV = (
    "read_csv(?, auto_detect=false, header=?, columns=?, delim=?, compression=?, "
    "max_line_size=?, quote='\"', escape='\"', strict_mode=true)"
)
PARQUET = "read_parquet(?, hive_partitioning=false)"  # columns are those of the files alone
SCHEMA = (
    "SELECT file_name, name, coalesce(num_children, 0) AS n, type, converted_type, logical_type, "
    "scale FROM parquet_schema(?)"
)
# DuckDB fetches no extension from anywhere; the text of a column may be more than 2 GB.
SETTINGS: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "arrow_large_buffer_size": "true",
}


def count_csv(
    source: Source, columns: Layout, wanted: Sequence[str], delimiter: str, found: Scan
) -> pa.Table | None:
    """Return the counted rows of a CSV file, or None where DuckDB refuses or misreads it.

    It drops a delimiter at the end of a line and, now and then, white space beside a quote or line
    end. So every record, delimiter and byte of a cell that the scan has ``found`` must be there.
    """
    import duckdb

    if not _is_regular(columns, found):
        return None
    ignored = [f"c{i}" for i, name in enumerate(columns.names) if name not in wanted]
    counts = f"count(*) AS n, sum({_n_bytes(ignored)})::BIGINT AS rest"
    places = [columns.names.index(name) for name in wanted]
    cells = _cells(f"c{at}" for at in places)
    sql = f"SELECT {cells}, {counts} FROM {CSV} GROUP BY ALL"  # noqa: S608
    total = f"n * ({_n_bytes(f'w{i}' for i in range(len(wanted)))}) + rest AS n_bytes"
    how = _how(source, columns, delimiter)
    try:
        table = _ask(source, f"SELECT * EXCLUDE rest, {total} FROM ({sql})", *how)  # noqa: S608
    except duckdb.Error:
        return None
    got = tuple(int(table[name].to_numpy().sum()) for name in ("n", "n_bytes"))
    return table.drop_columns("n_bytes") if got == _expected(columns, found) else None


def csv_in_order(source: Source, columns: Layout, delimiter: str, found: Scan) -> pa.Table | None:
    """Return every column of a CSV file in its order, each record of which is a line.

    None where a record is none, or where DuckDB refuses or misreads the file, as ``count_csv``.
    """
    import duckdb
    import pyarrow.compute as pc

    if not _is_regular(columns, found) or not found.is_by_line:
        return None
    cells = _cells(f"c{at}" for at in range(len(columns.names)))
    sql = f"SELECT {cells} FROM {CSV}"  # noqa: S608 (places alone)
    try:
        table = _ask(source, sql, *_how(source, columns, delimiter))
    except duckdb.Error:
        return None
    n_bytes = sum(pc.sum(pc.binary_length(cells)).as_py() for cells in table.columns)
    return table if (table.num_rows, n_bytes) == _expected(columns, found) else None


def _is_regular(columns: Layout, found: Scan) -> bool:
    """Return whether the file has rows, each of as many cells as there are columns."""
    n_delimiters = found.n_records * (len(columns.names) - 1)
    has_rows = found.n_records > (columns.header is not None)
    return has_rows and found.is_plain and found.n_delimiters == n_delimiters


def _how(source: Source, columns: Layout, delimiter: str) -> tuple[Any, ...]:
    """Return what the question marks of CSV but the first stand for."""
    types = {f"c{i}": "VARCHAR" for i in range(len(columns.names))}
    kind = "gzip" if source.kind == "gzip" else "none"
    return columns.header is not None, types, delimiter, kind, MAX_CELL


def _expected(columns: Layout, found: Scan) -> tuple[int, int]:
    """Return how many rows there are, and bytes of their cells."""
    header = "".join(columns.header or ())
    return found.n_records - (columns.header is not None), found.n_content - len(header.encode())


def count_parquet(
    source: Source, columns: Layout, data: FileSettings, wanted: Sequence[str]
) -> pa.Table:
    """Return the counted rows of a parquet file; DataError where it holds none."""
    cells = _parquet_cells(source, columns, data, wanted)
    sql = f"SELECT {cells}, count(*) AS n FROM {_parquet(columns)} GROUP BY ALL"  # noqa: S608
    return _require_rows(source, _ask_parquet(source, sql))


def count_typed(table: pa.Table, data: FileSettings) -> pa.Table:
    """Return typed rows that are counted already, w0, w1, … and n, as text; equal ones are one."""
    import duckdb

    names = [name for name in table.column_names if name != "n"]
    with duckdb.connect(config=SETTINGS) as db:
        db.execute("SET TimeZone='UTC'")
        db.register("typed", table)
        types = dict(db.sql("SELECT column_name, column_type FROM (DESCRIBE typed)").fetchall())
        cells = _cells(_text(name, types[name], data) for name in names)
        sql = f"SELECT {cells}, sum(n)::BIGINT AS n FROM typed GROUP BY ALL"  # noqa: S608
        return db.sql(sql).to_arrow_table()


def parquet_in_order(source: Source, columns: Layout, data: FileSettings) -> pa.Table:
    """Return every column of a parquet file in its order; DataError where it holds no row."""
    cells = _parquet_cells(source, columns, data, None)
    sql = f"SELECT {cells} FROM {_parquet(columns)} ORDER BY place"  # noqa: S608 (places alone)
    return _require_rows(source, _ask_parquet(source, sql))


def parquet_lines(
    source: Source, columns: Layout, data: FileSettings,
    values: Sequence[tuple[str, frozenset[str]]], limit: int,
) -> list[tuple[int, ...]]:  # fmt: skip
    """Return for each (column, values) the numbers of the first rows that hold one of them."""
    found = []
    for name, bad in values:
        cells = _parquet_cells(source, columns, data, [name])
        rows = f"SELECT {cells}, place FROM {_parquet(columns)}"  # noqa: S608
        where = "WHERE w0 IN (SELECT unnest(?)) ORDER BY place LIMIT ?"
        sql = f"SELECT place + 1 FROM ({rows}) {where}"  # noqa: S608
        found.append(tuple(_ask_parquet(source, sql, sorted(bad), limit)[0].to_pylist()))
    return found


def parquet_names(source: Source, max_bytes: int) -> tuple[str, ...]:
    """Return the names of the columns of a parquet file, none of which holds columns itself.

    Raises
    ------
    DataError
        If the file is damaged, holds nested columns, or more than ``max_bytes`` when unpacked.
    """
    size = _ask_parquet(source, "SELECT total_uncompressed_size FROM parquet_metadata(?)")
    if sum(filter(None, size[0].to_pylist())) > max_bytes:
        raise too_large(source.shown, "more when unpacked", max_bytes)
    schema = _ask_parquet(source, SCHEMA).to_pylist()
    by_file = {name: [*of] for name, of in groupby(schema, lambda part: part.pop("file_name"))}
    (first, (_, *parts)), *others = by_file.items()
    for other, (_, *of) in others:
        if sorted(map(repr, of)) != sorted(map(repr, parts)):
            raise DataError(
                f"{source.shown} must fit files with the same columns; got others in "
                f"{files.shown(Path(other))} than in {files.shown(Path(first))}"
            )
    nested = [part["name"] for part in parts if part["n"]]
    if nested:  # what is in it follows it
        raise DataError(
            f"{source.shown} must hold columns of text and numbers; got nested {quoted(nested[0])}"
        )
    return tuple(part["name"] for part in parts)


def _ask_parquet(source: Source, sql: str, *more: Any) -> pa.Table:
    import duckdb

    try:
        return _ask(source, sql, *more)
    except duckdb.Error as error:
        reason = one_line(str(error).splitlines()[0])
        raise DataError(f"{source.shown} must be an intact parquet file; got {reason}") from None


def _require_rows(source: Source, table: pa.Table) -> pa.Table:
    if not table.num_rows:
        raise DataError(f"{source.shown} must hold rows; got none")
    return table


def _ask(source: Source, sql: str, *more: Any) -> pa.Table:
    """Return what the query finds; its first ? is the paths of its files."""
    import duckdb

    # DuckDB would take these for a pattern.
    paths = [
        "".join(f"[{char}]" if char in "*?[" else char for char in str(path))
        for path in files_of(source.path)
    ]
    with duckdb.connect(config=SETTINGS) as db:
        db.execute("SET TimeZone='UTC'")
        db.execute("SET enable_progress_bar = false")  # it would be printed between our lines
        return db.sql(sql, params=[paths, *more]).to_arrow_table()


def _parquet(columns: Layout) -> str:
    places = ", ".join(f"c{i}" for i in range(len(columns.names)))
    return f"{PARQUET[:-1]}, file_row_number=true) AS t({places}, place)"


def _n_bytes(columns: Iterable[str]) -> str:
    """Return the bytes of these columns of a row, as SQL."""
    return " + ".join(f"coalesce(strlen({name}), 0)" for name in columns) or "0"


def _cells(texts: Iterable[str]) -> str:
    """Return expressions as text, named by place: the names of a file could collide."""
    return ", ".join(f"coalesce({text}, '') AS w{i}" for i, text in enumerate(texts))


def _parquet_cells(
    source: Source, columns: Layout, data: FileSettings, wanted: Sequence[str] | None
) -> str:
    """Return the wanted columns (None: all) of a parquet file as text, each type written one way.

    Numbers by the shortest text that is read back as they were, with the decimal mark of the
    contract; a boolean as true or false; a day as 2026-01-31; a moment as 2026-01-31 12:00:00, and
    one with a time zone as that of UTC, whatever TZ is.
    """
    described = _ask_parquet(source, f"DESCRIBE SELECT * FROM {PARQUET}")  # noqa: S608
    types = described["column_type"].to_pylist()
    names = columns.names
    places = range(len(names)) if wanted is None else [names.index(name) for name in wanted]
    return _cells(_text(f"c{at}", types[at], data) for at in places)


def _text(cell: str, type_: str, data: FileSettings) -> str:
    text = f"CAST({cell} AS VARCHAR)"
    if type_.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")):
        return f"{text} || ':00'"  # of +00
    if data.decimal != "." and type_.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return f"replace({text}, '.', '{data.decimal}')"
    return f"trim({text}, '{BLANKS}')" if data.strip else text
