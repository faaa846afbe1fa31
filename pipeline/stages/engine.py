"""Distinct rows counted by SQL, done where the data is: DuckDB, embedded, on csv and parquet.

Every frame holds text in unnamed columns 0, 1, …, sorted by code point, the count last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError, bounded
from pipeline.stages.diagnose import Layout, listed
from pipeline.stages.source import Source, too_large

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection


def count_csv(
    source: Source, columns: Layout, wanted: Sequence[str], delimiter: str
) -> pd.DataFrame | None:
    """The counted rows of a CSV file, or None where DuckDB refuses it. Nothing is sniffed."""
    import duckdb

    options: list[Any] = [
        _literal(source),
        columns.header,
        {f"c{i}": "VARCHAR" for i in range(len(columns.names))},
        delimiter,
        "gzip" if source.kind == "gzip" else "none",
    ]
    table = (
        "FROM read_csv(?, auto_detect=false, header=?, columns=?, delim=?, compression=?, "
        "quote='\"', escape='\"', strict_mode=true)"
    )
    sql = f"SELECT {_cells(columns, wanted)}, count(*) {table} GROUP BY ALL ORDER BY ALL"
    try:
        with _connect() as db:
            return _unnamed(db.execute(sql, options).df())
    except duckdb.Error:
        return None


def count_parquet(source: Source, columns: Layout, wanted: Sequence[str]) -> pd.DataFrame:
    """The counted rows of a parquet file."""
    sql = f"SELECT {_cells(columns, wanted)}, count(*) {_table(columns)} GROUP BY ALL ORDER BY ALL"
    return _ask(source, sql)


def parquet_in_order(source: Source, columns: Layout) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Every column of a parquet file in its order, and the number of each row, from 1."""
    names = list(columns.names)
    frame = _ask(source, f"SELECT {_cells(columns, names)} {_table(columns)} ORDER BY place")
    if frame.empty:
        raise DataError(f"{source.shown} must hold rows; got none")
    return frame.set_axis(names, axis="columns"), np.arange(1, len(frame) + 1)


def parquet_lines(
    source: Source, columns: Layout, values: Sequence[tuple[str, frozenset[str]]], limit: int
) -> list[tuple[int, ...]]:
    """For each (column, values): the numbers of the first rows that hold one of them."""
    found = []
    for name, bad in values:
        table = f"FROM (SELECT {_cells(columns, [name])}, place {_table(columns)})"
        where = "WHERE w0 IN (SELECT unnest(?)) ORDER BY place LIMIT ?"
        sql = f"SELECT place + 1 {table} {where}"
        found.append(tuple(_ask(source, sql, sorted(bad), limit)[0].tolist()))
    return found


def parquet_names(source: Source, max_bytes: int) -> tuple[str, ...]:
    """The names of the columns of a parquet file, none of which holds columns itself.

    Raises
    ------
    DataError
        If the file is damaged, holds nested columns, or more than ``max_bytes`` when unpacked.
    """
    size = _ask(source, "SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?)")
    if size[0].sum() > max_bytes:
        raise DataError(too_large(source.shown, "more when unpacked", max_bytes))
    parts = _ask(source, "SELECT name, coalesce(num_children, 0) FROM parquet_schema(?)").iloc[1:]
    nested = [name for name, children in parts.itertuples(index=False) if children]
    if nested:
        raise DataError(
            f"{source.shown} must hold columns of text and numbers; got nested {listed(nested)}"
        )
    return tuple(parts[0])


def _ask(source: Source, sql: str, *more: Any) -> pd.DataFrame:
    import duckdb

    try:
        with _connect() as db:
            return _unnamed(db.execute(sql, [_literal(source), *more]).df())
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        fault = f"{source.shown} must be an intact parquet file; got {reason}"
        raise DataError(bounded([fault])) from None


def _connect() -> DuckDBPyConnection:
    """A database in memory that fetches no extension from anywhere."""
    import duckdb

    return duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )


def _table(columns: Layout) -> str:
    places = ", ".join(f"c{i}" for i in range(len(columns.names)))
    return f"FROM read_parquet(?, file_row_number=true) AS t({places}, place)"


def _cells(columns: Layout, wanted: Sequence[str]) -> str:
    """The wanted columns as text, named by place: the names of a file could collide."""
    places = [columns.names.index(name) for name in wanted]
    return ", ".join(f"coalesce(CAST(c{at} AS VARCHAR), '') AS w{i}" for i, at in enumerate(places))


def _unnamed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(range(frame.shape[1]), axis="columns")


def _literal(source: Source) -> str:
    """The path, with what DuckDB would take for a pattern in brackets."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(source.path))
