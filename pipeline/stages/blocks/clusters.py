"""Figures of rows in blocks that have groups or weights: intervals by buckets of observations.

Rows of a group are in one bucket by their hash, as are those of other groups, which are
independent: so the sums of buckets vary as those of groups do, however many groups there are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nn import Examples, row_logits, tree_sum
from nn.arrays import Array
from pipeline.stages.blocks.keyed import Key, KeyedBlocks
from pipeline.stages.blocks.logits import BUCKETS, Bins, HeldOut, buckets_of
from pipeline.stages.copies import Sampling, independent_counts
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.intervals import Z, wilson

GRID = 4096  # logits between which ranks are interpolated


@dataclass(frozen=True, kw_only=True)
class Clustered(Sampling):
    """Rows that are as good as fewer: ``rows`` are independent ones, ``n`` those of the table."""

    n: float

    def rows_of(self, count: Array) -> Array:
        """Return how many rows of the table each row is, by its share of all counts."""
        shares: Array = count * (self.n / count.sum())
        return shares


def is_clustered(blocks: KeyedBlocks) -> bool:
    """Return whether rows have groups or weights."""
    return blocks.sample_table.group is not None or blocks.sample_table.weight is not None


def sample_counts(blocks: KeyedBlocks) -> Array:
    """Return for how many independent rows each row (n,) of the sample stands."""
    return independent_counts(blocks.sample.count, Sampling.of(blocks.sample_table))


def clustered_sampling(found: HeldOut) -> Clustered:
    """Return how many independent rows each of ``bins.rows()`` is, by how residuals vary."""
    rows, *_ = found.bins.rows()
    n, scale = found.rows.sum(), found.rows.sum() / rows.count.sum()
    if_independent = found.spread * scale
    times = max(_variance(found.buckets[-1] * scale) / if_independent, 1.0)
    return Clustered(rows=rows.count * scale / times, n=float(n))


def with_clusters(
    found: Evaluation, scored: HeldOut, theta: Array, blocks: KeyedBlocks
) -> Evaluation:
    """Return the evaluation with intervals by buckets, after another pass; numbers are of rows."""
    (tn, fp), (fn, tp) = scored.rows.astype(np.int64).reshape(2, 2).tolist()
    negative, false, missed, positive = scored.buckets[3:7]
    every = negative + false + missed + positive
    shares = {
        "accuracy": (negative + positive, every),
        "precision": (positive, false + positive),
        "recall": (positive, missed + positive),
        "positive_rate": (false + positive, every),
    }
    metrics = dict(found.metrics)
    for name, (within, of) in shares.items():
        if name in metrics:
            size = _effective_size(within, of)
            metrics[f"{name}_low"], metrics[f"{name}_high"] = wilson(metrics[name], size)
    metrics["effective_rows"] = _effective_size(*shares["accuracy"])
    ends = _auc_ends(metrics["roc_auc"], scored.bins, theta, blocks)
    metrics |= zip(("roc_auc_low", "roc_auc_high"), ends, strict=True)
    confusion = ((tn, fp), (fn, tp))
    n, n_positive = tn + fp + fn + tp, fn + tp
    return replace(found, metrics=metrics, confusion=confusion, n_rows=n, n_positive=n_positive)


def _effective_size(within: Array, of: Array) -> float:
    """Return how many independent rows vary as much as the share ``within / of`` (k,) of buckets.

    Of a share of 0 or 1 nothing varies: then as many as there are buckets.
    """
    share = within.sum() / of.sum()
    variance = _variance(within - share * of) / of.sum() ** 2
    return float(share * (1 - share) / variance) if variance > 0 else float((of > 0).sum())


def _variance(sums: Array) -> float:
    """Return the variance of the total of independent sums (k,)."""
    n = len(sums)
    return float(n / (n - 1) * ((sums - sums.mean()) ** 2).sum())


def _auc_ends(area: float, bins: Bins, theta: Array, blocks: KeyedBlocks) -> tuple[float, float]:
    """Return 95 % bounds of the area under the ROC curve (Obuchowski 1997), by buckets."""
    m, n = bins.positive.sum(), bins.negative.sum()
    of_positive = 1 - (np.cumsum(bins.negative) - bins.negative / 2) / n
    of_negative = (np.cumsum(bins.positive) - bins.positive / 2) / m
    at = np.unique(np.linspace(0, len(bins.key) - 1, GRID).astype(np.intp))
    grid = np.stack([bins.logit, (of_negative - (1 - area)) / n, (of_positive - (1 - area)) / m])
    (sums,) = tree_sum(blocks.map_keyed(partial(misranked, theta, grid[:, at])))
    if not 0 < area < 1:
        return wilson(area, float((sums != 0).sum()))
    half = Z * np.sqrt(_variance(sums)) / (area * (1 - area))
    low, high = (1 / (1 + (1 - area) / area * np.exp([half, -half]))).tolist()
    return low, high


def misranked(theta: Array, grid: Array, rows: Examples, key: Key) -> tuple[Array]:
    """Return, by bucket, how far the rows of a block move the area.

    ``grid`` (3, k): logits, and how far a negative, and a positive, row there moves it.
    """
    z = row_logits(theta, rows.X)
    moved = np.where(rows.y == 1, *(np.interp(z, grid[0], grid[i]) for i in (2, 1)))
    sums = np.bincount(buckets_of(key), moved * rows.count, BUCKETS)
    return (sums.astype(np.float64, copy=False),)
