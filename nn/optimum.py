"""The best neuron there is, by Newton's method."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from nn.arrays import Array
from nn.blocks import Blocks
from nn.neuron import BLOCK, Examples, Pass, examine, objective

EPS = float(np.finfo(float).eps)
LOG_2 = float(np.log(2))  # the objective of all zeros, whatever the rows
MAX_STEPS = 200
RIDGE = 1e-13  # of the curvature of a parameter alone: what a direction without any is given
ARMIJO = 1e-4
FAST = 0.01  # where gains shrink by so much in a step, the last Hessian serves for another
ROUNDING = 1e-17  # nats per row: less than that, or half of the last bit, is no gain
GRID = 10  # bits after the point to which an end is rounded, of inputs whose mean square is 1
WORSE = 1e-12  # of the objective: more is another minimum, or none
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


def newton(theta: Array, examples: Examples | Blocks, l2: float = 0.0) -> Optimum:
    """Return the minimum of the objective, which is never above that of ``theta``.

    Raises
    ------
    ShapeError
        If an array does not have the shape of the Conventions.
    numpy.linalg.LinAlgError
        If the curvature overflows.
    """
    steps = newton_steps(_start(theta, examples, l2), examples, l2)
    *before, (best, found, _) = islice(steps, MAX_STEPS + 1)
    return Optimum(best, found.objective, found.gradient, len(before))


def newton_steps(theta: Array, examples: Examples | Blocks, l2: float = 0.0) -> Iterator[Point]:
    """Yield ``theta`` and then each step of damped Newton towards the minimum of the objective.

    Nocedal and Wright 2006, algorithm 3.2: a step of the exact Hessian, halved until the objective
    falls by Armijo's rule. Where steps converge fast the last Hessian serves for another one. It
    ends where a step would gain less than rounding.
    """
    point: Point | None = Point(theta, examine(theta, examples, l2, curvature=True))
    while point is not None:
        yield point
        point = _lower(point, examples, l2)


@np.errstate(all="ignore")
def settle(end: Point, examples: Examples, l2: float) -> Point:
    """Return the minimum at ``end`` in bits that do not depend on where the steps had begun.

    Ends of several starts are 1e-8 from each other. Rounded to a grid they are the same point, and
    the last steps begin anew from there. (Not where the middle between two points of the grid is
    between them: of 40,000 pairs of ends none.) ``end`` is returned where that leads elsewhere.
    """
    X, _, count = examples
    mean_square = np.einsum("i,ij,ij->j", count / count.sum(), X, X)
    size = np.frexp(np.append(np.sqrt(mean_square), 0.5))[1]
    near = end.theta - newton_step(end.found.hessian, end.found.gradient)
    rounded = np.ldexp(np.round(np.ldexp(near, GRID + size)), -GRID - size)
    *_, point = newton_steps(rounded, examples, l2)
    is_same = point.found.objective <= end.found.objective * (1 + WORSE)
    return point if is_same else end


def _start(theta: Array, examples: Examples | Blocks, l2: float) -> Array:
    """Return the lowest of all zeros, ``theta`` and, of many rows, the optimum of a part of them.

    From afar the probabilities are 0 or 1, where there is no curvature to go by.
    """
    start, lowest = np.zeros_like(theta), LOG_2
    if theta.any() and (value := objective(theta, examples, l2)) <= lowest:  # NaN is not
        start, lowest = theta, value
    if not isinstance(examples, Examples):
        return start
    part = Examples(*(array[::PART] for array in examples))
    if len(part.y) > BLOCK and part.count.any():
        near = newton(start, part, l2).theta
        start = near if objective(near, examples, l2) <= lowest else start
    return start


@np.errstate(all="ignore")
def _lower(point: Point, examples: Examples | Blocks, l2: float) -> Point | None:
    """Return a lower point along Newton's step; None where there is none."""
    here = point.found
    step = newton_step(here.hessian, here.gradient)
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


def newton_step(hessian: Array, gradient: Array) -> Array:
    """Return Newton's step (k,), which is to be subtracted."""
    half, unit = cholesky(hessian)
    step: Array = np.linalg.solve(half.T, np.linalg.solve(half, gradient / unit)) / unit
    return step


def cholesky(curvature: Array) -> tuple[Array, Array]:
    """Return L (k, k) and units u (k,) with ``L L' = curvature / (u u')``, whose diagonal is 1.

    Each parameter is measured by its own curvature, whatever its unit. A direction without any, as
    that of one-hot inputs that add up to the bias, gets a ridge; the gradient has no part in it.
    """
    unit = np.sqrt(curvature.diagonal())
    unit[unit == 0] = 1.0
    scaled, ridge = curvature / unit[:, None] / unit, RIDGE
    while ridge < 1 and np.isfinite(scaled).all():
        scaled[np.diag_indices(len(unit))] += ridge
        try:
            return np.asarray(np.linalg.cholesky(scaled), np.float64), unit
        except np.linalg.LinAlgError:  # rounding left less than no curvature
            ridge *= 10
    raise np.linalg.LinAlgError("curvature must be finite; got an overflow")
