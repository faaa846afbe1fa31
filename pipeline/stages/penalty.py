"""Training rows become the strength of the penalty: by a rule that falls with n, or by folds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nn import Blocks, Examples, binary_cross_entropy, gradient, hessian, newton, tree_sum
from nn.arrays import Array
from nn.optimum import newton_step, newton_steps
from pipeline.config.schema import RunConfig
from pipeline.config.split_settings import TimeSplit
from pipeline.errors import DataError
from pipeline.stages.balance import balance
from pipeline.stages.copies import Sampling, per_observation
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.read.rows import Counts
from pipeline.stages.split import take
from pipeline.stages.split.deal import deal_folds
from pipeline.stages.split.time import time_folds
from pipeline.stages.validate.convert import Table

LOGIT_VARIANCE = math.pi**2 / 3  # of the logistic distribution: each probability is as likely
DIGITS = 2  # of l2: what is shown is what was used
FOLDS = 5
PATH = 2.0 ** np.arange(8, -14, -1)  # times what the rule gives, the strongest first
# Of a row whose one input is its logit: what gives that back.
OUT_OF_FOLD = np.array([1.0, 0.0])
GAIN = 1e-10  # nats per row: a step of less is not made
FAST = 0.05  # where gains shrink by so much in a step, the curvature of before does
SMALL = 1e-7  # nats per row: after a step of less none is needed, as they shrink fast


@dataclass(frozen=True)
class PenaltyPath:
    """What rows that a neuron was not trained on say of each strength of the penalty.

    ``l2`` (k,) are the strengths on all rows, the strongest first. ``loss`` (k,) is the mean loss
    out of fold in nats per row, ``fold_loss`` (k, 5) that of each fold; ``error`` (k,) the standard
    error of how far ``loss`` is above the lowest, paired by row. ``chosen`` is a place in them.
    """

    l2: Array
    loss: Array
    error: Array
    fold_loss: Array
    chosen: int

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the path that was written as plain values."""
        names = ("l2", "loss", "error", "fold_loss")
        arrays = {name: np.array(tree[name], np.float64) for name in names}
        return cls(**arrays, chosen=tree["chosen"])

    @property
    def chosen_l2(self) -> float:
        """The strength that was chosen."""
        return float(self.l2[self.chosen])


@on_one_thread
def auto_l2(examples: Examples | Blocks) -> float:
    """Return the strength of the penalty per row that the number of rows and the inputs call for.

    The penalty is a prior, as the objective times n is: each weight is normal with the variance
    ``1 / (n l2)``, and a logit with that times the sum of the variances of the inputs. It is chosen
    so that this is the logistic distribution's: before any row is seen, every probability of class
    1 is as likely as another, however many inputs there are.

        l2 = sum_j var(x_j) / (n pi^2 / 3)

    of two digits. C = 1 of scikit-learn is ``1 / n``, which lets logits of 60 inputs be 8 wide.
    """
    n, variances = _variances(examples)
    return _rounded(float(variances.sum()) / (LOGIT_VARIANCE * n))


@on_one_thread
def penalty_path(
    table: Table, examples: Examples, config: RunConfig
) -> tuple[PenaltyPath, Examples]:
    """Return what folds of the training rows say of the penalty, and the rows scored out of fold.

    ``examples`` are the rows of ``table``, encoded. Each of five folds is encoded by what the other
    four are like, and its rows are scored by the optimum on these for each strength, from the
    strongest down, each from the optimum before (Friedman, Hastie and Tibshirani 2010, Journal of
    Statistical Software 33(1), section 2.5). ``n l2``, the prior, is that of all rows. The
    strongest is chosen whose loss is within one standard error of the lowest (Breiman et al. 1984,
    3.4.3), by the error of the difference, paired by row, as comparisons of runs have it.

    The rows have one input, the logit by the chosen strength (of a row in several folds, the mean),
    which ``OUT_OF_FOLD`` gives back: a neuron and rows that it was not trained on.

    Raises
    ------
    DataError
        If the rows outside of a fold lack a class.
    """
    n = float(examples.count.sum())
    l2 = np.array([_rounded(strength) for strength in (auto_l2(examples) or 1 / n) * PATH])
    logits, by_fold = np.zeros((len(l2), len(table.y))), []
    for held in folds_of(table, config):
        rows, z = np.flatnonzero(held), _fold_logits(table, held, config, n * l2)
        share = held[rows] / table.count[rows]
        logits[:, rows] += z * share
        weights = share * examples.count[rows]
        by_fold.append(np.average(_losses(z, table.y[rows]), axis=1, weights=weights))
    losses = _losses(logits, table.y)
    loss = losses @ examples.count / n
    error = _paired_errors(losses - losses[loss.argmin()], examples, Sampling.of(table))
    chosen = int(np.argmax(loss <= loss.min() + error))
    path = PenaltyPath(l2, loss, error, np.column_stack(by_fold), chosen)
    return path, examples._replace(X=logits[chosen][:, None])


