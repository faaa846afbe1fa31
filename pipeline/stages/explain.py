"""A neuron becomes an answer to the article's question: which attributes matter, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.polynomial import chebyshev

from nn import Examples, hessian, logits, mean_loss
from nn.arrays import Array
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.intervals import Z
from pipeline.stages.one_thread import on_one_thread

NODES = 14  # points for each unit of log-odds, see quadrature
FLAT = 40.0  # log-odds


@dataclass(frozen=True)
class Effect:
    """What one input does to the log-odds of class 1, against the mean of its attribute.

    ``log_odds`` is identified: weights centred over the categories of the attribute, so it depends
    neither on the random start nor on the bias. ``low`` and ``high`` bound it at 95 %.
    ``odds_ratio`` is its exponential. ``standard_error`` is None where the data do not bound it.
    """

    attribute: str
    label: str
    log_odds: float
    standard_error: float | None
    odds_ratio: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Importance:
    """How much the loss (nats per row) rises when the attribute is taken away."""

    attribute: str
    loss_rise: float


@dataclass(frozen=True)
class Effects:
    """``effects`` in the order of the inputs; ``ranking`` from the most important attribute.

    ``intercept`` is the log-odds where every effect is 0; intercept plus effects is the logit.
    """

    effects: tuple[Effect, ...]
    ranking: tuple[Importance, ...]
    intercept: float

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the effects that were written as plain values."""
        effects = tuple(Effect(**effect) for effect in tree["effects"])
        return cls(effects, tuple(Importance(**i) for i in tree["ranking"]), tree["intercept"])


@on_one_thread
def explain(theta: Array, encoder: Encoder, train: Examples, test: Examples, l2: float) -> Effects:
    """Return what each attribute does to the odds, and how much the loss rises without it.

    Effects and their standard errors come from the training rows, the ranking from ``test``.
    """
    centre = centring(encoder)
    centred = centre @ theta
    errors = standard_errors(centre, hessian(theta, train, l2), train.count.sum())
    places = [(b.name, label) for b in encoder.blocks for label in b.labels]
    effects = tuple(
        _effect(name, label, float(b), error)
        for (name, label), b, error in zip(places, centred[:-1], errors, strict=False)
    )
    return Effects(effects, importance(theta, encoder, test), float(centred[-1]))


def centring(encoder: Encoder) -> Array:
    """Return the matrix (d + 1, d + 1) that moves the mean weight of each attribute into the bias.

    One-hot inputs of an attribute add up to 1, as does the bias, so only contrasts between weights
    are identified: the mean of an attribute's weights is whatever the random start left there.
    Centred weights sum to zero over the categories; every logit stays as it was.
    """
    d = len(encoder.inputs)
    result = np.eye(d + 1)
    for block, columns in zip(encoder.blocks, encoder.slices(), strict=True):
        if isinstance(block, OneHot):
            share = 1 / len(block.categories)
            result[columns, columns] -= share
            result[-1, columns] = share
    return result


def standard_errors(contrasts: Array, curvature: Array, n_rows: float) -> list[float | None]:
    """Return the standard error of each contrast (rows), None where the data do not bound it.

    ``c' (n H)^-1 c`` with H the second derivative of the objective: the inverse Fisher information,
    and with a penalty the Laplace approximation of the posterior (MacKay 1992). H is singular along
    the directions that are not identified; a contrast that reaches into them has no bound, nor has
    that of an attribute with one category, which is 0.
    """
    values, vectors = np.linalg.eigh(curvature)
    known = values > 1e-10 * values[-1]
    along = contrasts @ vectors
    size, unknown = np.linalg.norm(along, axis=1), np.linalg.norm(along[:, ~known], axis=1)
    errors = np.sqrt((along[:, known] ** 2 / values[known]).sum(axis=1) / n_rows)
    bounded = unknown < 1e-6 * size
    return [float(error) if b else None for error, b in zip(errors, bounded, strict=True)]


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
    floors, n = np.unique(np.floor(values), return_counts=True)
    crowded = n > NODES
    many = np.repeat(crowded, n)
    if not many.any():
        return values, share
    floors, starts = floors[crowded], np.cumsum(np.append(0, n[crowded][:-1]))
    nodes = chebyshev.chebpts1(NODES)
    T = chebyshev.chebvander(2 * (values[many] - np.floor(values[many])) - 1, NODES - 1).T
    means = np.add.reduceat(T * share[many], starts, axis=1)  # of each polynomial, in each panel
    means[1:] *= 2
    points = floors[:, None] + (1 + nodes) / 2
    shares = (chebyshev.chebvander(nodes, NODES - 1) @ means / NODES).T
    return np.append(values[~many], points), np.append(share[~many], shares)


def mean_softplus(u: Array, u_share: Array, v: Array, v_share: Array) -> float:
    """Return the mean of ``log(1 + exp(u + v))`` in nats, u and v drawn independently.

    Beyond FLAT it is a line or nothing, to 4e-18: sums that are known for all v at once.
    """
    order = np.argsort(u)
    u, share = u[order], u_share[order]
    above, sum_above = (np.append(np.cumsum(a[::-1])[::-1], 0.0) for a in (share, share * u))
    low, high = np.searchsorted(u, -FLAT - v), np.searchsorted(u, FLAT - v)
    curved = [
        share[i:j] @ np.logaddexp(0.0, u[i:j] + value)
        for i, j, value in zip(low, high, v, strict=True)
    ]
    return float(v_share @ (curved + sum_above[high] + v * above[high]))


def _effect(attribute: str, label: str, log_odds: float, error: float | None) -> Effect:
    low, high = (None, None) if error is None else (log_odds - Z * error, log_odds + Z * error)
    ratio = float(np.exp(np.clip(log_odds, -700, 700)))  # exp(710) overflows
    return Effect(attribute, label, log_odds, error, ratio, low, high)
