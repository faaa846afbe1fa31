"""The best neuron there is, by Newton's method, and how far from it a neuron can be.

The bounds follow from the neuron's own gradient and curvature, and share nothing with the method.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from nn.arrays import Array
from nn.loss import loss_slope
from nn.neuron import BLOCK, Examples, Pass, examine, logits, objective

EPS = float(np.finfo(float).eps)
TINY = float(np.finfo(float).tiny)
LOG_2 = float(np.log(2))  # the objective of all zeros, whatever the rows
MAX_STEPS = 200
RIDGE = 1e-13  # of the curvature of a parameter alone: what a direction without any is given
ARMIJO = 1e-4
FAST = 0.01  # where gains shrink by so much in a step, the last Hessian serves for another
ROUNDING = 1e-17  # nats per row: less than that, or half of the last bit, is no gain
PART = 16  # of many rows a sixteenth is solved first: its optimum is a step or two from theirs


class Optimum(NamedTuple):
    """Where Newton's method ended. ``objective`` is in nats per row."""

    theta: Array
    objective: float
    gradient: Array
    steps: int


class Point(NamedTuple):
    """A neuron on the way to the optimum, and what a pass over the rows finds of it.

    The Hessian may be that of the point before. ``gain`` is twice what the step promised to gain.
    """

    theta: Array
    found: Pass
    gain: float = 0.0


def newton(theta: Array, examples: Examples, l2: float = 0.0) -> Optimum:
    """Return the minimum of the objective, which is never above that of ``theta``.

    Raises
    ------
    ShapeError
        If an array does not have the shape of the Conventions.
    numpy.linalg.LinAlgError
        If the curvature overflows.
    """
    steps = _descend(_start(theta, examples, l2), examples, l2)
    *before, (best, found, _) = islice(steps, MAX_STEPS + 1)
    return Optimum(best, found.objective, found.gradient, len(before))


def newton_steps(theta: Array, examples: Examples, l2: float = 0.0) -> Iterator[Point]:
    """Yield ``theta`` and then each step of damped Newton towards the minimum of the objective.

    Nocedal and Wright 2006, algorithm 3.2: a step of the exact Hessian, halved until the objective
    falls by Armijo's rule. Where steps converge fast the last Hessian serves for another one. It
    ends where a step would gain less than rounding.
    """
    return _descend(_point(theta, examples, l2), examples, l2)


def _start(theta: Array, examples: Examples, l2: float) -> Point:
    """Return the lowest of all zeros, ``theta`` and, of many rows, the optimum of a part of them.

    From afar the probabilities are 0 or 1, where there is no curvature to go by.
    """
    start, lowest = np.zeros_like(theta), LOG_2
    if theta.any() and (value := objective(theta, examples, l2)) <= lowest:  # NaN is not
        start, lowest = theta, value
    part = Examples(*(array[::PART] for array in examples))
    if len(part.y) > BLOCK and part.count.any():
        near = _point(newton(start, part, l2).theta, examples, l2)
        if near.found.objective <= lowest:
            return near
    return _point(start, examples, l2)


def _point(theta: Array, examples: Examples, l2: float) -> Point:
    return Point(theta, examine(theta, examples, l2, curvature=True))


def _descend(start: Point, examples: Examples, l2: float) -> Iterator[Point]:
    point: Point | None = start
    while point is not None:
        yield point
        point = _lower(point, examples, l2)


@np.errstate(all="ignore")
def _lower(point: Point, examples: Examples, l2: float) -> Point | None:
    """Return a lower point along Newton's step; None where there is none."""
    here = point.found
    step = _step(here)
    gain = float(here.gradient @ step)
    if not np.isfinite(gain):
        raise np.linalg.LinAlgError("gain of a step must be finite; got an overflow")
    rounding, share = max(ROUNDING, EPS / 2 * here.objective), 1.0
    while share * gain / 2 > rounding:
        theta = point.theta - share * step
        found = examine(theta, examples, l2, curvature=gain > FAST * point.gain)
        if found.objective < min(here.objective, here.objective - ARMIJO * share * gain):
            kept = found.hessian if found.hessian.size else here.hessian
            return Point(theta, found._replace(hessian=kept), gain)
        share /= 2
    return None


def _step(here: Pass) -> Array:
    """Return Newton's step; each parameter is measured by its own curvature, whatever its unit.

    A direction without curvature, as that of one-hot inputs that add up to the bias, gets a ridge;
    the gradient has no part in it.
    """
    unit = np.sqrt(here.hessian.diagonal())
    unit[unit == 0] = 1.0
    curvature = here.hessian / unit[:, None] / unit
    ridge = RIDGE
    while ridge < 1 and np.isfinite(curvature).all():
        curvature[np.diag_indices(len(unit))] += ridge
        try:
            half = np.linalg.cholesky(curvature)
        except np.linalg.LinAlgError:  # rounding left less than no curvature
            ridge *= 10
            continue
        step: Array = np.linalg.solve(half.T, np.linalg.solve(half, here.gradient / unit)) / unit
        return step
    raise np.linalg.LinAlgError("curvature must be finite; got an overflow")


