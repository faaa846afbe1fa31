"""Held-out blocks become counted rows of one input, their logit, in bounded memory.

Logits are gathered in equal bins, as fine as ``MOST_BINS`` of them allow. A bin has a row of each
class, whose input is the mean logit of the bin: ``penalty.OUT_OF_FOLD`` gives that back, so that
whatever judges counted rows judges these. The mean keeps what is smooth in the logit, and no bin
lies across a threshold or an edge of the calibration table: of all figures only areas under ranking
curves change to be seen, by no more than is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nn import Examples, binary_cross_entropy, row_logits, sigmoid, tree_sum
from nn.arrays import Array
from pipeline.stages.blocks.keyed import Key, KeyedBlocks
from pipeline.stages.calibration import parts_of
from pipeline.stages.evaluate import RowLosses
from pipeline.stages.one_thread import on_one_thread

MOST_BINS = 2**20
FINEST = 2.0**-30  # log-odds: the width of bins before they are made fewer
FARTHEST = 2.0**20  # log-odds: all that is farther is in one bin
PLACE_BITS = 12  # of a key, for the place between cuts
BUCKETS = 4096
KINDS = 4096  # of losses

Whole = npt.NDArray[np.int64]


class Cuts(NamedTuple):
    """Probabilities that no bin lies across: ``thresholds``, and the parts of calibration bins.

    ``decided`` is the one from which a row is decided positive.
    """

    thresholds: Array = np.empty(0)
    bins: int = 1
    decided: float = 0.5

    def places(self, p: Array) -> Whole:
        """Return between which cuts each probability (n,) is, from 0 up."""
        return np.searchsorted(self.thresholds, p, side="right") + parts_of(p, self.bins)


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins (k,) that hold rows, by ``key``, ascending: how many rows of each class, and logits.

    A key is the number of the bin and, in its last bits, the place between cuts. ``total`` is the
    sum of the logits, ``low`` and ``high`` are the least and the greatest of them. A bin is
    ``FINEST * 2 ** level`` wide.
    """

    key: Whole
    negative: Array
    positive: Array
    total: Array
    low: Array
    high: Array
    level: int  # of width

    def __add__(self, other: Bins) -> Bins:
        """Return the bins of the rows of both, coarser where there would be too many."""
        level = max(self.level, other.level)
        pair = [(coarser(one.key, level - one.level), *one.columns) for one in (self, other)]
        return merged(zip(*pair, strict=True), level)

    @property
    def columns(self) -> tuple[Array, ...]:
        """All arrays but the keys."""
        return self.negative, self.positive, self.total, self.low, self.high

    @property
    def width(self) -> float:
        """How wide a bin is, in log-odds."""
        return float(FINEST * 2**self.level)

    @property
    def logit(self) -> Array:
        """The mean logit (k,) of each bin."""
        return np.clip(self.total / (self.negative + self.positive), self.low, self.high)

    @property
    def auc_error(self) -> float:
        """By how much the area under the ROC curve can be off: pairs within a bin count a half."""
        apart = self.low < self.high
        pairs = self.negative[apart] @ self.positive[apart]
        return float(pairs / (2 * self.negative.sum() * self.positive.sum()))

    def rows(self) -> tuple[Examples, Array, Array]:
        """Return a row (m,) of each class that a bin has, and the ends of its bin."""
        parts = [(self.negative > 0, self.negative, 0.0), (self.positive > 0, self.positive, 1.0)]
        y = np.concatenate([np.full(held.sum(), label) for held, _, label in parts])
        z, low, high = (
            np.concatenate([values[held] for held, _, _ in parts])
            for values in (self.logit, self.low, self.high)
        )
        count = np.concatenate([rows[held] for held, rows, _ in parts])
        return Examples(z[:, None], y, count), low, high


class HeldOut(NamedTuple):
    """What a pass over held-out rows finds, as sums.

    ``log_loss`` and ``brier`` are sums over rows by their counts, and so is ``spread``, of how far
    labels vary where probabilities are right. ``rows`` (4,) are numbers of rows by truth and
    decision, class 0 first. ``buckets`` (8, BUCKETS) holds, of the rows whose hash ends alike, the
    sums of counts, losses in nats, losses had the labels been the other ones, the counts by truth
    and decision, and of labels less probabilities.
    """

    bins: Bins
    log_loss: float
    brier: float
    spread: float
    rows: Array
    buckets: Array


