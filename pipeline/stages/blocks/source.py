"""Files of parquet as pieces of at most 65,536 rows, each opened where and when it is needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.blocks.broken import Bad, add_bad
from pipeline.stages.blocks.pieces import PIECE, whole_pieces
from pipeline.stages.blocks.side_by_side import side_by_side
from pipeline.stages.read.lines import layout_of
from pipeline.stages.read.parts import file_of
from pipeline.stages.read.source import Source, files_of, open_source, require_sha256
from pipeline.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.stages.blocks.scratch import Scratch
    from pipeline.stages.blocks.survey import Survey

BUFFER = 2**20  # bytes of a column that are read at once

T = TypeVar("T")


class RowGroup(NamedTuple):
    """A row group of a file: which file, which group of it, and how many rows it has.

    ``first`` is the number of its first block in the table; ``part`` is 0 for the rows of
    ``data.path``, 1 for those of ``data.valid`` and 2 for those of ``data.test``.
    """

    source: Source
    number: int
    n_rows: int
    first: int
    part: int

    @property
    def n_blocks(self) -> int:
        """How many blocks it makes."""
        return -(-self.n_rows // PIECE)


class Piece(NamedTuple):
    """The rows of a block as the file has them: the wanted columns, in the order of the wish."""

    number: int  # in the table, from 0
    part: int
    batch: pa.RecordBatch


class Runner(Protocol):
    """Yields what ``function`` makes of each row group, in their order, however they are shared."""

    def __call__(
        self, function: Callable[[RowGroup], T], groups: Sequence[RowGroup], /
    ) -> Iterator[T]:
        """Yield the results in the order of ``groups``."""


@dataclass(frozen=True)
class BlockRows:
    """A table that is too large to be held: where its row groups are, and how they are read.

    Whoever has it can read any row group, and it can be pickled: it holds no row.
    """

    data: DataSettings
    groups: tuple[RowGroup, ...]
    runner: Runner = side_by_side
    passes: list[float] = field(default_factory=list, compare=False, repr=False)  # s, each so far
    scratch: tuple[Scratch, ...] = ()  # what the groups are of, where the table is CSV

    @property
    def path(self) -> Path:
        """The file of the first rows, as the contract names it."""
        return files.PROJECT / str(self.data.path)

    @property
    def bad(self) -> dict[tuple[str, str], Bad] | None:
        """The rules that texts of a CSV file break; None where numbers never were texts."""
        if not self.scratch:
            return None
        found: dict[tuple[str, str], Bad] = {}
        for each in self.scratch:
            for rule, of_rule in each.bad.items():
                add_bad(found.setdefault(rule, Bad()), of_rule)
        return found

    @property
    def n_rows(self) -> int:
        """How many rows the table has."""
        return sum(group.n_rows for group in self.groups)

    @property
    def n_blocks(self) -> int:
        """How many blocks it is read in."""
        return sum(group.n_blocks for group in self.groups)

    @cached_property
    def survey(self) -> Survey:
        """What the table holds, found in one pass when it is first asked for."""
        from pipeline.stages.blocks.survey import survey

        return survey(self)

    @property
    def digest(self) -> str:
        """sha256 of every cell, in the order of the rows and in the blocks that they are read."""
        return self.survey.digest

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are read: those used, in the order of the contract, then the target."""
        return (*self.data.used, self.data.target.name)

    def map(self, function: Callable[[Piece], T | None]) -> Iterator[T]:
        """Yield what ``function`` makes of each block, unless None, in the order of the blocks.

        It can be pickled, as it may be called elsewhere.

        Raises
        ------
        DataError
            If a file has changed since the table was opened, or cannot be read.
        """
        begun = time.monotonic()
        for found in self.runner(partial(_of_group, function, self.wanted), self.groups):
            yield from found
        self.passes.append(time.monotonic() - begun)
        _release_memory()


def _release_memory() -> None:
    """Give back what Arrow holds for the next pass: other stages come in between."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def open_blocks(data: DataSettings) -> BlockRows:
    """Return the table of ``data.path``, and of ``data.valid`` and ``data.test``, in blocks.

    Raises
    ------
    DataError
        If a file is none of parquet, or not the table that the settings describe.
    """
    groups: list[RowGroup] = []
    for part, of_part in parts_of(data):
        whole = open_source(files.PROJECT / str(of_part.path), of_part.max_bytes)
        if of_part.sha256 is not None:
            require_sha256(whole, of_part.sha256)
        layout_of(whole, of_part)
        for path in files_of(whole.path):
            groups += row_groups(open_source(path, of_part.max_bytes), part, _next(groups))
    return BlockRows(data, tuple(groups))


def scratch_blocks(data: DataSettings, scratch: Sequence[Scratch]) -> BlockRows:
    """Return the same of CSV files, each of which became a scratch file."""
    groups: list[RowGroup] = []
    for (part, _), of_part in zip(parts_of(data), scratch, strict=True):
        groups += row_groups(of_part.source, part, _next(groups))
    return BlockRows(data, tuple(groups), scratch=tuple(scratch))


def parts_of(data: DataSettings) -> list[tuple[int, DataSettings]]:
    """Return the number of each part that has a file of its own, and the settings of that."""
    paths = enumerate((data.path, data.valid, data.test))
    return [(part, file_of(data, part)) for part, path in paths if path is not None]


def _next(groups: list[RowGroup]) -> int:
    return groups[-1].first + groups[-1].n_blocks if groups else 0


def row_groups(source: Source, part: int, first: int) -> Iterator[RowGroup]:
    """Yield the row groups of a file that hold rows; DataError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(source.path)
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from None
    for number, n_rows in enumerate(sizes):
        if n_rows:
            yield (group := RowGroup(source, number, n_rows, first, part))
            first += group.n_blocks


def _of_group(
    function: Callable[[Piece], T | None], wanted: Sequence[str], group: RowGroup
) -> list[T]:
    """Return what the function makes of each piece of a row group."""
    results = (function(piece) for piece in read_pieces(group, wanted))
    return [result for result in results if result is not None]


def read_pieces(group: RowGroup, wanted: Sequence[str]) -> Iterator[Piece]:
    """Yield the pieces of a row group; at no time more than one of them is held."""
    import pyarrow as pa

    group.source.require_unchanged()
    n_rows = 0
    try:
        for i, batch in enumerate(whole_pieces(_batches(group, wanted))):
            n_rows += batch.num_rows
            yield Piece(group.first + i, group.part, batch.select([*wanted]))
    except (pa.ArrowException, OSError) as error:
        group.source.require_unchanged()
        raise _damaged(group.source, error) from None
    if n_rows != group.n_rows:
        raise DataError(
            f"{group.source.shown} must not change while it is read; row group {group.number} has "
            f"{n_rows} rows, it had {group.n_rows}: run again"
        )


def _batches(group: RowGroup, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(group.source.path, buffer_size=BUFFER, pre_buffer=False) as file:
        texts = [
            field.name
            for field in file.schema_arrow
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
    with pq.ParquetFile(
        group.source.path, buffer_size=BUFFER, pre_buffer=False, read_dictionary=texts
    ) as file:
        yield from file.iter_batches(
            PIECE, row_groups=[group.number], columns=[*wanted], use_threads=False
        )


def _damaged(source: Source, error: Exception) -> DataError:
    reason = one_line(str(error).splitlines()[0])
    return DataError(f"{source.shown} must be an intact parquet file; got {reason}")