def gap_bound(theta: Array, examples: Examples, l2: float = 0.0) -> float:
    """Return an upper bound, in nats per row, of the objective at ``theta`` less its infimum.

    The least of three: the objective itself, as no loss is negative; ``duality_gap``; and
    ``self_concordance``. A few rounding errors of the objective are added.
    """
    value = objective(theta, examples, l2)
    bounds = duality_gap(theta, examples, l2), self_concordance(theta, examples, l2)[0]
    return min(value, *bounds) + 8 * EPS * max(value, 1.0)


def duality_gap(theta: Array, examples: Examples, l2: float) -> float:
    """Return the objective less a value of its dual, in nats per row; infinite without a penalty.

    With ``c`` the shares of the rows and ``s`` 1 for class 1, -1 for class 0, the dual is the
    largest ``sum c entropy(a) - |sum c s a x|^2 / (2 l2)`` over ``0 <= a <= 1`` with
    ``sum c s a = 0`` (Yu, Huang and Lin 2011, eq. 8). ``a = |p - y|`` attains it at the optimum;
    elsewhere the class that has more of it is scaled down so that they balance. The gap is then
    ``sum c KL(a, |p - y|) + |l2 w - sum c s a x|^2 / (2 l2)``, in which nothing cancels.
    """
    X, y, count = examples
    if l2 <= 0:
        return np.inf
    z, side, share = logits(theta, X), 2 * y - 1, count / count.sum()
    error = np.abs(loss_slope(z, y))
    negative, positive = (share * error) @ (1 - y), (share * error) @ y
    scale = min(negative, positive) / np.maximum(np.where(y == 1, positive, negative), TINY)
    a, log_scale = scale * error, np.log(np.maximum(scale, TINY))
    log_rest = np.log(np.maximum(1 - scale, TINY))
    divergence = a * log_scale + (1 - a) * np.logaddexp(0.0, log_rest - side * z)
    left = l2 * theta[:-1] - (share * side * a) @ X
    return float(share @ divergence + left @ left / (2 * l2))


def self_concordance(theta: Array, examples: Examples, l2: float) -> tuple[float, bool]:
    """Return the bound that curvature gives near the minimum, and whether it proves there is one.

    Bach 2010 ("Self-concordant analysis for logistic regression", proposition 1): with R the
    longest row of inputs and a one for the bias, ``J(theta + v) >= J + g'v + v'Hv h(R|v|)``, where
    ``h(r) = (exp(-r) + r - 1) / r^2`` falls. In the norm of H, ``s^2 = v'Hv``, it is
    ``R|v| <= R s / sqrt(mu)`` with mu the least curvature, and ``g'v >= -nu s`` with Newton's
    decrement ``nu^2 = g' H^-1 g``. The least value of the right side over s, where
    ``u = nu R / sqrt(mu) < 1``, is ``-(mu / R^2) ((1 - u) log(1 - u) + u)``; and as it grows
    without end, J has a minimum. Otherwise the bound is infinite. Directions that change no logit,
    such as one-hot inputs that add up to the bias, are left out.
    """
    X, _, count = examples
    found = examine(theta, examples, l2, curvature=True)
    # In units in which the largest value of each input is 1: else small inputs would look flat.
    unit = np.append(np.max(np.abs(X), axis=0, initial=0.0), 1.0)
    unit[unit == 0] = 1.0
    inputs = X / unit[:-1]
    curvature, axes = np.linalg.eigh(found.hessian / unit[:, None] / unit)
    along = axes.T @ (found.gradient / unit)
    used = curvature > len(theta) * EPS * curvature[-1]
    if used.sum() < _rank(inputs, count, l2) or not used.any():
        return np.inf, False
    mu = float(curvature[used].min())
    decrement = float(np.sqrt(np.sum(along[used] ** 2 / curvature[used])))
    u = decrement * np.sqrt((1 + np.max(np.sum(inputs**2, axis=1))) / mu)
    if u >= 1:
        return np.inf, False
    # (1 - u) log(1 - u) + u = u^2 / 2 + u^3 / 6 + …: of small u the terms would cancel.
    share = 0.5 + u / 6 + u * u / 6 if u < 1e-4 else ((1 - u) * np.log1p(-u) + u) / u**2
    return float(decrement**2 * share), True


def _rank(X: Array, count: Array, l2: float) -> int:
    """Return how many directions of theta change the objective."""
    if l2 > 0:
        return int(X.shape[1]) + 1
    with_bias = np.column_stack([X, np.ones(len(X))])[count > 0]
    return int(np.linalg.matrix_rank(with_bias.T @ with_bias, hermitian=True))
