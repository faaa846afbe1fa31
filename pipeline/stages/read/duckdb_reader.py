"""Distinct rows of parquet counted by SQL, done where the data is: DuckDB, embedded.

A table of counted rows holds text in columns w0, w1, …, in no order, and the count last, as n.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.config.file_settings import BLANKS, FileSettings
from pipeline.errors import DataError
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.source import Source, files_of, too_large
from pipeline.text import one_line, quoted

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

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


def count_parquet(
    source: Source, columns: Layout, data: FileSettings, wanted: Sequence[str]
) -> pa.Table:
    """Return the counted rows of a parquet file; DataError where it holds none.

    Distinct cells are written as text, not those of every row. To group, -0.0 equals 0.0.
    """
    types = _parquet_types(source)
    places = [columns.names.index(name) for name in wanted]
    signs = [f"signbit(c{at})" for at in places if types[at] in ("DOUBLE", "FLOAT")]
    keys = ", ".join([*(f"c{at} AS t{i}" for i, at in enumerate(places)), *signs])
    typed = f"SELECT {keys}, count(*) AS n FROM {_parquet(columns)} GROUP BY ALL"  # noqa: S608
    cells = cells_of(_text(f"t{i}", types[at], data) for i, at in enumerate(places))
    sql = f"SELECT {cells}, sum(n)::BIGINT AS n FROM ({typed}) GROUP BY ALL"  # noqa: S608
    return _require_rows(source, _ask_parquet(source, sql))


def count_typed(table: pa.Table, data: FileSettings) -> pa.Table:
    """Return typed rows that are counted already, w0, w1, … and n, as text; equal ones are one."""
    names = [name for name in table.column_names if name != "n"]
    with connected() as db:
        db.register("typed", table)
        types = dict(db.sql("SELECT column_name, column_type FROM (DESCRIBE typed)").fetchall())
        cells = cells_of(_text(name, types[name], data) for name in names)
        sql = f"SELECT {cells}, sum(n)::BIGINT AS n FROM typed GROUP BY ALL"  # noqa: S608
        return db.sql(sql).to_arrow_table()


def parquet_in_parts(
    source: Source, columns: Layout, data: FileSettings, n: int
) -> Iterator[pa.Table]:
    """Yield every column of a parquet file in its order, about ``n`` rows at a time.

    DataError where it holds no row.
    """
    import duckdb

    cells = _parquet_cells(source, columns, data, None)
    sql = f"SELECT {cells} FROM {_parquet(columns)}"  # noqa: S608 (places alone)
    n_rows = 0
    try:
        for table in ask_in_parts(source, sql, n):
            n_rows += table.num_rows
            yield table
    except duckdb.Error as error:
        raise _damaged(source, error) from None
    if not n_rows:
        raise DataError(f"{source.shown} must hold rows; got none")


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


def parquet_excerpt(source: Source, most: int, into: Path) -> int:
    """Write at most ``most`` rows of parquet files, evenly spaced, to a file; return all there are.

    Nothing is written where there are no more.
    """
    sizes = _ask_parquet(source, "SELECT num_rows FROM parquet_file_metadata(?)")[0].to_pylist()
    if sum(sizes) > most:
        every = -(-sum(sizes) // most)
        rows = f"{PARQUET[:-1]}, file_row_number=true) WHERE file_row_number % {every} = 0"
        sql = f"COPY (SELECT * EXCLUDE file_row_number FROM {rows}) TO '{into}'"  # noqa: S608
        with connected() as db:
            db.execute(sql, [patterns_of(source)])
    return int(sum(sizes))


def _ask_parquet(source: Source, sql: str, *more: Any) -> pa.Table:
    import duckdb

    try:
        return ask(source, sql, *more)
    except duckdb.Error as error:
        raise _damaged(source, error) from None


def _damaged(source: Source, error: Exception) -> DataError:
    reason = one_line(str(error).splitlines()[0])
    return DataError(f"{source.shown} must be an intact parquet file; got {reason}")


def _require_rows(source: Source, table: pa.Table) -> pa.Table:
    if not table.num_rows:
        raise DataError(f"{source.shown} must hold rows; got none")
    return table


def ask(source: Source, sql: str, *more: Any) -> pa.Table:
    """Return what the query finds; its first ? is the paths of its files."""
    with connected() as db:
        return ask_by(db, source, sql, *more)


def ask_by(db: DuckDBPyConnection, source: Source, sql: str, *more: Any) -> pa.Table:
    """Return what the query finds over this connection."""
    return db.sql(sql, params=[patterns_of(source), *more]).to_arrow_table()


def ask_in_parts(source: Source, sql: str, n: int, *more: Any) -> Iterator[pa.Table]:
    """Yield what the query finds, in its order, about ``n`` rows at a time; no more are held."""
    import pyarrow as pa

    with connected() as db:
        found: Any = db.sql(sql, params=[patterns_of(source), *more])
        yield from (pa.Table.from_batches([batch]) for batch in found.to_arrow_reader(n))


def patterns_of(source: Source) -> list[str]:
    """Return the paths of the files as DuckDB takes them: it would read these for a pattern."""
    return [
        "".join(f"[{char}]" if char in "*?[" else char for char in str(path))
        for path in files_of(source.path)
    ]


@contextmanager
def connected() -> Iterator[DuckDBPyConnection]:
    """Open a database in memory, which is gone at the end of the block."""
    import duckdb

    with duckdb.connect(config=SETTINGS) as db:
        db.execute("SET TimeZone='UTC'")
        db.execute("SET enable_progress_bar = false")  # it would be printed between our lines
        yield db


def _parquet(columns: Layout) -> str:
    places = ", ".join(f"c{i}" for i in range(len(columns.names)))
    return f"{PARQUET[:-1]}, file_row_number=true) AS t({places}, place)"


def cells_of(texts: Iterable[str]) -> str:
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
    types = _parquet_types(source)
    names = columns.names
    places = range(len(names)) if wanted is None else [names.index(name) for name in wanted]
    return cells_of(_text(f"c{at}", types[at], data) for at in places)


def _parquet_types(source: Source) -> list[str]:
    described = _ask_parquet(source, f"DESCRIBE SELECT * FROM {PARQUET}")  # noqa: S608
    types: list[str] = described["column_type"].to_pylist()
    return types


def _text(cell: str, type_: str, data: FileSettings) -> str:
    text = f"CAST({cell} AS VARCHAR)"
    if type_.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")):
        return f"{text} || ':00'"  # of +00
    if data.decimal != "." and type_.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return f"replace({text}, '.', '{data.decimal}')"
    return f"trim({text}, '{BLANKS}')" if data.strip else text


def text_of(cells: pa.Array, data: FileSettings) -> pa.Array:
    """Return typed cells as the text that they are read as from a parquet file."""
    import pyarrow as pa

    with connected() as db:
        table = db.from_arrow(pa.table({"c0": cells}))
        found = table.project(cells_of([_text("c0", str(table.types[0]), data)]))
        return found.to_arrow_table()["w0"].combine_chunks()
