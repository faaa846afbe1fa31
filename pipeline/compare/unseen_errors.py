"""Bounds of a mean of losses, or of their differences, that hold what an unseen error would cost.

Where a neuron errs on few of the rows, or on none, the spread of the losses says nothing of what an
error costs. But that is known: with the loss ``l`` on a row, the loss had the label been the other
one is ``-log(1 - exp(-l))``. So the rows are joined by one more, whose value is the mean of the
tenth of rows that could have been worst, and the mean is weighted at random: row i by
Gamma(count_i), the one more by Gamma(1). Quantiles of this mean are bounds of the true one (Gaffke
2005; Learned-Miller and Thomas 2019, arXiv:1905.06208, with the worst row): for values of two kinds
those of Clopper and Pearson (1934), for many rows those of the normal distribution.

Its tail is the saddlepoint approximation of Lugannani and Rice (1980, Advances in Applied
Probability 12:475-490), which is off by less than 3 % of itself. The tilted weights
``count / (value - pole)``, with a pole below all values, are those of the empirical likelihood.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nn.arrays import Array

WORST = 0.1  # share of rows: where fewer are costly, an error on them may still surprise
SMALLEST = 5e-324  # where a loss is 0 in float64, the other one is 744 nats or more
FARTHEST = 18.0  # of a pole: exp(18) times the range of the values
STEPS = 50  # halvings
BLOCK = 2**16  # numbers worked on at once: about what a core's cache holds of several arrays
NEAR = 1e-4  # standard errors of the mean: nearer to it a tail is 1/2

Above = Callable[[Array, Array], npt.NDArray[np.bool_]]


def flipped(loss: Array) -> Array:
    """Return the losses had the labels been the other ones, in nats."""
    other: Array = -np.log(-np.expm1(-np.maximum(loss, SMALLEST)))
    return other


def lower_bound(values: Array, others: Array, count: Array, alpha: float) -> Array:
    """Return one-sided lower bounds (k,) of the means of ``values`` (k, n), at the level ``alpha``.

    ``others`` (k, n): the values had the labels been the other ones. ``count`` (n,): how many
    independent rows each one stands for.
    """
    joined, weight = _joined(values, others, count)
    return _search(joined, weight, lambda _, tail: tail > alpha)[0]


def p_value(values: Array, others: Array, count: Array) -> float:
    """Return the one-sided p-value of the mean of ``values`` (n,) being above 0, rows counted.

    ``others`` (n,): the values had the labels been the other ones.
    """
    joined, weight = _joined(values[None], others[None], count)
    if joined.min() >= 0 or joined.max() <= 0:
        return float(joined.max() <= 0)
    sign = 1.0 if joined[0] @ weight > 0 else -1.0
    tail = float(_search(sign * joined, weight, lambda mean, _: mean > 0)[1][0])
    return tail if sign > 0 else 1 - tail


def _joined(values: Array, others: Array, count: Array) -> tuple[Array, Array]:
    """Return the values with the one more row (k, n + 1), and the weights of all (n + 1,)."""
    worse = np.minimum(values, others)
    order = np.argsort(worse, axis=1)
    before = np.cumsum(count[order], axis=1) - count[order]
    weight = np.clip(WORST * count.sum() - before, 0.0, count[order])
    worst = (weight * np.take_along_axis(worse, order, 1)).sum(axis=1) / weight.sum(axis=1)
    return np.column_stack([values, worst]), np.append(count, 1.0)


def _search(values: Array, weight: Array, above: Above) -> tuple[Array, Array]:
    """Return the highest tilted means and their tails (k,) that are not ``above``."""
    at_once = max(1, BLOCK // len(weight))
    parts = [
        _search_some(values[start : start + at_once], weight, above)
        for start in range(0, len(values), at_once)
    ]
    means, tails = zip(*parts, strict=True)
    return np.concatenate(means), np.concatenate(tails)


def _search_some(values: Array, weight: Array, above: Above) -> tuple[Array, Array]:
    near, far = np.full(len(values), -FARTHEST), np.full(len(values), FARTHEST)
    for _ in range(STEPS):
        middle = (near + far) / 2
        too_far = above(*_tail(values, weight, middle))
        near, far = np.where(too_far, near, middle), np.where(too_far, middle, far)
    return _tail(values, weight, near)


def _tail(values: Array, weight: Array, log_distance: Array) -> tuple[Array, Array]:
    """Return tilted means (k,), and the probabilities that the weighted means lie below them.

    ``log_distance`` (k,): how far the pole is from the least value, as a share of the range.
    """
    from scipy.special import ndtr

    least, width = values.min(axis=1), np.ptp(values, axis=1)
    scaled = (values - least[:, None]) / np.where(width > 0, width, 1.0)[:, None]
    distance = np.exp(log_distance)[:, None]
    tilted = weight / (scaled + distance)
    mean = (tilted * scaled).sum(axis=1, keepdims=True) / tilted.sum(axis=1, keepdims=True)
    # K(s) = -sum of weight * log(1 - s (value - mean)), and K'(s) = 0 at s = -1 / (mean + distance)
    gain = (scaled - mean) / (mean + distance)
    r = np.sqrt(2 * np.maximum(np.log1p(gain) @ weight, 0.0))
    u = np.sqrt((gain / (1 + gain)) ** 2 @ weight)
    some = r > NEAR
    ratio = np.divide(u, r, out=np.ones_like(r), where=some)
    tail = np.where(some, ndtr(-r - np.log(ratio) / np.maximum(r, NEAR)), 0.5)
    return least + width * mean[:, 0], np.where(width > 0, tail, 0.0)
