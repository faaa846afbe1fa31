"""The first pass: what the rows hold, whether they keep the contract, and a sample of them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.config.contract import DataSettings
from pipeline.stages.blocks.broken import MAX_BAD, Bad, add_bad, worded
from pipeline.stages.blocks.columns import (
    cell_keys,
    cells_as_text,
    keys_of_rows,
    table_of,
    values_of,
)
from pipeline.stages.blocks.deal import N_BUCKETS, buckets
from pipeline.stages.blocks.keyed import SAMPLE, Key
from pipeline.stages.blocks.row_hash import keys_of, row_keys
from pipeline.stages.blocks.source import BlockRows, Piece
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.convert import Table
from pipeline.stages.validate.rules import contract_rules
from pipeline.stages.validate.values import Bools, ColumnValues

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MAX_WORDS = 2**20  # different words of a column that are counted
SPARE = 1.2  # times the sample is kept, as hashes are not spread evenly


@dataclass
class Words:
    """The different texts of a column with their rows, and the positive ones among these."""

    n: Counter[str] = field(default_factory=Counter)
    n_positive: Counter[str] = field(default_factory=Counter)

    def add(self, texts: list[str], n: list[int], n_positive: list[int]) -> None:
        """Add the rows of some texts; of new ones only where there is room."""
        for text, rows, positive in zip(texts, n, n_positive, strict=True):
            if text in self.n or len(self.n) < MAX_WORDS:
                self.n[text] += rows
                self.n_positive[text] += positive


@dataclass
class Numbers:
    """What an attribute of numbers holds."""

    n_missing: int = 0
    minimum: float = np.inf
    maximum: float = -np.inf
    total: float = 0.0
    n: int = 0

    def add(self, x: Any) -> None:
        """Add numbers (n,), NaN where one is missing."""
        if np.isnan(total := float(x.sum())):
            known = x[~np.isnan(x)]
            self.n_missing += len(x) - len(known)
            x, total = known, float(known.sum())
        if len(x):
            self.minimum = min(self.minimum, float(x.min()))
            self.maximum = max(self.maximum, float(x.max()))
            self.total, self.n = self.total + total, self.n + len(x)


@dataclass(frozen=True)
class Sampled:
    """Distinct rows with their counts, in the order of the hashes of their attributes.

    ``frame`` holds texts, and numbers of columns that are numbers.

    ``key`` (n,) is that hash, ``row`` one of all cells, and ``dealt`` the one that they are dealt
    by: that of the group where there is one.
    """

    key: Key
    row: Key
    dealt: Key
    part: npt.NDArray[np.int8]
    frame: pd.DataFrame
    count: Counts


class BlockSurvey(NamedTuple):
    """What a block holds."""

    number: int
    part: int
    n_rows: int
    digest: bytes
    key: Key
    is_positive: Bools
    words: dict[str, tuple[list[str], list[int], list[int]]]
    numbers: dict[str, Numbers]
    bad: dict[tuple[str, str], Bad]
    sample: Sampled


@dataclass
class Survey:
    """What all blocks hold; see ``BlockSurvey``.

    ``histogram`` (2, buckets) counts the rows of each class by their hash, and ``sample`` holds the
    distinct rows with the smallest hashes. ``n_distinct`` is an estimate from how many of them have
    a hash below a bound (Bar-Yossef et al. 2002), good to a half of a percent.
    """

    n: int
    n_distinct: int
    digest: str
    histogram: npt.NDArray[np.int32]
    words: dict[str, Words]
    numbers: dict[str, Numbers]
    bad: dict[tuple[str, str], Bad]
    sample: Sampled

    @property
    def n_positive(self) -> int:
        """How many rows are positive."""
        return int(self.histogram[1].sum())


def survey(rows: BlockRows) -> Survey:
    """Return what the table holds, in one pass over it.

    Raises
    ------
    DataError
        If a file has changed, or cannot be read.
    """
    bound = min(SPARE * SAMPLE / max(rows.n_rows, 1), 1.0)
    digest = hashlib.sha256(json.dumps(["blocks", rows.wanted, rows.n_rows]).encode())
    histogram = np.zeros((2, N_BUCKETS), np.int32)
    words, numbers = dict[str, Words](), dict[str, Numbers]()
    bad = dict[tuple[str, str], Bad]()
    samples = []
    for found in rows.map(partial(_survey_block, data=rows.data, bound=bound)):
        digest.update(found.digest)
        np.add.at(histogram, (found.is_positive.astype(np.intp), buckets(found.key)), 1)
        for name, of_words in found.words.items():
            words.setdefault(name, Words()).add(*of_words)
        for name, of_numbers in found.numbers.items():
            _merge(numbers.setdefault(name, Numbers()), of_numbers)
        for rule, of_rule in found.bad.items():
            add_bad(bad.setdefault(rule, Bad()), of_rule)
        samples.append(found.sample)
    sample, n_distinct = _smallest(samples, bound)
    bad = rows.bad or bad  # of texts, before they were numbers
    n = rows.n_rows
    return Survey(n, min(n_distinct, n), digest.hexdigest(), histogram, words, numbers, bad, sample)


def _merge(one: Numbers, other: Numbers) -> None:
    one.n_missing += other.n_missing
    one.minimum, one.maximum = min(one.minimum, other.minimum), max(one.maximum, other.maximum)
    one.total, one.n = one.total + other.total, one.n + other.n


def _smallest(samples: list[Sampled], bound: float) -> tuple[Sampled, int]:
    """Return the distinct rows of the smallest hashes, and how many there are in all."""
    import pandas as pd

    key, row, dealt, part, count = (
        np.concatenate([getattr(sampled, name) for sampled in samples])
        for name in ("key", "row", "dealt", "part", "count")
    )
    frame = pd.concat([sampled.frame for sampled in samples], ignore_index=True)
    first, n = _once(row, key, count)
    kept, times = first[:SAMPLE], n[:SAMPLE]
    rows = frame.iloc[kept].reset_index(drop=True)
    sample = Sampled(key[kept], row[kept], dealt[kept], part[kept], rows, times)
    return sample, round(len(first) / bound)


def _once(row: Key, key: Key, count: Counts) -> tuple[Counts, Counts]:
    """Return the place of each distinct row, in the order of the keys, and its count."""
    _, first, of = np.unique(row, return_index=True, return_inverse=True)
    n = np.bincount(of, count, len(first)).astype(np.int64)
    order = np.lexsort((row[first], key[first]))
    return first[order], n[order]


def _survey_block(piece: Piece, data: DataSettings, bound: float) -> BlockSurvey:
    columns = values_of(piece, data)
    table = table_of(columns, piece.part, data)
    is_positive = table.y == 1
    key = keys_of_rows(table)
    return BlockSurvey(
        number=piece.number,
        part=piece.part,
        n_rows=len(key),
        digest=_digest(piece, columns, data),
        key=key,
        is_positive=is_positive,
        words={name: _word_counts(columns[name], is_positive) for name in worded(data)}
        | {name: _word_counts(columns[name], is_positive) for name in _parts(columns, data)},
        numbers=_numbers(columns),
        bad=dict(_broken(piece, columns, data)),
        sample=_sampled(piece, columns, table, key, bound, data),
    )


def _parts(columns: dict[str, ColumnValues], data: DataSettings) -> list[str]:
    """Return the parts of dates that are words."""
    dated = [name for name in columns if name not in data.used and name != data.target.name]
    return [name for name in dated if columns[name].place is not None]


def _word_counts(
    values: ColumnValues, is_positive: Bools
) -> tuple[list[str], list[int], list[int]]:
    n = values.sums(np.ones(len(is_positive), np.int64))
    return values.text.tolist(), n.tolist(), values.sums(is_positive.astype(np.int64)).tolist()


def _numbers(columns: dict[str, ColumnValues]) -> dict[str, Numbers]:
    """Return what the attributes of numbers hold, and the sample weights."""
    found = {name: Numbers() for name, values in columns.items() if values.place is None}
    for name, numbers in found.items():
        numbers.add(columns[name].number)
    return found


def _broken(
    piece: Piece, columns: dict[str, ColumnValues], data: DataSettings
) -> Iterator[tuple[tuple[str, str], Bad]]:
    """Yield the rules of values that rows break, of columns whose texts are not all counted."""
    rest = {n: columns[n] for n in data.used if n not in worded(data)}
    ones = np.ones(piece.batch.num_rows, np.int64)
    for name, rules in contract_rules(rest, data, ones).items():
        for rule in rules:
            if isinstance(rule.holds, bool) or rule.holds.all():
                continue
            bad = np.flatnonzero(~columns[name].of_rows(rule.holds))
            texts = Counter(cells_as_text(piece.batch.column(name).take(_places(bad)), data))
            kept = Counter(dict(texts.most_common(MAX_BAD)))
            yield (name, rule.text), Bad(len(bad), kept)


def _places(rows: Any) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows)


def _digest(piece: Piece, columns: dict[str, ColumnValues], data: DataSettings) -> bytes:
    """Return the sha256 of every cell of a block, in its order."""
    digest = hashlib.sha256(json.dumps([piece.part, piece.batch.num_rows]).encode())
    for name in (*data.used, data.target.name):
        digest.update(cell_keys(columns[name]).astype("<u8").tobytes())
    return digest.digest()


def _sampled(
    piece: Piece, columns: dict[str, ColumnValues], table: Table, dealt: Key, bound: float,
    data: DataSettings,
) -> Sampled:  # fmt: skip
    """Return the rows whose hash is below the bound, a share of all hashes."""
    import pandas as pd

    key = dealt if table.group is None else row_keys(table.frame)
    below = np.flatnonzero(key <= np.uint64(min(int(bound * 2**64), 2**64 - 1)))
    names = [*data.used, data.target.name]
    of_cells = [cell_keys(columns[name])[below] for name in names]
    row = keys_of([np.full(len(below), piece.part, np.uint64), *of_cells], len(below))
    first, n = _once(row, key[below], np.ones(len(below), np.int64))
    at = below[first]
    cells = {name: _cells(columns[name], at) for name in names}
    part = np.full(len(at), piece.part, np.int8)
    return Sampled(key[at], row[first], dealt[at], part, pd.DataFrame(cells), n)


def _cells(values: ColumnValues, rows: Any) -> Any:
    """Return the cells of some rows: numbers, NaN where there is none, or texts."""
    if values.place is None:
        return values.number[rows]
    return values.text.to_numpy(object)[values.place[rows]]
