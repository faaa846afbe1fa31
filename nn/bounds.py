"""How far a neuron can be from the best one, at the most: from its gradient alone."""

import numpy as np

from nn.arrays import Array
from nn.loss import sigmoid
from nn.neuron import Examples, average, hessian, logits, loss_and_gradient

EPS = float(np.finfo(float).eps)


def gap_bound(theta: Array, examples: Examples, l2: float = 0.0) -> float:
    """An upper bound, in nats per row, of the objective at ``theta`` less its infimum.

    The least of three: the objective itself, as no cost is negative; ``strong_convexity``; and
    ``self_concordance``. A few rounding errors of the objective are added.
    """
    value, _ = loss_and_gradient(theta, *examples, l2)
    bounds = [
        value,
        strong_convexity(theta, examples, l2),
        self_concordance(theta, examples, l2)[0],
    ]
    return min(bounds) + 8 * EPS * max(value, 1.0)


def strong_convexity(theta: Array, examples: Examples, l2: float) -> float:
    """The bound that the penalty gives; infinite without one, or with rows of one class.

    Without the bias, which is not penalised, ``phi(w) = min_b J(w, b)`` is strongly convex with
    modulus ``l2``, so ``phi(w) - min phi <= |grad phi(w)|^2 / (2 l2)`` (Boyd and Vandenberghe 2004,
    9.9), and by the envelope theorem ``grad phi(w)`` is the gradient of J in w at the best bias b*.
    To that comes ``J(w, b) - J(w, b*)``. It equals the duality gap at the dual point ``p - y``.

    The best bias is known to within ``width``; the gradient in w moves by no more than
    ``width * max|x| / 4`` on it, which is added to its norm.
    """
    X, y, weight = examples
    counted = weight > 0
    if l2 <= 0 or len(np.unique(y[counted])) < 2:
        return np.inf
    bias, width = _best_bias(logits(theta, X) - theta[-1], y, weight, float(theta[-1]))
    best = np.append(theta[:-1], bias)
    here, _ = loss_and_gradient(theta, *examples, l2)
    there, slope = loss_and_gradient(best, *examples, l2)
    norm = np.linalg.norm(slope[:-1]) + width * _longest(X) / 4
    return float(max(here - there, 0.0) + abs(slope[-1]) * width + norm**2 / (2 * l2))


def self_concordance(theta: Array, examples: Examples, l2: float) -> tuple[float, bool]:
    """The bound that curvature gives near the minimum, and whether it proves that there is one.

    Bach 2010 ("Self-concordant analysis for logistic regression", proposition 1): with R the
    longest row of inputs and a one for the bias, ``J(theta + v) >= J + g'v + v'Hv h(R|v|)``, where
    ``h(r) = (exp(-r) + r - 1) / r^2`` falls. In the norm of H, ``s^2 = v'Hv``, it is
    ``R|v| <= R s / sqrt(mu)`` with mu the least curvature, and ``g'v >= -nu s`` with Newton's
    decrement ``nu^2 = g' H^-1 g``. The least value of the right side over s, where
    ``u = nu R / sqrt(mu) < 1``, is ``-(mu / R^2) ((1 - u) log(1 - u) + u)``; and as it grows
    without end, J has a minimum. Otherwise the bound is infinite.

    Directions that change no logit, such as one-hot inputs that add up to the bias, change nothing.
    """
    X, _, weight = examples
    _, slope = loss_and_gradient(theta, *examples, l2)
    # In units in which the largest value of each input is 1: else small inputs would look flat.
    unit = np.append(np.max(np.abs(X), axis=0, initial=0.0), 1.0)
    unit[unit == 0] = 1.0
    inputs = X / unit[:-1]
    curvature, axes = np.linalg.eigh(hessian(theta, X, weight, l2) / unit[:, None] / unit)
    along = axes.T @ (slope / unit)
    used = curvature > len(theta) * EPS * curvature[-1]
    if used.sum() < _rank(inputs, weight, l2) or not used.any():
        return np.inf, False
    mu = float(curvature[used].min())
    decrement = float(np.sqrt(np.sum(along[used] ** 2 / curvature[used])))
    u = decrement * np.hypot(_longest(inputs), 1.0) / np.sqrt(mu)
    if u >= 1:
        return np.inf, False
    # (1 - u) log(1 - u) + u = u^2 / 2 + u^3 / 6 + …: of small u the terms would cancel.
    share = 0.5 + u / 6 + u * u / 6 if u < 1e-4 else ((1 - u) * np.log1p(-u) + u) / u**2
    return float(decrement**2 * share), True


def _rank(X: Array, weight: Array, l2: float) -> int:
    """How many directions of theta change the objective."""
    if l2 > 0:
        return int(X.shape[1]) + 1
    with_bias = np.column_stack([X, np.ones(len(X))])[weight > 0]
    return int(np.linalg.matrix_rank(with_bias.T @ with_bias, hermitian=True))


def _longest(X: Array) -> float:
    return float(np.sqrt(np.max(np.sum(X * X, axis=1), initial=0.0)))


def _best_bias(z: Array, y: Array, weight: Array, start: float) -> tuple[float, float]:
    """The bias at which the mean probability is the share of class 1, and how far it may be off.

    ``z`` are the logits without a bias. Newton's method, kept inside a bracket; at the end the
    bracket is closed by the sign of the derivative on both sides.
    """

    def slope(bias: float) -> float:
        return average(sigmoid(z + bias) - y, weight)

    share = average(y, weight)
    centre = float(np.log(share) - np.log1p(-share))
    low, high = centre - float(z.max()) - 1, centre - float(z.min()) + 1
    bias = min(max(start, low), high)
    for _ in range(200):
        p = sigmoid(z + bias)
        error, curvature = average(p - y, weight), average(p * (1 - p), weight)
        low, high = (low, bias) if error > 0 else (bias, high)
        step = bias - error / curvature if curvature > 0 else np.inf
        step = step if low < step < high else (low + high) / 2
        if abs(step - bias) <= 4 * EPS * (1 + abs(bias)):
            break
        bias = step
    width = 16 * EPS * (1 + abs(bias))
    while width < high - low and not slope(bias - width) <= 0 <= slope(bias + width):
        width *= 4
    return bias, width