@on_one_thread
def score_blocks(theta: Array, blocks: KeyedBlocks, cuts: Cuts = Cuts()) -> HeldOut:  # noqa: B008
    """Return what one pass over the blocks finds of the neuron.

    Sums are added in the tree of ``nn.tree_sum``; numbers of rows are exact.
    """
    return tree_sum(blocks.map_keyed(partial(score_block, theta, cuts)))


def score_block(theta: Array, cuts: Cuts, rows: Examples, key: Key) -> HeldOut:
    """Return the sums of one block, given the hash (n,) of each row."""
    X, y, count = rows
    z = row_logits(theta, X)  # the bits that a prediction gives
    p, loss, other = sigmoid(z), binary_cross_entropy(z, y), binary_cross_entropy(z, 1 - y)
    number = np.floor(np.clip(z, -FARTHEST, FARTHEST) / FINEST).astype(np.int64)
    keys = (number << PLACE_BITS) + cuts.places(p)
    columns = (keys, count * (1 - y), count * y, count * z, z, z)
    bins = merged(([column] for column in columns), level=0)
    bucket = buckets_of(key)
    decision = 2 * y.astype(np.int64) + (p >= cuts.decided)
    decided = np.bincount(decision * BUCKETS + bucket, count, 4 * BUCKETS).reshape(4, BUCKETS)
    losses, others, residuals = (
        np.bincount(bucket, count * values, BUCKETS) for values in (loss, other, y - p)
    )
    return HeldOut(
        bins, float(loss @ count), float((p - y) ** 2 @ count), float(p * (1 - p) @ count),
        np.bincount(decision, minlength=4).astype(np.float64),
        np.stack([decided.sum(axis=0), losses, others, *decided, residuals]),
    )  # fmt: skip


def buckets_of(key: Key) -> Whole:
    """Return the bucket (n,) of each hash, by its last bits: the first ones dealt the rows."""
    return (key % np.uint64(BUCKETS)).astype(np.int64)


def merged(columns: Iterable[Sequence[npt.NDArray[Any]]], level: int) -> Bins:
    """Return what has one key as one bin, as coarse as makes it ``MOST_BINS`` at most.

    ``columns`` are those of ``Bins``, in parts that are to be joined: one column at a time, as they
    are large.
    """
    keys, *others = columns
    key = np.concatenate(keys)
    order = np.argsort(key, kind="stable")
    key = key[order]
    while len(starts := np.flatnonzero(np.append(True, key[1:] != key[:-1]))) > MOST_BINS:
        key, level = coarser(key, 1), level + 1
    ways = (np.add, np.add, np.add, np.minimum, np.maximum)
    negative, positive, total, low, high = (
        way.reduceat(np.concatenate(parts)[order], starts)
        for way, parts in zip(ways, others, strict=True)
    )
    return Bins(key[starts], negative, positive, total, low, high, level)


def coarser(key: Whole, levels: int) -> Whole:
    """Return the keys (k,) of bins that are ``2 ** levels`` times as wide; places stay apart."""
    places = key & ((1 << PLACE_BITS) - 1)
    return (key >> (PLACE_BITS + levels) << PLACE_BITS) + places


def bucket_losses(found: HeldOut) -> RowLosses:
    """Return the mean loss of each bucket of rows, which is one observation, as a group is.

    Equal rows are in one bucket, so that runs on one split are compared bucket by bucket.
    """
    bucket = np.flatnonzero(found.buckets[0])
    count, loss, other = found.buckets[:3, bucket]
    # Had one row of the bucket the other label: what an error costs that has not happened.
    moved = (other - loss) / count / count
    return RowLosses(loss / count, count, bucket.astype(np.float64), loss / count + moved)


def loss_kinds(bins: Bins) -> RowLosses:
    """Return losses of ``KINDS`` kinds and how many rows have each; high ones are finer.

    Within a kind they are as good as equal: an equal share of rows and of squared losses.
    """
    rows, *_ = bins.rows()
    loss = binary_cross_entropy(rows.X[:, 0], rows.y)
    order = np.argsort(loss, kind="stable")
    loss, count = loss[order], rows.count[order]
    square = count * loss**2
    reached = np.cumsum(count / count.sum() + square / (square.sum() or 1.0)) / 2
    kind = np.minimum((reached * KINDS).astype(np.int64), KINDS - 1)
    starts = np.flatnonzero(np.append(True, np.diff(kind) != 0))
    total, n = (np.add.reduceat(values, starts) for values in (loss * count, count))
    return RowLosses(total / n, n)
