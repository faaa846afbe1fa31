"""What numbers do to the log-odds where that is no straight line: curves, and steps of bins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nn.arrays import Array
from pipeline.stages.encode import Encoder


@dataclass(frozen=True)
class Curve:
    """What the numbers ``x`` (m,) of an attribute do to the log-odds, against its mean effect.

    ``log_odds`` is the estimate, ``low`` and ``high`` bound it at 95 % point by point; they are
    empty where train does not say. ``weight`` is what the trained neuron uses.
    """

    attribute: str
    x: tuple[float, ...]
    weight: tuple[float, ...] = ()
    log_odds: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def blank_curves(encoder: Encoder, X: Array) -> tuple[Curve, ...]:
    """Return the curves that are to be drawn, given the inputs (n, d) of train."""
    blocks = zip(encoder.blocks, encoder.slices(), strict=True)
    drawn = [(block.name, block.points(X[:, columns])) for block, columns in blocks]
    return tuple(Curve(name, tuple(x.tolist())) for name, x in drawn if x.size)


def curve_contrasts(curve: Curve, encoder: Encoder, centre: Array) -> Array:
    """Return the contrasts (m, d + 1) of theta that are the effect at each number of the curve."""
    names = [block.name for block in encoder.blocks]
    place = names.index(curve.attribute)
    contrasts: Array = encoder.blocks[place].at(np.array(curve.x)) @ centre[encoder.slices()[place]]
    return contrasts


def bounded(curve: Curve, contrasts: Array, beta: Array, square: Array) -> Curve:
    """Return the curve with estimate and interval (Wald), by ``contrasts`` (m, r) of ``beta`` (r,).

    ``square`` (r, r) is the covariance of ``beta`` times the square of the quantile.
    """
    value = contrasts @ beta
    half = np.sqrt(np.maximum(np.sum(contrasts @ square * contrasts, axis=1), 0.0))
    log_odds, low, high = (tuple(x.tolist()) for x in (value, value - half, value + half))
    return replace(curve, log_odds=log_odds, low=low, high=high)
