"""Rows in blocks are dealt by their hash: no row has to be held, and no order matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config.split_settings import (
    FilesSplit,
    FoldsSplit,
    GroupSplit,
    NoSplit,
    SplitSettings,
    StratifiedSplit,
    TimeSplit,
)
from pipeline.errors import DataError
from pipeline.stages.blocks.keyed import Key
from pipeline.stages.read.rows import Counts
from pipeline.stages.split.deal import TEST_SEED
from pipeline.stages.validate.convert import Table

BITS = 22  # of a hash: its bucket, whose rows go together
N_BUCKETS = 2**BITS
Parts = npt.NDArray[np.int8]
BY_BUCKET = "by the first 22 bits of a hash of {what}, 4,194,304 buckets dealt at random"


@dataclass(frozen=True)
class Deal:
    """Which part rows belong to: 0 train, 1 valid, 2 test.

    ``of_bucket`` (2, buckets) says it of the negative and the positive rows of each bucket; None
    where the file of a row says it, or all rows train.
    """

    of_bucket: Parts | None
    rule: str
    joins: bool = False

    def joined(self) -> Deal:
        """Return the same with the validation rows among those that train."""
        of_bucket = self.of_bucket
        kept = None if of_bucket is None else np.where(of_bucket == 1, np.int8(0), of_bucket)
        return Deal(kept, self.rule, joins=True)

    def parts(self, table: Table, key: Key) -> Parts:
        """Return the part (n,) of each row, given its hash (n,)."""
        if self.of_bucket is None:
            part = np.zeros(len(key), np.int8) if table.part is None else table.part
            return np.where(part == 1, np.int8(0), part) if self.joins else part
        parts: Parts = self.of_bucket[table.y.astype(np.intp), buckets(key)]
        return parts


def buckets(key: Key) -> npt.NDArray[np.intp]:
    """Return the bucket (n,) of each hash."""
    return (key >> np.uint64(64 - BITS)).astype(np.intp)


def deal_buckets(histogram: npt.NDArray[Any], settings: SplitSettings) -> Deal:
    """Return how rows are dealt, given those of each class (2, buckets) by their hash.

    A bucket goes where the middle of its rows falls, in random order: a part has its share of each
    class to within a bucket, which is a few rows of many millions. The order is the same for both
    classes, so that rows of equal attributes stay together but for a bucket at each end. Groups
    have a hash of their own, and buckets of them are dealt whole.

    Raises
    ------
    DataError
        Where rows in blocks cannot be dealt like that.
    """
    match settings:
        case NoSplit() | FilesSplit():
            return Deal(None, "")
        case StratifiedSplit(seed=seed, valid=valid, test=test):
            shares = (test, valid)
            dealt = [_shared_out(rows, shares, np.random.default_rng(seed)) for rows in histogram]
            rule = BY_BUCKET.format(what="each row's attributes") + " within each class"
            return Deal(2 - np.array(dealt, np.int8), rule)
        case GroupSplit(seed=seed, valid=valid, test=test):
            rng, shares = np.random.default_rng(seed), (test, valid)
            part = 2 - _shared_out(histogram.sum(axis=0), shares, rng)
            rule = BY_BUCKET.format(what="each row's group")
            return Deal(np.array([part, part], np.int8), rule)
        case FoldsSplit():
            dealt = [_folded(rows, settings) for rows in histogram]
            rule = BY_BUCKET.format(what="each row's attributes") + " within each class"
            return Deal(np.array(dealt, np.int8), rule)
        case TimeSplit():
            raise DataError(
                "split must be stratified, group, folds, files or none where more than "
                "data.max_distinct rows differ; got time: set split=files with the later rows in "
                "data.test, or data.max_distinct=null to hold them in memory"
            )


def _shared_out(
    rows: npt.NDArray[Any], shares: tuple[float, ...], rng: np.random.Generator
) -> Counts:
    """Return for each bucket the place of its share in ``shares``, or after them that of the rest.

    At most three: 0, 1 and 2.
    """
    order = rng.permutation(len(rows))
    end = np.cumsum(rows[order])
    middle = (end - rows[order] / 2) / max(int(end[-1]), 1)
    found = np.zeros(len(rows), np.int64)
    found[order] = np.searchsorted(np.cumsum(shares), middle, side="right")
    return found


def _folded(rows: npt.NDArray[Any], settings: FoldsSplit) -> Counts:
    """Return the part of each bucket: the test rows are the same for every fold and every seed."""
    is_test = _shared_out(rows, (settings.test,), np.random.default_rng(TEST_SEED)) == 0
    k, rest = settings.folds, np.where(is_test, 0, rows)
    fold = _shared_out(rest, (1 / k,) * (k - 1), np.random.default_rng(settings.seed))
    return np.where(is_test, 2, np.where(fold == settings.fold, 1, 0))
