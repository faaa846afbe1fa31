"""A neuron becomes an answer to the article's question: which attributes matter, and how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn import Examples, hessian, logits, mean_loss
from nn.arrays import Array
from pipeline.intervals import Z
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.one_thread import on_one_thread

# Above so many distinct values an attribute is represented by as many of its quantiles.
MAX_REFERENCES = 256


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
    """How much the cost (nats per row) rises when the attribute is taken away."""

    attribute: str
    cost_rise: float


@dataclass(frozen=True)
class Effects:
    """``effects`` in the order of the inputs; ``ranking`` from the most important attribute.

    ``intercept`` is the log-odds where every effect is 0; intercept plus effects is the logit.
    """

    effects: tuple[Effect, ...]
    ranking: tuple[Importance, ...]
    intercept: float


@on_one_thread
def explain(theta: Array, encoder: Encoder, train: Examples, test: Examples, l2: float) -> Effects:
    """What each attribute does to the odds, and how much the cost rises without it.

    Effects and their standard errors come from the training rows, the ranking from ``test``.
    """
    centre = centring(encoder)
    centred = centre @ theta
    errors = standard_errors(centre, hessian(theta, train.X, train.weight, l2), train.weight.sum())
    places = [(b.name, label) for b in encoder.blocks for label in b.labels]
    effects = tuple(
        _effect(name, label, float(b), error)
        for (name, label), b, error in zip(places, centred[:-1], errors, strict=False)
    )
    return Effects(effects, importance(theta, encoder, test), float(centred[-1]))


def centring(encoder: Encoder) -> Array:
    """The matrix (d + 1, d + 1) that moves the mean weight of each attribute into the bias.

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
    """Standard error of each contrast (rows), None where the data do not bound it.

    ``c' (n H)^-1 c`` with H the second derivative of the objective: the inverse Fisher information,
    and with a penalty the Laplace approximation of the posterior (MacKay 1992). H is singular along
    the directions that are not identified; a contrast that reaches into them has no bound.
    """
    values, vectors = np.linalg.eigh(curvature)
    known = values > 1e-10 * values[-1]
    along = contrasts @ vectors
    reach = np.linalg.norm(along[:, ~known], axis=1)
    # Never where the length is 0: a category that is the only one has no contrast.
    bounded = reach < 1e-6 * np.linalg.norm(contrasts, axis=1)
    variance = (along[:, known] ** 2 / values[known]).sum(axis=1) / n_rows
    return [float(np.sqrt(v)) if b else None for v, b in zip(variance, bounded, strict=True)]


def importance(theta: Array, encoder: Encoder, test: Examples) -> tuple[Importance, ...]:
    """Attributes by how much the cost on ``test`` rises when they are taken away, highest first.

    Taken away means: every row gets the attribute's value of every other row in turn, and the cost
    is averaged. That is permutation importance (Breiman 2001) in expectation, model reliance in
    Fisher, Rudin and Dominici 2019 (eq. 3.3): exact, with no random permutation in it.
    """
    z = logits(theta, test.X)
    cost = mean_loss(z, test.y, test.weight)
    found = []
    for block, columns in zip(encoder.blocks, encoder.slices(), strict=True):
        own = test.X[:, columns] @ theta[:-1][columns]
        values, shares = _references(own, test.weight)
        without = sum(
            share * mean_loss(z - own + value, test.y, test.weight)
            for value, share in zip(values, shares, strict=True)
        )
        found.append(Importance(block.name, float(without - cost)))
    return tuple(sorted(found, key=lambda i: -i.cost_rise))


def _references(values: Array, weight: Array) -> tuple[Array, Array]:
    """The distinct values with their shares of rows, or MAX_REFERENCES quantiles of them."""
    distinct, place = np.unique(values, return_inverse=True)
    shares = np.bincount(place, weight) / weight.sum()
    if len(distinct) <= MAX_REFERENCES:
        return distinct, shares
    middles = (np.arange(MAX_REFERENCES) + 0.5) / MAX_REFERENCES
    places = np.minimum(np.searchsorted(np.cumsum(shares), middles), len(distinct) - 1)
    return distinct[places], np.full(MAX_REFERENCES, 1 / MAX_REFERENCES)


def _effect(attribute: str, label: str, log_odds: float, error: float | None) -> Effect:
    low, high = (None, None) if error is None else (log_odds - Z * error, log_odds + Z * error)
    ratio = float(np.exp(np.clip(log_odds, -700, 700)))  # exp(710) overflows
    return Effect(attribute, label, log_odds, error, ratio, low, high)
