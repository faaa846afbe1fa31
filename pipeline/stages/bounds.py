"""How far an objective can be above its infimum: upper bounds that hold whatever rounding does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nn import Examples, logits, newton, objective
from nn.arrays import Array
from nn.loss import binary_cross_entropy, loss_curvature, loss_slope
from nn.optimum import EPS, cholesky

TINY = float(np.finfo(float).tiny)
PROVEN = 1e-9  # nats per row: a bound that needs no lower one
ROUNDS = 200
IDLE = 4  # rounds that prove nothing new
NOTHING = 1e-17  # nats per row
DECIDED = 1e-12  # nats: rows of less loss are left out where that proves more
PRIME = 2**31 - 1


class Minimum(NamedTuple):
    """A low objective in nats per row, where it is reached, and a proven lower bound of all.

    ``lower`` is finite only where a minimum is proven to exist.
    """

    theta: Array
    objective: float
    lower: float

    @property
    def bound(self) -> float:
        """How far the infimum can be below ``objective``."""
        return self.objective - self.lower


def minimum(theta: Array, examples: Examples, l2: float) -> Minimum:
    """Return the end of Newton's method from the lower of ``theta`` and all zeros, and its bound.

    Where the end does not prove itself it goes on in coordinates of its own, as inputs that are
    nearly collinear need.
    """
    end = newton(theta, examples, l2).theta
    value = objective(end, examples, l2)
    bound = duality_gap(end, examples, l2) + rounding(end, examples, l2)
    found = Minimum(end, value, value - bound)
    return found if bound <= PROVEN else descend(found, end, examples, l2)


def rounding(theta: Array, examples: Examples, l2: float) -> float:
    """Return by how much rounding can change the objective at ``theta``, in nats per row."""
    X, y, count = examples
    z, share = logits(theta, X), count / count.sum()
    loss = share @ binary_cross_entropy(z, y) + l2 * (theta[:-1] @ theta[:-1])
    moved = share @ moved_by(loss_slope(z, y), blur_of(theta, X))
    return float(moved + (len(y) + len(theta)) * EPS * loss)


def moved_by(slope: Array, blur: Array) -> Array:
    """Return by how much a loss, or its slope, can change where the logit is off by ``blur``."""
    steepest = np.abs(slope) * np.exp(np.minimum(blur, 1.0))
    return blur * np.where(blur > 1, 1.0, np.minimum(steepest, 1.0))


def blur_of(theta: Array, X: Array) -> Array:
    """Return by how much rounding can change each logit (n,) (Higham 2002, section 3.1)."""
    magnitude: Array = np.abs(X) @ np.abs(theta[:-1]) + np.abs(theta[-1])
    return len(theta) * EPS * magnitude


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
    left = np.abs(l2 * theta[:-1] - (share * side * a) @ X)
    left += (len(y) + 4) * EPS * (l2 * np.abs(theta[:-1]) + (share * a) @ np.abs(X))
    balance = (len(y) + 4) * EPS * (share @ (a * (1 + np.abs(z) + blur_of(theta, X) / EPS)))
    return float(share @ divergence + left @ left / (2 * l2) + balance)


class Weighted(NamedTuple):
    """Rows that count: inputs and a one for the bias (n, d + 1), labels, shares; the penalty."""

    X: Array
    y: Array
    share: Array
    l2: Array  # (d + 1,)


class Local(NamedTuple):
    """The objective around a neuron in coordinates ``basis`` (d + 1, k), and what it proves."""

    gradient: Array
    curvature: Array
    bound: float


@np.errstate(all="ignore")
def descend(best: Minimum, theta: Array, examples: Examples, l2: float) -> Minimum:
    """Return where damped Newton ends, each step in the coordinates that the last one whitened.

    It starts at ``theta``, and keeps the lowest objective and the highest bound, ``best`` among
    them.
    """
    rows, idle, value = weighted(examples, l2), 0, np.inf
    basis = coordinates(rows)
    for _ in range(ROUNDS):
        here, before = self_concordance(theta, rows, basis), value
        value, blur = objective(theta, examples, l2), rounding(theta, examples, l2)
        lower = value - here.bound - blur
        idle = 0 if lower > best.lower or value < before - NOTHING else idle + 1
        best = _better(Minimum(theta, value, lower), best)
        if best.bound <= PROVEN or here.bound <= blur or idle == IDLE:
            break
        basis = basis @ (turn := whitener(here.curvature))
        theta = _lower(theta, basis @ (turn.T @ here.gradient), value, examples, l2)
    return best


def _better(found: Minimum, best: Minimum) -> Minimum:
    """Return the lower objective of the two, with the higher of their lower bounds."""
    theta = found.theta if found.objective < best.objective else best.theta
    return Minimum(theta, min(found.objective, best.objective), max(found.lower, best.lower))


def _lower(theta: Array, step: Array, value: float, examples: Examples, l2: float) -> Array:
    """Return the first of ``theta - step``, of half of it, … that is lower, or ``theta``."""
    for power in range(40):
        there: Array = theta - step / 2**power
        if objective(there, examples, l2) < value:
            return there
    return theta


def weighted(examples: Examples, l2: float) -> Weighted:
    """Return the rows that count."""
    X, y, count = (array[examples.count > 0] for array in examples)
    penalty = np.append(np.full(X.shape[1], l2), 0.0)
    return Weighted(np.column_stack([X, np.ones(len(X))]), y, count / count.sum(), penalty)


def self_concordance(theta: Array, rows: Weighted, basis: Array) -> Local:
    """Return gradient, curvature and the bound that they give; finite only near a minimum.

    Bach 2010 ("Self-concordant analysis for logistic regression", proposition 1): with R the
    longest row, ``J(theta + v) >= J + g'v + v'Hv h(R|v|)``, where
    ``h(r) = (exp(-r) + r - 1) / r^2`` falls. With mu the least curvature and
    ``u = |g| R / mu < 1`` the least value of the right side is
    ``-(mu / R^2) ((1 - u) log(1 - u) + u)``; and as it grows without end, J has a minimum.

    It holds in any coordinates, and is tightest where they are whitened. Rows of almost no loss
    are left out, as no loss is negative: far away, they would make R too long. Rounding is held
    against the bound, so that inputs that are collinear as far as float64 can say have none.
    """
    losses = binary_cross_entropy(rows.X @ theta, rows.y)
    X, y, share = (array[losses > DECIDED] for array in rows[:3])
    z, blur, Y = X @ theta, blur_of(theta, X[:, :-1]), X @ basis
    noise = len(theta) * EPS * np.linalg.norm(np.abs(X) @ np.abs(basis), axis=1)
    length, many = np.linalg.norm(Y, axis=1) + noise, (len(y) + len(theta)) * EPS
    penalty = rows.l2[:, None] * basis
    weight = share * loss_curvature(z) * np.exp(-blur)  # the least that it can be
    curvature = Y.T @ (weight[:, None] * Y) + basis.T @ penalty
    mu = least_curvature(curvature, many, np.sqrt(weight @ noise**2))
    slope = loss_slope(z, y)
    gradient = Y.T @ (share * slope) + penalty.T @ theta
    size = np.abs(Y).T @ (share * np.abs(slope)) + np.abs(penalty).T @ np.abs(theta)
    norm = np.linalg.norm(gradient) + many * np.linalg.norm(size)
    norm += share @ (np.abs(slope) * noise + moved_by(slope, blur) * length)
    return Local(gradient, curvature, bach_bound(norm, mu, length.max(initial=0.0)) + DECIDED)


def least_curvature(curvature: Array, many: float, noise: float) -> float:
    """Return the least that the least curvature can be (Weyl's inequality)."""
    least = max(np.linalg.eigvalsh(curvature)[0] - many * np.trace(curvature), 0.0)
    return float(max(np.sqrt(least) - noise, 0.0) ** 2)


def bach_bound(norm: float, mu: float, longest: float) -> float:
    """Return how far the objective can fall (``self_concordance``); far from a minimum infinite."""
    if not norm * longest < mu:
        return np.inf
    u = norm * longest / mu
    # (1 - u) log(1 - u) + u = u^2 / 2 + u^3 / 6 + …: of small u the terms would cancel.
    share = 0.5 + u / 6 + u * u / 6 if u < 1e-4 else ((1 - u) * np.log1p(-u) + u) / u**2
    return float(norm**2 / mu * share)


def whitener(curvature: Array) -> Array:
    """Return coordinates (k, k) in which the curvature is that of a ball, as far as it is known."""
    half, unit = cholesky(curvature)
    turn: Array = np.linalg.inv(half).T / unit[:, None]
    return turn


def coordinates(rows: Weighted) -> Array:
    """Return the axes (d + 1, k) of theta, without those that add nothing to the others' logits."""
    axes = np.eye(rows.X.shape[1])
    return axes if rows.l2.any() else axes[:, independent(rows.X)]


def independent(X: Array) -> list[int]:
    """Return the first columns of ``X`` (n, d) of which all others are sums, the last one first.

    Gaussian elimination over the integers modulo a prime, of which every float64 is one: there is
    no tolerance. A multiple of the prime among the pivots, one in 2e9, would drop a column.
    """
    mantissa, exponent = np.frexp(X[:, ::-1])
    powers, place = np.unique(exponent, return_inverse=True)
    power = np.array([pow(2, int(e) % (PRIME - 1), PRIME) for e in powers])[place]
    left = (mantissa * 2**53).astype(np.int64) % PRIME * power.reshape(X.shape) % PRIME
    found = []
    for j in range(X.shape[1]):
        if not (nonzero := np.flatnonzero(left[:, j])).size:
            continue
        pivot = left[nonzero[0]] * pow(int(left[nonzero[0], j]), -1, PRIME) % PRIME
        left = np.delete(left, nonzero[0], axis=0)
        left = (left - left[:, j, None] * pivot) % PRIME
        found.append(X.shape[1] - 1 - j)
    return found
