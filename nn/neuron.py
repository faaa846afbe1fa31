"""One neuron: logits, probabilities, the cost of a weighted table of rows and its derivatives."""

from typing import NamedTuple

import numpy as np

from nn.arrays import Array, ShapeError, require_shape
from nn.loss import binary_cross_entropy, residual, sigmoid


class Examples(NamedTuple):
    """Encoded rows: inputs X (n, d), labels y (n,), and how many times each row counts (n,)."""

    X: Array
    y: Array
    weight: Array


def logits(theta: Array, X: Array) -> Array:
    """Log-odds of class 1 for each row: ``X w + b`` (Eq. 2, all rows at once)."""
    if X.ndim != 2:
        raise ShapeError(f"X must have 2 dimensions (n, d); got shape {X.shape}")
    require_shape("theta", theta, (X.shape[1] + 1,))
    z: Array = X @ theta[:-1] + theta[-1]
    return z


def row_logits(theta: Array, X: Array) -> Array:
    """Log-odds of class 1 for each row, to the last bit a function of that row alone.

    The terms are added from the bias and the first input to the last. ``logits`` is faster, but
    BLAS adds in an order that depends on how many rows there are: of 1,003 rows of 21 inputs, asked
    for one by one, it answers 373 with another last bit.
    """
    if X.ndim != 2:
        raise ShapeError(f"X must have 2 dimensions (n, d); got shape {X.shape}")
    require_shape("theta", theta, (X.shape[1] + 1,))
    z = np.full(len(X), theta[-1])
    for weight, x in zip(theta[:-1], X.T, strict=True):
        z += weight * x
    return z


def predict_proba(theta: Array, X: Array) -> Array:
    """Probability of class 1 for each row: ``sigmoid(X w + b)`` (Eq. 1); of that row alone."""
    return sigmoid(row_logits(theta, X))


def loss_and_gradient(
    theta: Array, X: Array, y: Array, weight: Array, l2: float = 0.0
) -> tuple[float, Array]:
    """Objective in nats per row, and its gradient (d + 1,): what descent descends.

    The objective is the mean cost (Eq. 4) plus the penalty; both are averages over rows, so a row
    of weight 2 equals the row written twice.

    Raises
    ------
    ShapeError
        If any array does not have the shape of the Conventions.
    """
    z = logits(theta, X)
    return mean_loss(z, y, weight) + penalty(theta, l2), gradient(theta, z, X, y, weight, l2)


def mean_loss(z: Array, y: Array, weight: Array) -> float:
    """Mean cost in nats per row: ``J`` of Eq. 4, the sum over distinct rows times their counts."""
    _require_rows(z, y, weight)
    return average(binary_cross_entropy(z, y), weight)


def penalty(theta: Array, l2: float) -> float:
    """``l2 / 2 * sum(weights ** 2)`` in nats per row; the bias is not penalised."""
    return float(l2 / 2.0 * (theta[:-1] @ theta[:-1]))


def gradient(theta: Array, z: Array, X: Array, y: Array, weight: Array, l2: float = 0.0) -> Array:
    """Gradient (d + 1,) of the objective at ``theta``, whose logits are ``z``.

    Weights: ``sum_i weight_i (p_i - y_i) x_i / sum(weight)`` (Eq. 12) plus ``l2 * w``; bias, last:
    ``sum_i weight_i (p_i - y_i) / sum(weight)`` (Eq. 13, with the sum that the article forgets).
    """
    _require_rows(z, y, weight)
    return gradient_from_residual(theta, residual(z, y), X, weight, l2)


def gradient_from_residual(
    theta: Array, residual: Array, X: Array, weight: Array, l2: float
) -> Array:
    """Gradient (d + 1,) of the objective, from the derivative of each row's cost by its logit."""
    row = weight * residual
    result = np.empty_like(theta)
    result[:-1] = row @ X
    result[-1] = row.sum()
    result /= weight.sum()
    result[:-1] += l2 * theta[:-1]
    return result


def hessian(theta: Array, X: Array, weight: Array, l2: float = 0.0) -> Array:
    """Second derivative (d + 1, d + 1) of the objective in ``theta``: the curvature of the cost.

    ``[X 1]' diag(weight p (1 - p) / sum(weight)) [X 1]`` plus ``l2`` on the diagonal of the weights
    (McCullagh and Nelder 1989, section 4.4: for this model it is the Fisher information per row).
    """
    z = logits(theta, X)
    require_shape("weight", weight, z.shape)
    with_bias = np.column_stack([X, np.ones(len(X))])
    curvature = weight * sigmoid(z) * sigmoid(-z) / weight.sum()
    result: Array = (with_bias.T * curvature) @ with_bias
    result[np.diag_indices(len(theta) - 1)] += l2
    return result


def accuracy(z: Array, y: Array, weight: Array) -> float:
    """Share of rows on the right side of p = 1/2, that is of z = 0."""
    _require_rows(z, y, weight)
    return average(((z >= 0) == (y == 1)).astype(np.float64), weight)


def average(values: Array, weight: Array) -> float:
    """Mean of ``values`` in their unit: the sum over distinct rows times their counts."""
    return float(values @ weight / weight.sum())


def _require_rows(z: Array, y: Array, weight: Array) -> None:
    if z.ndim != 1:
        raise ShapeError(f"z must have 1 dimension (n,); got shape {z.shape}")
    require_shape("y", y, z.shape)
    require_shape("weight", weight, z.shape)
