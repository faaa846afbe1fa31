"""A file becomes its distinct rows, as text, each with its count; nothing is guessed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline import files
from pipeline.config.column_settings import Count
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.errors import DataError
from pipeline.stages.read import duckdb_csv, duckdb_reader
from pipeline.stages.read.counted_lines import grouped
from pipeline.stages.read.engines import count_in_engine
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.lines import layout_of, lines_of, records_of
from pipeline.stages.read.numbers import parse_numbers
from pipeline.stages.read.scan import scan
from pipeline.stages.read.source import Source, open_source, require_sha256
from pipeline.text import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Distinct rows of a file, sorted, so that their order depends on nothing else.

    ``frame`` holds text, never null: the columns of the contract that are used, in its order, then
    the target; an absent cell is "". ``count`` (n,) says how often each row occurs: once for each
    time in the file, or as often as its column of kind count says, which ``frame`` then lacks.
    """

    frame: pd.DataFrame
    count: Counts
    path: Path | None  # None: a table in an engine
    part: npt.NDArray[np.int8] | None = (
        None  # of data.valid and data.test: 0 train, 1 valid, 2 test
    )

    @cached_property
    def digest(self) -> str:
        """sha256 of every cell and count, the same for every order of the rows of a file.

        Each column goes in as the lengths of its cells in code points, then the cells: no two
        tables read alike.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        names = list(self.frame.columns)
        digest = hashlib.sha256(json.dumps([names, len(self.count)]).encode())
        digest.update(self.count.astype("<i8").tobytes())
        digest.update(b"" if self.part is None else self.part.tobytes())
        text = pa.schema([(name, pa.large_string()) for name in names])
        for column in pa.Table.from_pandas(self.frame, text, preserve_index=False).columns:
            digest.update(pc.utf8_length(column).to_numpy().astype("<i8").tobytes())
            whole = pa.ListArray.from_arrays([0, len(column)], column.combine_chunks())
            digest.update(pc.binary_join(whole, pa.scalar("", pa.large_string()))[0].as_buffer())
        return digest.hexdigest()


def read_rows(data: DataSettings) -> Rows:
    """Return the distinct rows of ``data.path``, or ``data.source``, with their counts.

    DuckDB counts; its answer is taken where it agrees with an independent count of the bytes,
    and the exact reader decides where it does not.

    Raises
    ------
    DataError
        For every file that is not the table that the settings describe, with the place and cure.
    """
    wanted = [*data.used, data.target.name]
    if data.source is not None:
        path, table = None, count_in_engine(data.source, data, wanted)
    else:
        path = files.PROJECT / str(data.path)
        table = _of_file(path, data, wanted)
    names = {name: f"w{i}" for i, name in enumerate(wanted)}
    if data.strip:
        table = grouped(_stripped(table))
    for name in [name for name, column in data.used.items() if isinstance(column, Count)]:
        table = _times(table, names.pop(name), name, path, data)
    # By code point, as UTF-8 sorts; rows of equal features side by side.
    order = sorted(names, key=lambda name: (name == data.target.name, name not in data.features))
    table = table.sort_by([(names[name], "ascending") for name in order])
    count = table["n"].to_numpy().astype(np.int64)
    cells = table.drop_columns("n").rename_columns([*names]).to_pandas()
    return Rows(cells, count, path)


def _of_file(path: Path, data: DataSettings, wanted: list[str]) -> pa.Table:
    """Return the counted rows of a file, or of those that a pattern fits."""
    source = open_source(path, data.max_bytes, data.encoding)
    table = _counted(source, data, wanted)
    source.require_unchanged()
    return table


def _counted(source: Source, data: DataSettings, wanted: list[str]) -> pa.Table:
    """Return the counted rows, in no order: the wanted columns, then the count as ``n``."""
    if data.sha256 is not None and source.kind != "csv":
        require_sha256(source, data.sha256)
        data = data.model_copy(update={"sha256": None})
    if source.kind == "parquet":
        return duckdb_reader.count_parquet(source, layout_of(source, data), data, wanted)
    if data.is_plain:
        columns, table = duckdb_csv.count_csv(source, data, wanted)
    else:
        scan(source, data.delimiter, data.max_bytes, data.sha256)
        columns, table = layout_of(source, data), None
    return _count_by_csv(source, data, columns, wanted) if table is None else table


def _count_by_csv(
    source: Source, data: DataSettings, columns: Layout, wanted: list[str]
) -> pa.Table:
    """Return the rows counted by the exact reader."""
    import pyarrow as pa

    places = [columns.names.index(name) for name in wanted]
    seen = Counter(
        tuple(cells[place] for place in places) for _, cells in records_of(source, data, columns)
    )
    cells = [pa.array(column, pa.large_string()) for column in zip(*seen, strict=True)]
    n = pa.array(seen.values(), pa.int64())
    return pa.table([*cells, n], names=[*(f"w{i}" for i in range(len(cells))), "n"])


def _stripped(table: pa.Table) -> pa.Table:
    """Return counted rows without blanks around the cells; equal ones are not yet one."""
    import pyarrow.compute as pc

    for i, name in enumerate(table.column_names[:-1]):
        table = table.set_column(i, name, pc.utf8_trim(table[name], characters=BLANKS))
    return table


def _times(
    table: pa.Table, place: str, name: str, path: Path | None, data: DataSettings
) -> pa.Table:
    """Return the rows as often as the column ``name`` says, without that column.

    Raises
    ------
    DataError
        If a count is no whole number from 0 up, or their sum is not below 2^53.
    """
    import pyarrow as pa

    text, n = table[place].to_pandas(), table["n"].to_numpy()
    times = parse_numbers(text, data)
    is_whole = (times >= 0) & (times < 2**53) & (times == np.floor(times))
    rule = f"column {name} must hold whole numbers from 0 up (kind: count)"
    if not is_whole.all():
        bad = list(dict.fromkeys(text[~is_whole]))
        ((*lines,),) = lines_of(path, data, [(name, frozenset(bad))])
        at = f", line{'s' * (len(lines) > 1)} {', '.join(map(str, lines))}" if lines else ""
        rows = counted(int(n[~is_whole].sum()), "row")
        raise DataError(f"{rule}; got {listed(bad)} in {rows}{at}")
    total = float(n @ times)
    if not 0 < total < 2**53:
        raise DataError(f"{rule}, with a sum above 0 and below 2^53; got {total:g}")
    counts = pa.array((n * times).astype(np.int64))
    rows = table.drop_columns([place, "n"]).append_column("n", counts)
    return grouped(rows.filter(pa.array(times > 0)))
