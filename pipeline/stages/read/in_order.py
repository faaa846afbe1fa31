"""Rows of a file in its order, as text with their lines: all, or so many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config.contract import DataSettings
from pipeline.stages.read import duckdb_csv, duckdb_reader
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.lines import layout_of, records_of
from pipeline.stages.read.records import Record, every_record
from pipeline.stages.read.rows import Counts
from pipeline.stages.read.scan import scan
from pipeline.stages.read.source import Source, open_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PART = 2**17  # rows
BATCH = 512  # records that are held as Python's objects: more would be collected as garbage, slowly

Reader = Callable[[Source, DataSettings, Layout], Iterator[Record]]


def read_in_parts(
    path: Path, data: DataSettings, need_target: bool = False, records: Reader = records_of
) -> Iterator[tuple[pd.DataFrame, Counts]]:
    """Yield the rows of another file of this contract, as text in its order, and their lines.

    About PART rows at a time, so that no more are held. Every column of the file, in its order. It
    may lack the target and ignored columns; with ``need_target`` it may not. Lines are physical
    ones (of parquet: the rows), from 1. The exact reader reads rows by ``records``. DataError as
    ``read_rows``; ``data.sha256`` is not asked for.
    """
    source = open_file(path, data.max_bytes, data.encoding)
    tables: Iterator[pa.Table] | None = None
    if source.kind == "parquet":
        columns = layout_of(source, data, need_target)
        tables = duckdb_reader.parquet_in_parts(source, columns, data, PART)
    else:
        found = scan(source, data.delimiter, data.max_bytes)
        columns = layout_of(source, data, need_target)
        if data.is_plain and not data.strip:
            tables = duckdb_csv.csv_in_parts(source, columns, data.delimiter, found, PART)
    if tables is None:
        parts = _exact_parts(records(source, data, columns))
    else:
        parts = _numbered(tables, 1 + (source.kind != "parquet" and columns.header is not None))
    for table, lines in parts:
        yield table.to_pandas().set_axis(list(columns.names), axis="columns"), lines
    source.require_unchanged()


def read_in_order(
    path: Path, data: DataSettings, need_target: bool = False
) -> tuple[pd.DataFrame, Counts]:
    """Return all of these rows, and their lines."""
    return _joined(read_in_parts(path, data, need_target))


def read_any_width(path: Path, data: DataSettings) -> tuple[pd.DataFrame, Counts, dict[int, str]]:
    """Return the rows as ``read_in_order``, and what is wrong with those of another length.

    These are no error here: their cells are kept as far as they go.
    """
    faults: dict[int, str] = {}

    def padded(source: Source, data: DataSettings, columns: Layout) -> Iterator[Record]:
        width = len(columns.names)
        found = every_record(source, data, columns.header is not None)
        for i, (line, cells) in enumerate(found):
            if len(cells) != width:
                faults[i] = f"row must have {width} cells; got {len(cells)}"
            yield line, [*cells[:width], *[""] * (width - len(cells))]

    return *_joined(read_in_parts(path, data, records=padded)), faults


def _joined(parts: Iterable[tuple[pd.DataFrame, Counts]]) -> tuple[pd.DataFrame, Counts]:
    import pandas as pd

    frames, lines = zip(*parts, strict=True)
    return pd.concat(frames, ignore_index=True), np.concatenate(lines)


def _numbered(tables: Iterator[pa.Table], first: int) -> Iterator[tuple[pa.Table, Counts]]:
    """Yield the tables with the lines of their rows, from ``first`` on."""
    for table in tables:
        yield table, first + np.arange(table.num_rows)
        first += table.num_rows


def _exact_parts(records: Iterator[Record]) -> Iterator[tuple[pa.Table, Counts]]:
    """Yield the records as tables, and their lines."""
    for first in records:
        yield _gathered(islice(chain([first], records), PART))


def _gathered(records: Iterator[Record]) -> tuple[pa.Table, Counts]:
    """Return records of one length as a table, and their lines; some at a time, to save memory."""
    import pyarrow as pa

    lines: list[int] = []
    parts = []
    while some := list(islice(records, BATCH)):
        at, rows = zip(*some, strict=True)
        lines += at
        cells = [pa.array(column, pa.large_string()) for column in zip(*rows, strict=True)]
        parts.append(pa.table(cells, names=[f"w{i}" for i in range(len(cells))]))
    return pa.concat_tables(parts), np.array(lines, np.int64)
