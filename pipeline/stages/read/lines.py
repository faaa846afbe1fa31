"""Values of a table become the lines of its file on which they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read import duckdb_reader
from pipeline.stages.read.layout import Layout, read_layout, require_names
from pipeline.stages.read.records import Record, checked_records
from pipeline.stages.read.source import Source, files_of, open_source

Sought = tuple[str, frozenset[str]]  # a column, and values that it may hold


def lines_of(
    path: Path | None, data: DataSettings, values: Sequence[Sought], limit: int = 5
) -> list[tuple[int, ...]]:
    """Return for each (column, values) the first lines on which the column holds one of them.

    One pass, only for a table that has violations. A file that has gone meanwhile has no lines, nor
    have several files, or a table in an engine (None).
    """
    if path is None or files_of(files.PROJECT / path) != [files.PROJECT / path]:
        return [()] * len(values)
    try:
        source = open_source(files.PROJECT / path, data.max_bytes, data.encoding)
        columns = layout_of(source, data)
        if source.kind == "parquet":
            return duckdb_reader.parquet_lines(source, columns, data, values, limit)
        return _csv_lines(records_of(source, data, columns), columns, values, limit)
    except (DataError, OSError):
        return [()] * len(values)


def _csv_lines(
    records: Iterator[Record], columns: Layout, values: Sequence[Sought], limit: int
) -> list[tuple[int, ...]]:
    found: list[list[int]] = [[] for _ in values]
    places = [columns.names.index(name) for name, _ in values]
    sought = [(at, bad, of) for at, (_, bad), of in zip(places, values, found, strict=True) if bad]
    for line, cells in records:
        for place, bad, lines in sought:
            if cells[place] in bad and len(lines) < limit:
                lines.append(line)
                sought = [each for each in sought if len(each[2]) < limit]
        if not sought:
            break
    return [tuple(lines) for lines in found]


def layout_of(source: Source, data: DataSettings, need_target: bool = True) -> Layout:
    """Return where each column of the contract stands in the file; DataError if it does not."""
    if source.kind != "parquet":
        return read_layout(source, data, need_target)
    names = duckdb_reader.parquet_names(source, data.max_bytes)
    require_names(source.shown, names, data, need_target, is_typed=True)
    return Layout(names)


def records_of(source: Source, data: DataSettings, columns: Layout) -> Iterator[Record]:
    """Yield the rows of a CSV file with their lines; DataError where their lengths differ."""
    return checked_records(source, data, len(columns.names), columns.header is not None)