def _variances(examples: Examples | Blocks) -> tuple[float, Array]:
    """Return the number of rows, and the variance (d,) of each input over them."""
    if not isinstance(examples, Examples):  # inputs are of about unit size: no square cancels
        n, first, second = tree_sum(examples.map(_moments))
        return n, second / n - (first / n) ** 2
    X, _, count = examples
    n = float(count.sum())
    share = count / n
    mean = share @ X
    variances: Array = np.array([share @ (x - m) ** 2 for x, m in zip(X.T, mean, strict=True)])
    return n, variances


def _moments(examples: Examples) -> tuple[float, Array, Array]:
    X, _, count = examples
    return float(count.sum()), count @ X, count @ X**2


def _rounded(l2: float) -> float:
    return float(f"{l2:.{DIGITS}g}")


def _fold_logits(table: Table, held: Counts, config: RunConfig, strength: Array) -> Array:
    """Return the logit (k, m) of each of the m rows of a fold, by the other folds."""
    others = take(table, table.count - held)
    # A category that the other folds lack has a weight of 0, at which the penalty would hold it.
    settings = config.encode.model_copy(update={"unseen": "zeros"})
    encoder = fit_encoder(others, settings, config.data)
    balanced = balance(encode(encoder, others, "train"), config.train.class_weight)
    X = encode(encoder, take(table, held), "valid").X
    path = strength / balanced.rows.count.sum()
    thetas = balanced.correct(np.array([*optima(balanced.rows, path)]))
    logits: Array = thetas[:, :-1] @ X.T + thetas[:, -1:]
    return logits


def _losses(logits: Array, y: Array) -> Array:
    return binary_cross_entropy(logits, np.broadcast_to(y, logits.shape))


def optima(rows: Examples, path: Array) -> Iterator[Array]:
    """Yield the optimum (d + 1,) of each strength, the strongest first, to ``GAIN``.

    The curvature at an optimum says where the next one is: there the gradient of the loss is that
    of the penalty, and no pass over the rows is needed for it (Park and Hastie 2007, section 3:
    predictor and corrector). Where that gains nothing, as of many rows under a weak penalty, none
    is made.
    """
    penalised = np.append(np.ones(rows.X.shape[1]), 0.0)  # the bias is not
    theta, last = newton(np.zeros(len(penalised)), rows, path[0]).theta, path[0]
    curvature = hessian(theta, rows, last)
    for l2 in path.tolist():
        moved = (l2 - last) * penalised
        curvature, slope, last = curvature + np.diag(moved), moved * theta, l2
        step = newton_step(curvature, slope)
        theta = theta - step
        if slope @ step > GAIN:
            theta, curvature = _corrected(theta, curvature, rows, l2)
        yield theta


def _corrected(theta: Array, curvature: Array, rows: Examples, l2: float) -> tuple[Array, Array]:
    """Return the optimum near ``theta``, and the curvature near there.

    Of many inputs a gradient costs a fraction of a curvature: that of before serves as long as it
    makes gains shrink fast.
    """
    before = math.inf
    while True:
        slope = gradient(theta, rows, l2)
        step = newton_step(curvature, slope)
        gain = float(slope @ step)
        if not gain <= FAST * before:
            break
        theta, before = theta - step, gain
        if gain < SMALL:
            return theta, curvature
    for point in newton_steps(theta, rows, l2):
        curvature = point.found.hessian
        step = newton_step(curvature, point.found.gradient)
        theta = point.theta - step
        if point.found.gradient @ step < SMALL:
            break
    return theta, curvature


def folds_of(table: Table, config: RunConfig) -> Iterator[Counts]:
    """Yield how many copies (n,) of each row are in each fold.

    They are blocks in time where the split goes by time, and dealt at random otherwise.
    """
    seeds = np.random.SeedSequence(config.seed).spawn(3)  # train has the others
    if isinstance(config.split, TimeSplit):
        folds = time_folds(table, config.split.column, FOLDS)
    else:
        folds = deal_folds(table, FOLDS, np.random.default_rng(seeds[2]))
    for held in folds:
        if len({*table.y[held < table.count]}) < 2:
            raise DataError(
                "train.l2=cv must have rows of both classes outside of each of its "
                f"{FOLDS} folds; got one class: choose train.l2=auto"
            )
    return (held for held in folds if held.any())


def _paired_errors(excess: Array, examples: Examples, sampling: Sampling) -> Array:
    """Return the standard error (k,) of each mean of ``excess`` (k, n) over the rows."""
    count = examples.count
    apart = excess - (excess @ count / count.sum())[:, None]
    errors = []
    for values in apart:
        sums, times = per_observation(values, count, sampling)
        m = times.sum()
        errors.append(math.sqrt(times @ sums**2 * m / max(m - 1, 1)) / count.sum())
    return np.array(errors)
