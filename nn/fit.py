"""Training: the only loop over epochs, as a generator that hands out one state per epoch."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from nn.blocks import Blocks
from nn.neuron import Examples, Pass, examine, gradient
from nn.optim import Transform
from nn.optimum import newton_steps, settle

Indices = npt.NDArray[np.intp]

# The article draws its weights from U(-0.5, 0.5) and starts its bias at 0.
INITIAL_BOUND = 0.5


class Epoch(NamedTuple):
    """The neuron after ``number`` passes over the training rows; number 0 is before the first.

    Losses are in nats per row, accuracies are shares of rows. ``objective`` is ``train_loss`` plus
    the penalty: what descent descends. The ``valid_`` fields are NaN where there are no valid rows.
    """

    number: int
    theta: Array
    objective: float
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float


def initial_theta(d: int, rng: np.random.Generator) -> Array:
    """Return parameters (d + 1,) to start from: weights U(-0.5, 0.5), bias 0 (article, cell 1)."""
    return np.append(rng.uniform(-INITIAL_BOUND, INITIAL_BOUND, d), 0.0)


def fit(
    theta: Array,
    train: Examples | Blocks,
    optimiser: Transform,
    epochs: int,
    *,
    valid: Examples | Blocks | None = None,
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
        If ``batch_size`` is below 1, comes without ``rng`` or with ``Blocks``, or rows then do not
        count in whole numbers.
    ShapeError
        If an array does not have the shape of the Conventions.
    """
    copies = _copies(train, batch_size, rng)
    state = optimiser.init(theta)
    for number in range(epochs + 1):
        found = examine(theta, train, l2)
        yield _epoch(number, theta, found, valid)
        if number == epochs:
            return
        if batch_size is None or rng is None or not isinstance(train, Examples):
            theta, state = _update(theta, found.gradient, optimiser, state)
            continue
        for batch in _deal(train, rng.permutation(copies), batch_size):
            theta, state = _update(theta, gradient(theta, batch, l2), optimiser, state)


def fit_newton(
    theta: Array,
    train: Examples | Blocks,
    epochs: int,
    *,
    valid: Examples | Blocks | None = None,
    l2: float = 0.0,
) -> Iterator[Epoch]:
    """Yield the neuron before training and after each step of Newton's method, an epoch each.

    It ends before ``epochs`` where no further step lowers the objective: about ten steps. With a
    penalty that end is the same to the last bit whatever ``theta`` it began with (``settle``); of
    ``Blocks``, of which each step may take minutes, it is not.

    Raises
    ------
    ShapeError
        If an array does not have the shape of the Conventions.
    numpy.linalg.LinAlgError
        If the curvature overflows.
    """
    steps = newton_steps(theta, train, l2)
    point = next(steps)
    for number in range(epochs):
        lower = next(steps, None)
        if lower is None:
            end = point
            if l2 > 0 and isinstance(train, Examples):  # of blocks a step may take minutes
                end = settle(point, train, l2)
            yield _epoch(number, end.theta, end.found, valid)
            return
        yield _epoch(number, point.theta, point.found, valid)
        point = lower
    yield _epoch(epochs, point.theta, point.found, valid)


def _epoch(number: int, theta: Array, train: Pass, valid: Examples | Blocks | None) -> Epoch:
    valid_loss = valid_accuracy = float("nan")
    if valid is not None:
        valid_loss, _, valid_accuracy, *_ = examine(theta, valid)
    return Epoch(
        number, theta, train.objective, train.loss, train.accuracy, valid_loss, valid_accuracy
    )


@np.errstate(over="ignore", invalid="ignore")
def _update(theta: Array, slope: Array, optimiser: Transform, state: Any) -> tuple[Array, Any]:
    update, state = optimiser.update(slope, state)
    return theta + update, state


def _copies(
    train: Examples | Blocks, batch_size: int | None, rng: np.random.Generator | None
) -> Indices:
    """Return positions of the rows, each as often as it counts; none where there are no batches."""
    if batch_size is None:
        return np.arange(0)
    if not isinstance(train, Examples):
        raise ValueError(f"batch_size must be None with Blocks; got {batch_size}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; got {batch_size}")
    if rng is None:
        raise ValueError("rng must be given with batch_size; got None")
    count = train.count
    invalid = count[(count < 0) | (count != np.floor(count))]
    if invalid.size:
        raise ValueError(f"count must be of whole rows with batch_size; got {invalid[0]}")
    return np.repeat(np.arange(len(count)), count.astype(np.int64))


def _deal(train: Examples, order: Indices, size: int) -> Iterator[Examples]:
    """Yield batches of ``size`` rows in the given order; the last may be shorter."""
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield Examples(train.X[rows], train.y[rows], np.ones(len(rows)))
