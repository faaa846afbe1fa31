"""Training: the only loop over data, as a generator that hands out one state per epoch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nn.arrays import Array, require_shape
from nn.loss import cost_and_residual
from nn.neuron import (
    Examples,
    accuracy,
    average,
    gradient,
    gradient_from_residual,
    logits,
    mean_loss,
    penalty,
)
from nn.optim import Transform

Indices = npt.NDArray[np.intp]

# The article draws its weights from U(-0.5, 0.5) and starts its bias at 0.
INITIAL_BOUND = 0.5


class Epoch(NamedTuple):
    """The neuron after ``number`` passes over the training rows; number 0 is before the first.

    Costs are in nats per row, accuracies are shares of rows. ``objective`` is ``train_cost`` plus
    the penalty: what descent descends. The ``valid_`` fields are NaN where there are no valid rows.
    """

    number: int
    theta: Array
    objective: float
    train_cost: float
    train_accuracy: float
    valid_cost: float
    valid_accuracy: float


def initial_theta(d: int, rng: np.random.Generator) -> Array:
    """Parameters (d + 1,) to start from: weights from U(-0.5, 0.5), bias 0 (article, cell 1)."""
    return np.append(rng.uniform(-INITIAL_BOUND, INITIAL_BOUND, d), 0.0)


def fit(
    theta: Array,
    train: Examples,
    optimiser: Transform,
    epochs: int,
    *,
    valid: Examples | None = None,
    l2: float = 0.0,
    batch_size: int | None = None,
    rng: np.random.Generator | None = None,
) -> Iterator[Epoch]:
    """Yield the neuron before training and after each of ``epochs`` passes over ``train``.

    Without ``batch_size`` an epoch is one step along the gradient over all rows (full-batch
    descent, the article's). With it, an epoch deals the rows at random into batches of
    ``batch_size`` rows, each row as often as it counts, and takes a step for each; ``rng`` is then
    required. Values that overflow are handed out as they are: the caller decides when to stop.

    Raises
    ------
    ValueError
        If ``batch_size`` is below 1 or comes without ``rng``, or rows then do not count in whole
        numbers.
    ShapeError
        If an array does not have the shape of the Conventions.
    """
    copies = _copies(train.weight, batch_size, rng)
    state = optimiser.init(theta)
    for number in range(epochs + 1):
        residual, epoch = _examine(number, theta, train, valid, l2)
        yield epoch
        if number == epochs:
            return
        with _quiet():
            if batch_size is None or rng is None:
                slope = gradient_from_residual(theta, residual, train.X, train.weight, l2)
                theta, state = _step(theta, slope, optimiser, state)
                continue
            for batch in _deal(train, rng.permutation(copies), batch_size):
                slope = gradient(theta, logits(theta, batch.X), *batch, l2)
                theta, state = _step(theta, slope, optimiser, state)


def _quiet() -> np.errstate:
    """Overflow makes infinities and NaNs, which are handed out as they are, without a warning."""
    return np.errstate(over="ignore", invalid="ignore")


def _examine(
    number: int, theta: Array, train: Examples, valid: Examples | None, l2: float
) -> tuple[Array, Epoch]:
    """The residuals of the training rows, for the gradient, and the epoch."""
    with _quiet():
        z = logits(theta, train.X)
        costs, residual = cost_and_residual(z, train.y)
        require_shape("weight", train.weight, z.shape)
        cost = average(costs, train.weight)
        objective = cost + penalty(theta, l2)
        train_accuracy = accuracy(z, train.y, train.weight)
        valid_cost = valid_accuracy = float("nan")
        if valid is not None:
            z_valid = logits(theta, valid.X)
            valid_cost = mean_loss(z_valid, valid.y, valid.weight)
            valid_accuracy = accuracy(z_valid, valid.y, valid.weight)
    epoch = Epoch(number, theta, objective, cost, train_accuracy, valid_cost, valid_accuracy)
    return residual, epoch


def _step(theta: Array, slope: Array, optimiser: Transform, state: Any) -> tuple[Array, Any]:
    update, state = optimiser.update(slope, state)
    return theta + update, state


def _copies(weight: Array, batch_size: int | None, rng: np.random.Generator | None) -> Indices:
    """Positions of the rows, each as often as it counts; none where there are no batches."""
    if batch_size is None:
        return np.arange(0)
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; got {batch_size}")
    if rng is None:
        raise ValueError("rng must be given with batch_size; got None")
    odd = weight[(weight < 0) | (weight != np.floor(weight))]
    if odd.size:
        raise ValueError(f"weight must count whole rows with batch_size; got {odd[0]}")
    return np.repeat(np.arange(len(weight)), weight.astype(np.int64))


def _deal(train: Examples, order: Indices, size: int) -> Iterator[Examples]:
    """Batches of ``size`` rows in the given order; the last may be shorter."""
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield Examples(train.X[rows], train.y[rows], np.ones(len(rows)))
