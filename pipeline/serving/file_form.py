"""A file in the body of a request becomes blocks of rows: CSV as predict reads it, and parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from operator import itemgetter
from typing import Any

from pipeline.config.contract import DataSettings
from pipeline.serving.rows import (
    CELLS,
    ROWS,
    Block,
    Body,
    RequestError,
    block_of,
    cell_faults,
    fitted,
    require_columns,
)
from pipeline.stages.read.layout import read_layout
from pipeline.stages.read.records import every_record
from pipeline.text import listed, one_line

MOST_ROWS = 10**8  # equal ones take no room in parquet
INDEX = re.compile(r"__index_level_\d+__")  # of a data frame of pandas, in parquet


def csv_blocks(body: Body, data: DataSettings) -> Iterator[Block]:
    """Yield the rows of a CSV file in the form of the contract, as ``make predict`` reads it.

    DataError where it is no such file, after the rows before.
    """
    layout = read_layout(body, data, need_target=False)
    names, places = [*data.features], [layout.names.index(name) for name in data.features]
    width, first = len(layout.names), 0
    found = every_record(body, data, layout.header is not None)
    while records := [cells for _, cells in islice(found, ROWS)]:
        faults = [*fitted(records, width, first)]
        columns = [[*map(itemgetter(place), records)] for place in places]
        yield block_of(first, names, columns, faults)
        first += len(records)


def parquet_blocks(body: Body, data: DataSettings) -> Iterator[Block]:
    """Yield the rows of a parquet file."""
    import pyarrow as pa

    try:
        yield from _parquet(body, data)
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        reason = one_line(error, 100)
        raise RequestError(f"request must be an intact parquet file; got {reason}") from None


def _parquet(body: Body, data: DataSettings) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with body.open() as file:
        table = pq.ParquetFile(file)
        size = sum(table.metadata.row_group(i).total_byte_size for i in range(table.num_row_groups))
        if size > data.max_bytes:
            raise RequestError(f"request must hold at most {data.max_bytes} bytes when unpacked")
        if table.metadata.num_rows > MOST_ROWS:
            raise RequestError(f"request must hold at most {MOST_ROWS:,} rows")
        require_columns([n for n in table.schema_arrow.names if not INDEX.fullmatch(n)], data)
        nested = [f.name for f in table.schema_arrow if pa.types.is_nested(f.type)]
        if wrong := [name for name in nested if name in data.features]:
            raise RequestError(f"columns must hold text and numbers; got nested {listed(wrong)}")
        first = 0
        for batch in table.iter_batches(ROWS, columns=[*data.features]):
            columns = [[*map(_plain, batch[name].to_pylist())] for name in data.features]
            faults = [*cell_faults([*data.features], columns, first, has_escapes=False)]
            yield block_of(first, [*data.features], columns, faults)
            first += batch.num_rows


def _plain(cell: Any) -> Any:
    """Return a cell of parquet as JSON would hold it: a moment and a decimal as text."""
    if type(cell) in CELLS:
        return cell
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "backslashreplace")
    return str(cell)
