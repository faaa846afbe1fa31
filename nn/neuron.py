"""One neuron: logits, probabilities, and one pass over a table of counted rows for all the rest."""

from functools import partial
from typing import NamedTuple

import numpy as np

from nn.arrays import Array, ShapeError, require_shape
from nn.blocks import Blocks, tree_sum
from nn.loss import binary_cross_entropy, loss_and_slope, loss_curvature, sigmoid

# Rows that are worked on at once, so that what is computed of them stays in a core's cache: a pass
# over 200,000 rows of 20 inputs takes half the time.
BLOCK = 4096


class Examples(NamedTuple):
    """Encoded rows: inputs X (n, d), labels y (n,), and how many times each row counts (n,)."""

    X: Array
    y: Array
    count: Array  # type: ignore[assignment]  # instead of tuple.count


class Pass(NamedTuple):
    """What one pass over the rows finds.

    ``loss`` and ``objective`` (loss plus penalty) are in nats per row, ``accuracy`` is a share of
    rows. ``gradient`` (d + 1,) and ``hessian`` (d + 1, d + 1) are the objective's; the Hessian is
    empty, (0, 0), unless it is asked for.
    """

    loss: float
    objective: float
    accuracy: float
    gradient: Array
    hessian: Array


def logits(theta: Array, X: Array) -> Array:
    """Return the log-odds (n,) of class 1: ``X w + b`` (Eq. 2, all rows at once)."""
    _require_inputs(theta, X)
    z: Array = X @ theta[:-1] + theta[-1]
    return z


def row_logits(theta: Array, X: Array) -> Array:
    """Return the log-odds (n,) of class 1, each to the last bit a function of its row alone.

    The terms are added from the bias and the first input to the last. ``logits`` is faster, but
    BLAS adds in an order that depends on how many rows there are: of 1,003 rows of 21 inputs, asked
    for one by one, it answers 373 with another last bit.
    """
    _require_inputs(theta, X)
    z = np.full(len(X), theta[-1])
    for weight, x in zip(theta[:-1], X.T, strict=True):
        z += weight * x
    return z


def predict_proba(theta: Array, X: Array) -> Array:
    """Return the probability (n,) of class 1, ``sigmoid(X w + b)`` (Eq. 1), of each row alone."""
    return sigmoid(row_logits(theta, X))


def examine(
    theta: Array, examples: Examples | Blocks, l2: float = 0.0, *, curvature: bool = False
) -> Pass:
    """Return loss, objective, accuracy, gradient and, with ``curvature``, Hessian, in one pass.

    All are averages over rows: a row that counts 2 equals the row written twice. What overflows is
    infinite or NaN, without a warning.

    Gradient: ``sum_i count_i (p_i - y_i) x_i / sum(count)`` (Eq. 12) plus ``l2 * w``; bias, last:
    ``sum_i count_i (p_i - y_i) / sum(count)`` (Eq. 13, with the sum that the article forgets).
    Hessian: ``[X 1]' diag(count p (1 - p) / sum(count)) [X 1]`` plus ``l2`` on the diagonal of the
    weights (McCullagh and Nelder 1989, section 4.4: the Fisher information per row).

    Raises
    ------
    ShapeError
        If an array does not have the shape of the Conventions.
    """
    sums = partial(_sums, theta, curvature=curvature)
    if isinstance(examples, Examples):
        return _averages(theta, sums(examples), l2)
    return _averages(theta, tree_sum(examples.map(sums)), l2)


class Sums(NamedTuple):
    """What a pass adds up over rows: that of ``Pass`` before it is divided, and the counts."""

    loss: float
    right: float
    gradient: Array
    hessian: Array
    total: float


@np.errstate(over="ignore", invalid="ignore")
def _sums(theta: Array, examples: Examples, *, curvature: bool) -> Sums:
    _require_rows(theta, examples)
    size = len(theta) if curvature else 0
    loss, right, gradient, hessian = 0.0, 0.0, np.zeros(len(theta)), np.zeros((size, size))
    for start in range(0, len(examples.y), BLOCK):
        X, y, count = (array[start : start + BLOCK] for array in examples)
        z = logits(theta, X)
        losses, slopes = loss_and_slope(z, y)
        loss += float(losses @ count)
        right += float(((z >= 0) == (y == 1)) @ count)
        slopes *= count
        gradient[:-1] += slopes @ X
        gradient[-1] += slopes.sum()
        if curvature:
            hessian += _weighted_square(X, count * loss_curvature(z))
    return Sums(loss, right, gradient, hessian, float(examples.count.sum()))


@np.errstate(over="ignore", invalid="ignore")
def _averages(theta: Array, sums: Sums, l2: float) -> Pass:
    loss, right, gradient, hessian, total = sums
    gradient = gradient / total
    gradient[:-1] += l2 * theta[:-1]
    if hessian.size:
        hessian = hessian / total
        hessian[np.diag_indices(len(theta) - 1)] += l2
    mean = loss / total
    return Pass(mean, mean + penalty(theta, l2), right / total, gradient, hessian)


def objective(theta: Array, examples: Examples | Blocks, l2: float = 0.0) -> float:
    """Return the mean loss (Eq. 4) plus the penalty, in nats per row: what descent descends."""
    return examine(theta, examples, l2).objective


def gradient(theta: Array, examples: Examples | Blocks, l2: float = 0.0) -> Array:
    """Return the gradient (d + 1,) of the objective (Eq. 12 and 13)."""
    return examine(theta, examples, l2).gradient


def hessian(theta: Array, examples: Examples | Blocks, l2: float = 0.0) -> Array:
    """Return the second derivative (d + 1, d + 1) of the objective."""
    return examine(theta, examples, l2, curvature=True).hessian


def penalty(theta: Array, l2: float) -> float:
    """Return ``l2 / 2 * sum(weights ** 2)`` in nats per row; the bias is not penalised."""
    return float(l2 / 2.0 * (theta[:-1] @ theta[:-1]))


def mean_loss(z: Array, y: Array, count: Array) -> float:
    """Return the mean loss in nats per row: ``J`` of Eq. 4, distinct rows times their counts."""
    return average(binary_cross_entropy(z, y), count)


def average(values: Array, count: Array) -> float:
    """Return the mean of ``values`` (n,) in their unit, each as often as its row counts."""
    require_shape("count", count, (values.size,))
    require_shape("values", values, count.shape)
    return float(values @ count / count.sum())


def _weighted_square(X: Array, weight: Array) -> Array:
    """Return ``[X 1]' diag(weight) [X 1]`` (d + 1, d + 1)."""
    d = X.shape[1]
    scaled = X * np.sqrt(weight)[:, None]
    square = np.empty((d + 1, d + 1))
    square[:d, :d] = scaled.T @ scaled  # symmetric: BLAS computes one half
    square[d, :d] = square[:d, d] = weight @ X
    square[d, d] = weight.sum()
    return square


def _require_inputs(theta: Array, X: Array) -> None:
    if X.ndim != 2:
        raise ShapeError(f"X must have 2 dimensions (n, d); got shape {X.shape}")
    require_shape("theta", theta, (X.shape[1] + 1,))


def _require_rows(theta: Array, examples: Examples) -> None:
    _require_inputs(theta, examples.X)
    require_shape("y", examples.y, (len(examples.X),))
    require_shape("count", examples.count, (len(examples.X),))
