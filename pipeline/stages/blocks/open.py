"""A table is held as its distinct rows where they are few, and otherwise read in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, starmap

import numpy as np

from pipeline import files
from pipeline.config.column_settings import Count
from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.blocks.columns import cell_keys, values_of
from pipeline.stages.blocks.keyed import Key
from pipeline.stages.blocks.row_hash import keys_of
from pipeline.stages.blocks.scratch import text_keys_of, write_scratch
from pipeline.stages.blocks.side_by_side import side_by_side
from pipeline.stages.blocks.source import (
    BlockRows,
    Piece,
    Runner,
    open_blocks,
    parts_of,
    scratch_blocks,
)
from pipeline.stages.read import Rows, read_rows
from pipeline.stages.read.source import Source, open_source
from pipeline.stages.read.workers import Workers, has_workers

LEAST = 2**18  # rows that are looked at
REPEATING = 1 / 8  # of the rows looked at: where fewer are new, the others are not expected to be


def read_table(data: DataSettings) -> Rows | BlockRows:
    """Return the distinct rows with their counts, or more than ``data.max_distinct`` in blocks.

    A table that has a column of kind count is always held.

    Raises
    ------
    DataError
        As ``read_rows``.
    """
    bound = data.max_distinct
    if bound is None or data.names_of(Count):
        return read_rows(data)
    if data.source is not None:
        if not has_workers(data.source):
            return read_rows(data)
        here = data.model_copy(update={"source": None, "path": data.source.path})
        is_parquet = {source.kind for source, _ in _sources(here)} == {"parquet"}
        runner = Workers(data.source)
        return _of_parquet(data, here, bound, runner) if is_parquet else read_rows(data)
    sources = _sources(data)
    kinds = {source.kind for source, _ in sources}
    if kinds == {"parquet"}:
        return _of_parquet(data, data, bound, side_by_side)
    is_short = kinds == {"csv"} and sum(source.state[0] for source, _ in sources) <= 2 * bound
    if is_short or not data.is_plain or "parquet" in kinds:
        return read_rows(data)
    return _of_csv(data, sources, bound)


def _sources(data: DataSettings) -> list[tuple[Source, DataSettings]]:
    """Return the files of each part, and their settings."""
    return [
        (open_source(files.PROJECT / str(of.path), of.max_bytes, of.encoding), of)
        for _, of in parts_of(data)
    ]


def _of_parquet(
    data: DataSettings, here: DataSettings, bound: int, runner: Runner
) -> Rows | BlockRows:
    """Return the rows, of which the first are read ``here`` and all by the ``runner``."""
    seen = open_blocks(here)
    rows = replace(seen, runner=runner, passes=[])
    if seen.n_rows > bound and has_more(seen.map(partial(_row_keys, data=here)), bound):
        return rows
    counted = read_rows(data)
    return counted if len(counted.count) <= bound else rows


def _of_csv(
    data: DataSettings, sources: Sequence[tuple[Source, DataSettings]], bound: int
) -> Rows | BlockRows:
    """Return the rows, which become parquet where too many differ."""
    counted = None
    if not has_more(chain.from_iterable(starmap(text_keys_of, sources)), bound):
        counted = read_rows(data)
        if len(counted.count) <= bound:
            return counted
    scratch = [write_scratch(source, of) for source, of in sources]
    written = [each for each in scratch if each is not None]
    if len(written) < len(sources):  # DuckDB misreads it: the exact reader can do it alone
        return counted or read_rows(data)
    return scratch_blocks(data, written)


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


def has_more(keys: Iterable[Key], bound: int) -> bool:
    """Return whether the first rows, given their hashes, hold more than ``bound`` distinct ones.

    It looks on as long as rows seem to be new: the answer no may be wrong, where later rows are.
    """
    seen, held, again = np.zeros(0, np.uint64), list[Key](), min(bound, LEAST)
    for key in keys:
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
    distinct: Key = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return distinct


def _row_keys(piece: Piece, data: DataSettings) -> Key:
    """Return a hash (n,) of all cells of each row."""
    columns = values_of(piece, data)
    names = (*data.used, data.target.name)
    return keys_of([cell_keys(columns[name]) for name in names], piece.batch.num_rows)
