"""A file becomes its distinct rows, as text, each with its count; nothing is guessed."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline import paths
from pipeline.config import DataSettings
from pipeline.errors import DataError
from pipeline.stages import engine
from pipeline.stages.diagnose import Layout, checked_records, layout, require_names
from pipeline.stages.scan import Scan, scan
from pipeline.stages.source import Source, look, require_pin

if TYPE_CHECKING:
    import pandas as pd

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Distinct rows of a file, sorted, so that their order depends on nothing else.

    ``frame`` holds text, never null: the columns of the contract that are not ignored, in its
    order, then the target; an absent cell is "". ``count`` (n,) says how often each row occurs.
    """

    frame: pd.DataFrame
    count: Counts
    path: Path

    @cached_property
    def digest(self) -> str:
        """sha256 of every cell and count, the same for every order of the rows of the file.

        Each column goes in as the lengths of its cells, then the cells: no two tables read alike.
        """
        names = list(self.frame.columns)
        digest = hashlib.sha256(json.dumps([names, len(self.count)]).encode())
        digest.update(self.count.astype("<i8").tobytes())
        for name in names:
            cells = self.frame[name].tolist()
            digest.update(np.fromiter(map(len, cells), "<i8", len(cells)).tobytes())
            digest.update("".join(cells).encode())
        return digest.hexdigest()


def read_rows(data: DataSettings) -> Rows:
    """The distinct rows of ``data.path`` with their counts.

    DuckDB counts; its answer is taken where it agrees with an independent count of the bytes,
    and the exact reader decides where it does not.

    Raises
    ------
    DataError
        For every file that is not the table that the settings describe, with the place and cure.
    """
    source = look(paths.PROJECT / data.path, data.max_bytes)
    if data.sha256 is not None:
        require_pin(source, data.sha256)
    wanted = _wanted(data)
    frame = _counted(source, data, wanted)
    source.require_unchanged()
    count = frame.iloc[:, -1].to_numpy(np.int64)
    return Rows(frame.iloc[:, :-1].set_axis(wanted, axis="columns"), count, source.path)


def read_in_order(
    path: Path, data: DataSettings, need_target: bool = False
) -> tuple[pd.DataFrame, Counts]:
    """The rows of another file of this contract, as text in its order, and the line of each.

    Every column of the file, in its order. It may lack the target and ignored columns; with
    ``need_target`` it may not. Lines are physical ones (of parquet: the rows), from 1.

    Raises
    ------
    DataError
        As ``read_rows``; ``data.sha256`` is not asked for.
    """
    import pandas as pd

    source = look(path, data.max_bytes)
    if source.kind == "parquet":
        columns = _columns(source, data, need_target)
        frame, lines = engine.parquet_in_order(source, columns)
        source.require_unchanged()
        return frame, lines
    scan(source, data.delimiter, data.max_bytes)
    columns = _columns(source, data, need_target)
    places, rows = [], []
    for line, cells in checked_records(source, data, columns):
        places.append(line)
        rows.append(tuple(map(sys.intern, cells)))  # of a long table most cells are equal
    source.require_unchanged()
    return pd.DataFrame(rows, columns=list(columns.names), dtype="str"), np.array(places, np.int64)


def lines_of(
    path: Path, data: DataSettings, values: Sequence[tuple[str, frozenset[str]]], limit: int = 5
) -> list[tuple[int, ...]]:
    """For each (column, values): the first lines on which the column holds one of the values.

    One pass, only for a table that has faults. A file that has gone meanwhile has no lines.
    """
    try:
        source = look(paths.PROJECT / path, data.max_bytes)
        columns = _columns(source, data)
        if source.kind == "parquet":
            return engine.parquet_lines(source, columns, values, limit)
        return _first_lines(checked_records(source, data, columns), columns, values, limit)
    except (DataError, OSError):
        return [()] * len(values)


def _first_lines(
    found: Iterator[tuple[int, list[str]]],
    columns: Layout,
    values: Sequence[tuple[str, frozenset[str]]],
    limit: int,
) -> list[tuple[int, ...]]:
    lines: list[list[int]] = [[] for _ in values]
    sought = [
        (columns.names.index(name), bad, mine)
        for (name, bad), mine in zip(values, lines, strict=True)
    ]
    for line, cells in found:
        full = False
        for place, bad, mine in sought:
            if cells[place] in bad:
                mine.append(line)
                full = full or len(mine) == limit
        if full:
            sought = [each for each in sought if len(each[2]) < limit]
            if not sought:
                break
    return [tuple(mine) for mine in lines]


def _columns(source: Source, data: DataSettings, need_target: bool = True) -> Layout:
    if source.kind != "parquet":
        return layout(source, data, need_target)
    names = engine.parquet_names(source, data.max_bytes)
    require_names(source.shown, names, data, need_target)
    return Layout(names, header=False)


def _wanted(data: DataSettings) -> list[str]:
    return [*data.attributes, data.target.name]


def _counted(source: Source, data: DataSettings, wanted: list[str]) -> pd.DataFrame:
    if source.kind == "parquet":
        frame = engine.count_parquet(source, _columns(source, data), wanted)
        if frame.empty:
            raise DataError(f"{source.shown} must hold rows; got none")
        return frame
    found = scan(source, data.delimiter, data.max_bytes)
    columns = _columns(source, data)
    fast = _count_fast(source, data, columns, found)
    return fast if fast is not None else _count_exactly(source, data, columns)


def _count_fast(
    source: Source, data: DataSettings, columns: Layout, found: Scan
) -> pd.DataFrame | None:
    """The counted rows by DuckDB, or None where it refuses the file or may read it otherwise.

    It drops a delimiter at the end of a line and white space before a quote, which is why every
    record and every delimiter must have been seen by the scan as well.
    """
    n_rows = found.n_records - columns.header
    if (
        not n_rows
        or not found.plain
        or found.n_delimiters != found.n_records * (len(columns.names) - 1)
    ):
        return None
    frame = engine.count_csv(source, columns, _wanted(data), data.delimiter)
    return frame if frame is not None and int(frame.iloc[:, -1].sum()) == n_rows else None


def _count_exactly(source: Source, data: DataSettings, columns: Layout) -> pd.DataFrame:
    """The counted rows by the exact reader, sorted by code point as DuckDB sorts them."""
    import pandas as pd

    places = [columns.names.index(name) for name in _wanted(data)]
    counted = Counter(
        tuple(cells[place] for place in places)
        for _, cells in checked_records(source, data, columns)
    )
    rows = sorted(counted)
    frame = pd.DataFrame(rows, dtype="str")
    frame[len(places)] = [counted[row] for row in rows]
    return frame
