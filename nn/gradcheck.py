"""Derivatives by differences: an oracle for gradients that shares no code with them."""

from collections.abc import Callable

import numpy as np

from nn.arrays import Array

# At h = 1e-3 the truncation (h^4 f''''' / 30) and the rounding (eps f / h) of the five-point rule
# are both about 1e-12 for a loss of order 1, so a relative tolerance of 1e-8 is honest and still
# sees a gradient that is wrong by one part in a million.
STEP = 1e-3


def five_point_gradient(function: Callable[[Array], float], theta: Array, h: float = STEP) -> Array:
    """Return the gradient of ``function`` at ``theta`` by the five-point central rule.

    ``(f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12h`` for each parameter (Abramowitz and Stegun 1964,
    25.3.6).
    """
    result = np.empty_like(theta)
    for j in range(len(theta)):
        step = np.zeros_like(theta)
        step[j] = h
        near = function(theta + step) - function(theta - step)
        far = function(theta + 2 * step) - function(theta - 2 * step)
        result[j] = (8 * near - far) / (12 * h)
    return result
