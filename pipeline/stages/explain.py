"""A neuron becomes an answer to the article's question: which attributes matter, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nn import Examples, hessian
from nn.arrays import Array
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.importance import Importance, importance
from pipeline.stages.intervals import Z
from pipeline.stages.one_thread import on_one_thread


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


def _effect(attribute: str, label: str, log_odds: float, error: float | None) -> Effect:
    low, high = (None, None) if error is None else (log_odds - Z * error, log_odds + Z * error)
    ratio = float(np.exp(np.clip(log_odds, -700, 700)))  # exp(710) overflows
    return Effect(attribute, label, log_odds, error, ratio, low, high)
