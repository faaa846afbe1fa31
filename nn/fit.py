"""Training: the only loop over data, as a generator that hands out one state per epoch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nn.arrays import Array
from nn.neuron import Examples, accuracy, gradient, logits, mean_loss, penalty
from nn.optim import Transform

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
        If ``batch_size`` is given without ``rng``.
    ShapeError
        If an array does not have the shape of the Conventions.
    """
    if batch_size is not None and rng is None:
        raise ValueError("rng must be given with batch_size; got None")
    state = optimiser.init(theta)
    for number in range(epochs + 1):
        z, epoch = _examine(number, theta, train, valid, l2)
        yield epoch
        if number == epochs:
            return
        if batch_size is None or rng is None:
            theta, state = _step(theta, z, train, optimiser, state, l2)
        else:
            for batch in _deal(train, batch_size, rng):
                z_batch = _quiet_logits(theta, batch.X)
                theta, state = _step(theta, z_batch, batch, optimiser, state, l2)


def _examine(
    number: int, theta: Array, train: Examples, valid: Examples | None, l2: float
) -> tuple[Array, Epoch]:
    with np.errstate(over="ignore", invalid="ignore"):
        z = logits(theta, train.X)
        cost = mean_loss(z, train.y, train.weight)
        objective = cost + penalty(theta, l2)
        train_accuracy = accuracy(z, train.y, train.weight)
        valid_cost = valid_accuracy = float("nan")
        if valid is not None:
            z_valid = logits(theta, valid.X)
            valid_cost = mean_loss(z_valid, valid.y, valid.weight)
            valid_accuracy = accuracy(z_valid, valid.y, valid.weight)
    return z, Epoch(number, theta, objective, cost, train_accuracy, valid_cost, valid_accuracy)


def _step(
    theta: Array, z: Array, batch: Examples, optimiser: Transform, state: Any, l2: float
) -> tuple[Array, Any]:
    with np.errstate(over="ignore", invalid="ignore"):
        update, state = optimiser.update(gradient(theta, z, *batch, l2), state)
        return theta + update, state


def _quiet_logits(theta: Array, X: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return logits(theta, X)


def _deal(train: Examples, size: int, rng: np.random.Generator) -> Iterator[Examples]:
    """Batches of ``size`` rows (the last may be shorter), each row as often as it counts."""
    copies = np.repeat(np.arange(len(train.y)), train.weight.astype(np.int64))
    order = rng.permutation(copies)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield Examples(train.X[rows], train.y[rows], np.ones(len(rows)))
