"""The best neuron there is, by a method that shares nothing with descent but the derivatives."""

from typing import NamedTuple

import numpy as np

from nn.arrays import Array
from nn.neuron import Examples, hessian, loss_and_gradient

MAX_STEPS = 60
RIDGE = 1e-13  # of the curvature of a parameter alone: what a direction without any is given
ARMIJO = 1e-4
HALVINGS = 50
ROUNDING = 1e-17  # nats per row: what another step would gain is below the last bit of the cost


class Optimum(NamedTuple):
    """Where Newton's method ended. ``objective`` is in nats per row."""

    theta: Array
    objective: float
    gradient: Array
    steps: int


def newton(theta: Array, examples: Examples, l2: float = 0.0) -> Optimum:
    """The minimum of the objective, from ``theta`` or, if that is lower, from all zeros.

    Damped Newton (Nocedal and Wright 2006, algorithm 3.2): a step of the exact Hessian, halved
    until the objective falls by Armijo's rule. Directions without curvature, as one-hot inputs that
    add up to the bias, get a ridge of ``RIDGE``; the gradient has no part in them. It ends where a
    step would gain less than rounding, or gains nothing, or after ``MAX_STEPS``.

    Raises
    ------
    ShapeError
        If an array does not have the shape of the Conventions.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        value, slope = loss_and_gradient(theta, *examples, l2)
        at_zero, slope_at_zero = loss_and_gradient(np.zeros_like(theta), *examples, l2)
        if not value <= at_zero:
            theta, value, slope = np.zeros_like(theta), at_zero, slope_at_zero
        for taken in range(MAX_STEPS):
            step = _step(theta, slope, examples, l2)
            gain = float(slope @ step)
            lower = _lower(theta, step, value, gain, examples, l2)
            if gain / 2 <= ROUNDING or lower is None:
                return Optimum(theta, value, slope, taken)
            theta, value, slope = lower
    return Optimum(theta, value, slope, MAX_STEPS)


def _step(theta: Array, slope: Array, examples: Examples, l2: float) -> Array:
    """Newton's step; each parameter is measured by its own curvature, whatever its input's unit."""
    curvature = hessian(theta, examples.X, examples.weight, l2)
    place = np.diag_indices(len(theta))
    unit = np.sqrt(curvature[place])
    unit[unit == 0] = 1.0
    curvature = curvature / unit[:, None] / unit
    curvature[place] += RIDGE
    return np.asarray(np.linalg.solve(curvature, slope / unit) / unit, np.float64)


def _lower(
    theta: Array, step: Array, value: float, gain: float, examples: Examples, l2: float
) -> tuple[Array, float, Array] | None:
    """A point on the way that is lower, its objective and gradient; None where there is none."""
    share = 1.0
    for _ in range(HALVINGS):
        there = theta - share * step
        found, slope = loss_and_gradient(there, *examples, l2)
        if found < value and found <= value - ARMIJO * share * gain:
            return there, found, slope
        share /= 2
    return None
