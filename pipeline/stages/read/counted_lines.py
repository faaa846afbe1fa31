"""Counted lines of a CSV file become its counted rows: what is there often is parsed once."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.records import MAX_CELL

if TYPE_CHECKING:
    import pyarrow as pa

MANY = 2**16  # distinct lines with quotes: beyond, DuckDB parses the whole file faster


def rows_of(
    lines: pa.Table, columns: Layout, wanted: Sequence[str], data: DataSettings, has_quotes: bool
) -> pa.Table | None:
    """Return the counted rows of counted lines (line, …, n), each of which is a record.

    None where one is malformed or of another length, where MANY have quotes, and without a row.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    width = len(columns.names)
    plain, quoted = lines, lines.slice(0, 0)
    if has_quotes:
        is_quoted = pc.match_substring(lines["line"], '"')
        plain, quoted = lines.filter(pc.invert(is_quoted)), lines.filter(is_quoted)
    split = _split(plain["line"], data.delimiter, width)
    parsed = _parse(quoted["line"], data.delimiter, width)
    if split is None or parsed is None:
        return None
    names = [*map(str, range(width)), "n"]
    parts = [(split, plain["n"]), (parsed, quoted["n"])]
    table = pa.concat_tables(pa.table([*cells, n], names) for cells, n in parts)
    table = _without_header(table, columns, data)
    if not table.num_rows:
        return None
    if len(quoted):  # some may differ in their quotes alone
        table = grouped(table)
    places = [str(columns.names.index(name)) for name in wanted]
    return table.select([*places, "n"]).rename_columns(
        [*(f"w{i}" for i in range(len(wanted))), "n"]
    )


def _split(lines: pa.ChunkedArray, delimiter: str, width: int) -> list[pa.ChunkedArray] | None:
    """Return the columns of lines without quotes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = [pc.split_pattern(chunk, delimiter) for chunk in lines.chunks]
    if any(pc.any(pc.not_equal(pc.list_value_length(of), width)).as_py() for of in cells):
        return None
    return [
        pa.chunked_array([of.flatten()[i::width] for of in cells], pa.large_string())
        for i in range(width)
    ]


def _parse(lines: pa.ChunkedArray, delimiter: str, width: int) -> list[pa.Array] | None:
    """Return the columns of lines with quotes, by the exact reader."""
    import pyarrow as pa

    if len(lines) > MANY:
        return None
    csv.field_size_limit(MAX_CELL)
    try:
        records = [*csv.reader(lines.to_pylist(), delimiter=delimiter, strict=True)]
    except csv.Error:
        return None
    if len(records) < len(lines) or any(len(cells) != width for cells in records):
        return None
    return [pa.array([cells[i] for cells in records], pa.large_string()) for i in range(width)]


def _without_header(table: pa.Table, columns: Layout, data: DataSettings) -> pa.Table:
    """Return the rows with the header, which is one of them, counted once less."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if columns.header is None:
        return table
    at = pa.array(np.arange(table.num_rows))
    for cells, name in zip(table.columns, columns.header, strict=False):  # the last one is n
        here = cells.take(at) if len(at) < len(cells) else cells
        at = at.filter(pc.equal(pc.utf8_trim(here, BLANKS) if data.strip else here, name))
    n = table["n"].to_numpy().copy()
    n[at[0].as_py()] -= 1
    table = table.set_column(len(columns.names), "n", pa.array(n))
    return table if n.all() else table.filter(pa.array(n > 0))


def grouped(table: pa.Table) -> pa.Table:
    """Return counted rows with each distinct row once, and the sum of its counts."""
    names = table.column_names[:-1]
    summed = table.group_by(names).aggregate([("n", "sum")])
    return summed.select([*names, "n_sum"]).rename_columns([*names, "n"])
