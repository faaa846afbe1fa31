"""A table is held as its distinct rows where they are few, and otherwise read in blocks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.blocks.columns import cell_keys, values_of
from pipeline.stages.blocks.keyed import Key
from pipeline.stages.blocks.row_hash import keys_of
from pipeline.stages.blocks.side_by_side import side_by_side
from pipeline.stages.blocks.source import BlockRows, Piece, Runner, open_blocks
from pipeline.stages.read import Rows, read_rows
from pipeline.stages.read.source import open_source
from pipeline.stages.read.workers import Workers, has_workers

LEAST = 2**18  # rows that are looked at
REPEATING = 1 / 8  # of the rows looked at: where fewer are new, the others are not expected to be


def read_table(data: DataSettings) -> Rows | BlockRows:
    """Return the distinct rows with their counts, or more than ``data.max_distinct`` in blocks.

    Raises
    ------
    DataError
        As ``read_rows``.
    """
    runner: Runner = side_by_side
    files_here = data
    if data.source is not None and has_workers(data.source):
        runner = Workers(data.source)
        files_here = data.model_copy(update={"source": None, "path": data.source.path})
    if data.max_distinct is None or not _is_parquet(files_here):
        return read_rows(data)
    seen = open_blocks(files_here)
    rows = replace(seen, runner=runner)
    if rows.n_rows > data.max_distinct and has_more(seen, data.max_distinct):
        return rows
    counted = read_rows(data)
    return counted if len(counted.count) <= data.max_distinct else rows


def read_held(data: DataSettings, what: str) -> Rows:
    """Return the distinct rows with their counts, for ``what`` cannot be done in blocks.

    Raises
    ------
    DataError
        As ``read_rows``, and where more than ``data.max_distinct`` rows differ.
    """
    rows = read_table(data)
    if isinstance(rows, BlockRows):
        raise DataError(
            f"{what} must have at most data.max_distinct={data.max_distinct} distinct rows; got "
            f"more in {data.place}: set data.max_distinct=null to hold them in memory"
        )
    return rows


def has_more(rows: BlockRows, bound: int) -> bool:
    """Return whether the first blocks hold more than ``bound`` distinct rows.

    It looks on as long as rows seem to be new: the answer no may be wrong, where later rows are.
    """
    seen, held, again = np.zeros(0, np.uint64), list[Key](), min(bound, LEAST)
    for key in rows.map(partial(_row_keys, data=rows.data)):
        held.append(key)
        n = len(seen) + sum(map(len, held))
        if n <= again:
            continue
        seen, held = _distinct(np.concatenate([seen, *held])), []
        if len(seen) > bound or len(seen) < REPEATING * n:
            return len(seen) > bound
        again = min(2 * len(seen), max(bound, len(seen) + LEAST))
    return len(_distinct(np.concatenate([seen, *held]))) > bound


def _distinct(keys: Key) -> Key:
    ordered = np.sort(keys)
    distinct: Key = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return distinct


def _row_keys(piece: Piece, data: DataSettings) -> Key:
    """Return a hash (n,) of all cells of each row."""
    columns = values_of(piece, data)
    names = (*data.used, data.target.name)
    return keys_of([cell_keys(columns[name]) for name in names], piece.batch.num_rows)


def _is_parquet(data: DataSettings) -> bool:
    if data.source is not None:
        return False
    paths = [path for path in (data.path, data.valid, data.test) if path is not None]
    kinds = {open_source(files.PROJECT / p, data.max_bytes, data.encoding).kind for p in paths}
    return kinds == {"parquet"}
