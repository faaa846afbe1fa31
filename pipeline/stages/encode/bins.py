"""A column of numbers becomes bins: where they meet, and what they are called."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nn.arrays import Array
from pipeline.config.column_settings import Numeric
from pipeline.stages.calibration import isotonic
from pipeline.stages.validate.convert import Table


def fit_edges(train: Table, name: str, column: Numeric) -> tuple[float, ...]:
    """Return the numbers at which a bin ends and the next begins, which has the number itself.

    Those of the contract, or quantiles of train: so many bins, fewer where many rows are equal.
    With ``column.monotone`` neighbours that break the order are merged: the share of train's
    positive rows then rises, or falls, from each bin to the next.
    """
    values = train.frame[name].to_numpy(np.float64)
    known = ~np.isnan(values)
    x, count, y = values[known], train.weighted_count[known], train.y[known]
    if isinstance(column.bins, tuple):
        edges = np.array([edge for edge in column.bins if _is_inside(edge, column)])
    else:
        edges = _quantiles(x, count, column.bins or 1)
    if column.monotone and x.size:
        edges = _merged(edges, x, y if column.monotone == "increasing" else 1 - y, count)
    return tuple(edges.tolist())


def bin_labels(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Return the name of each bin: ``below 18``, ``18 to below 65``, ``65 or more``."""
    texts = [repr(edge).removesuffix(".0") for edge in edges]
    if not texts:
        return ("any number",)
    between = (f"{low} to below {high}" for low, high in pairwise(texts))
    return (f"below {texts[0]}", *between, f"{texts[-1]} or more")


def _is_inside(edge: float, column: Numeric) -> bool:
    """Return whether the contract allows numbers on both sides of the edge."""
    low, high = column.minimum, column.maximum
    return (low is None or edge > low) and (high is None or edge <= high)


def _quantiles(x: Array, count: Array, n: int) -> Array:
    if not x.size:
        return np.empty(0)
    levels = np.arange(1, n) / n
    values = np.unique(x)
    lasts = np.unique(np.quantile(x, levels, method="inverted_cdf", weights=count))
    places = np.searchsorted(values, lasts[lasts < values[-1]], side="right")
    return np.array([_shortest(values[i - 1], values[i]) for i in places])


def _shortest(low: float, high: float) -> float:
    """Return the number of the fewest digits that is above ``low`` and at most ``high``."""
    for digits in range(1, 17):
        for near in (low / 2 + high / 2, high):
            if low < (found := float(f"{near:.{digits}g}")) <= high:
                return found
    return float(high)


def _merged(edges: Array, x: Array, y: Array, count: Array) -> Array:
    """Return the edges between bins whose shares of positive rows rise, by pooling neighbours."""
    code = np.searchsorted(edges, x, side="right")
    weights, n_bins = (count, count * y), len(edges) + 1
    n, total = (np.bincount(code, w, n_bins).astype(np.float64) for w in weights)
    filled = n > 0
    edges = edges[filled[1:] & (np.cumsum(filled) > 1)[1:]]
    _, pooled = isotonic(total[filled], n[filled])
    ends = np.cumsum(n[filled])[:-1]
    last = np.cumsum(pooled)[:-1]
    return edges[np.isclose(ends[:, None], last, rtol=1e-12, atol=0).any(axis=1)]
