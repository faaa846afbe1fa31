"""A hash of each row's values, of 64 bits: the same whoever reads the row, and wherever it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nn.arrays import Array
from pipeline.stages.blocks.keyed import Key

if TYPE_CHECKING:
    import pandas as pd

START = 0x6F6E6575726F6E31
ODD = np.uint64(0x9E3779B97F4A7C15)  # 2 ** 64 by the golden ratio
CHUNK = 8192  # rows, so that all of it stays in a core's cache
# Of splitmix64 (Steele, Lea and Flood 2014), which spreads every bit over all of them.
FINAL = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def row_keys(frame: pd.DataFrame) -> Key:
    """Return a hash (n,) of each row: of its numbers' bits and its texts' bytes, in column order.

    Equal numbers have equal hashes (a zero has two signs), and missing ones all the same.
    """
    return keys_of([_cells(frame[name]) for name in frame], len(frame))


def keys_of(columns: Sequence[Key | Array], n: int) -> Key:
    """Return a hash (n,) of each row, given its cells: numbers, or hashes of texts.

    A cell is mixed in by an exclusive or, a product and a shift, each of which can be undone: rows
    that differ in one cell never meet.
    """
    found = np.full(n, START, np.uint64)
    spare = np.empty(min(n, CHUNK), np.uint64)
    for start in range(0, n, CHUNK):
        key = found[start : start + CHUNK]
        other = spare[: len(key)]
        for column in columns:
            cells: Any = column[start : start + CHUNK]
            if cells.dtype.kind == "f":
                np.add(cells, 0.0, out=other.view(np.float64))
                cells = other
            key ^= cells
            key *= ODD
            np.right_shift(key, 32, out=other)
            key ^= other
        for shift, factor in FINAL:
            np.right_shift(key, shift, out=other)
            key ^= other
            key *= factor
        np.right_shift(key, 31, out=other)
        key ^= other
    return found


def text_keys(texts: Iterable[str]) -> Key:
    """Return a hash (m,) of each text's bytes."""
    return np.array([_text_key(text) for text in texts], np.uint64)


def _cells(column: pd.Series[Any]) -> Key | Array:
    import pandas as pd

    if column.dtype.kind == "f":
        numbers: Array = column.to_numpy(np.float64)
        return numbers
    place, words = pd.factorize(column)
    return text_keys(words)[place]


def _text_key(text: str) -> int:
    content = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
