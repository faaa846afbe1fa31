"""Batches of rows become pieces of one size, however they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 65_536  # rows of a block, at most: what is computed does not depend on who reads it


def whole_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows in pieces of exactly PIECE, the last one shorter, however they come."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        rest = batch
        while sum(b.num_rows for b in held) + rest.num_rows >= PIECE:
            n = PIECE - sum(b.num_rows for b in held)
            yield _joined([*held, rest.slice(0, n)])
            held, rest = [], rest.slice(n)
        held += [rest] if rest.num_rows else []
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    import pyarrow as pa

    if len(batches) == 1:
        return batches[0]
    (whole,) = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
    return whole
