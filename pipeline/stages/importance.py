"""How much worse a neuron predicts when an attribute is taken away: which attributes matter."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from nn import Examples, logits, mean_loss
from nn.arrays import Array
from pipeline.stages.encode import Encoder

NODES = 14  # points for each unit of log-odds, see quadrature
FLAT = 40.0  # log-odds


@dataclass(frozen=True)
class Importance:
    """How much the loss (nats per row) rises when the attribute is taken away."""

    attribute: str
    loss_rise: float


def importance(theta: Array, encoder: Encoder, test: Examples) -> tuple[Importance, ...]:
    """Return attributes by how much the loss on ``test`` rises without them, highest first.

    Without means: every row gets the attribute's value of every row in turn, and the loss is
    averaged. That is permutation importance (Breiman 2001) in expectation, model reliance in
    Fisher, Rudin and Dominici 2019 (eq. 3.3): exact, with no random permutation in it.
    """
    X, y, count = test
    z, share = logits(theta, X), count / count.sum()
    loss = mean_loss(z, y, count)
    found = []
    for block, columns in zip(encoder.blocks, encoder.slices(), strict=True):
        own = X[:, columns] @ theta[columns]
        v, v_share = quadrature(own, share)
        without = 0.0
        for label, sign in ((0.0, 1.0), (1.0, -1.0)):
            rows = y == label
            u, u_share = quadrature(sign * (z - own)[rows], share[rows])
            without += mean_softplus(u, u_share, sign * v, v_share)
        found.append(Importance(block.name, without - loss))
    return tuple(sorted(found, key=lambda i: -i.loss_rise))


def quadrature(values: Array, share: Array) -> tuple[Array, Array]:
    """Return points and their shares under which the mean loss is that under ``values``, to 1e-12.

    Values between two whole numbers, if they are more than NODES, give way to the Chebyshev points
    there, with the shares under which polynomials have the same means. The singularities of
    ``log(1 + exp(u + v))`` are pi or more away from every v, so that a polynomial of degree
    NODES - 1 misses it by less than 1e-13 (Trefethen 2013, theorem 8.2, with rho = 11).
    """
    order = np.argsort(values)
    values, share = values[order], share[order]
    floor = np.floor(values)
    begin = np.flatnonzero(np.append(True, floor[1:] != floor[:-1]))
    n = np.diff(np.append(begin, len(values)))
    crowded = n > NODES
    many = np.repeat(crowded, n)
    if not many.any():
        return values, share
    floors, starts = floor[begin[crowded]], np.cumsum(np.append(0, n[crowded][:-1]))
    T = _polynomials(2 * (values[many] - floor[many]) - 1, NODES)
    means = np.add.reduceat(T * share[many], starts, axis=1)  # of each polynomial, in each panel
    means[1:] *= 2
    nodes, at_nodes = _nodes(NODES)
    points = floors[:, None] + (1 + nodes) / 2
    shares = (at_nodes @ means / NODES).T
    return np.append(values[~many], points), np.append(share[~many], shares)


@functools.cache
def _nodes(n: int) -> tuple[Array, Array]:
    """Return the ``n`` Chebyshev points, and the polynomials (points, n) at them."""
    points = chebyshev.chebpts1(n)
    return points, _polynomials(points, n).T


def _polynomials(x: Array, n: int) -> Array:
    """Return the first ``n`` Chebyshev polynomials (n, …) of ``x``."""
    T = np.empty((n, len(x)))
    T[0], T[1], twice = 1.0, x, 2 * x
    for i in range(2, n):
        np.multiply(T[i - 1], twice, out=T[i])
        T[i] -= T[i - 2]
    return T


def mean_softplus(u: Array, u_share: Array, v: Array, v_share: Array) -> float:
    """Return the mean of ``log(1 + exp(u + v))`` in nats, u and v drawn independently.

    Beyond FLAT it is a line or nothing, to 4e-18: sums that are known for all v at once.
    """
    order = np.argsort(u)
    u, share = u[order], u_share[order]
    above, sum_above = (np.append(np.cumsum(a[::-1])[::-1], 0.0) for a in (share, share * u))
    low, high = np.searchsorted(u, -FLAT - v), np.searchsorted(u, FLAT - v)
    curved = list[float]()
    for k in range(0, len(v), NODES):  # most are points of a panel
        i, j = low[k : k + NODES], high[k : k + NODES]
        first, last = i.min(), j.max()
        softplus = np.logaddexp(0.0, u[first:last] + v[k : k + NODES, None])
        ends = zip(softplus, i, j, strict=True)
        curved += [share[a:b] @ row[a - first : b - first] for row, a, b in ends]
    return float(v_share @ (curved + sum_above[high] + v * above[high]))
