"""A part of a table in blocks becomes encoded examples, made anew by every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nn import Examples
from nn.arrays import Array
from pipeline.config.contract import DataSettings
from pipeline.stages.blocks.columns import keys_of_rows, table_of, values_of
from pipeline.stages.blocks.deal import Deal
from pipeline.stages.blocks.keyed import Key
from pipeline.stages.blocks.source import BlockRows, Piece
from pipeline.stages.encode import Block, Encoder, OneHot, Standard
from pipeline.stages.validate.convert import Table

T = TypeVar("T")
Places = npt.NDArray[np.intp]
PADDING = 8  # numbers: columns that are a power of two apart meet in the same lines of a cache


@dataclass(frozen=True)
class PartBlocks:
    """The rows of a part, encoded block by block.

    ``scale`` (2,) is what a row of each class counts, times its sample weight where it has one.
    ``part`` is 0 for train, 1 for valid, 2 for test. It can be pickled, and holds the sample only.
    """

    rows: BlockRows
    deal: Deal
    part: int
    encoder: Encoder
    scale: tuple[float, float]
    sample: Examples
    sample_table: Table

    @property
    def d(self) -> int:
        """The number of inputs."""
        return len(self.encoder.inputs)

    def map(self, function: Callable[[Examples], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block that has rows of the part, in their order."""
        return self.map_keyed(partial(_without_key, function))

    def map_keyed(self, function: Callable[[Examples, Key], T]) -> Iterator[T]:
        """Yield the same of a function of examples and the hash (n,) of each row."""
        for (found,) in self.rows.map(partial(_of_piece, function, self._light)):
            yield found

    @property
    def _light(self) -> tuple[DataSettings, Deal, int, Encoder, tuple[float, float]]:
        """What makes examples of a piece: it goes to workers, so there is no row in it."""
        return self.rows.data, self.deal, self.part, self.encoder, self.scale


def _without_key(function: Callable[[Examples], T], examples: Examples, _: Key) -> T:
    return function(examples)


def _of_piece(
    function: Callable[[Examples, Key], T],
    of: tuple[DataSettings, Deal, int, Encoder, tuple[float, float]],
    piece: Piece,
) -> tuple[T] | None:
    """Return what the function makes of the rows of a part; None where there are none."""
    data, deal, part, encoder, scale = of
    table = table_of(values_of(piece, data), piece.part, data)
    key = keys_of_rows(table)
    kept = np.flatnonzero(deal.parts(table, key) == part)
    if table.weight is not None:
        kept = kept[table.weight[kept] > 0]
    if not len(kept):
        return None
    return (function(_encoded(encoder, table, kept, scale), key[kept]),)


def _encoded(encoder: Encoder, table: Table, kept: Places, scale: tuple[float, float]) -> Examples:
    """Return the examples of the rows that are kept, column by column, as they are made."""
    n = len(kept)
    X = np.empty((len(encoder.inputs), n + PADDING)).T[:n]
    for block, place in zip(encoder.blocks, encoder.slices(), strict=True):
        if isinstance(block, Standard) and not block.missing:
            np.take(
                table.frame[block.attribute].to_numpy(), kept, out=X[:, place.start], mode="clip"
            )
            block.scale_in_place(X[:, place.start])
        else:
            X[:, place] = block.columns(_take(table, block, kept))
    y = table.y[kept]
    count: Array = np.array(scale)[y.astype(np.intp)]
    return Examples(X, y, count if table.weight is None else count * table.weight[kept])


def _take(table: Table, block: Block, rows: Places) -> Table:
    """Return what a block of inputs looks at of some rows."""
    names = [*block.attributes] if isinstance(block, OneHot) else [block.name]
    return Table(table.frame[names].take(rows), table.y[rows], table.count[rows])
