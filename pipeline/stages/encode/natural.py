"""Natural cubic splines: the smoothest curves through their knots, straight beyond the ends."""

from __future__ import annotations

import numpy as np

from nn.arrays import Array


def knots_of(z: Array, weight: Array, n: int) -> Array:
    """Return up to ``n`` knots at evenly spaced quantiles of the numbers, each one of them."""
    levels = np.linspace(0.0, 1.0, n)
    knots: Array = np.unique(np.quantile(z, levels, method="inverted_cdf", weights=weight))
    return knots


def cardinal(knots: Array, z: Array) -> Array:
    """Return at each number (n,) the k splines that are 1 at one knot and 0 at the others.

    A weighted sum of them is the natural spline with those values at the knots (Wood 2006,
    Generalized Additive Models, section 4.1.2; patsy's ``cr``).
    """
    width, unit = np.diff(knots), np.eye(len(knots))
    second = _second_derivatives(width)
    inside = np.clip(z, knots[0], knots[-1])
    j = np.clip(np.searchsorted(knots, inside, side="right") - 1, 0, len(width) - 1)
    left, right, h = knots[j + 1] - inside, inside - knots[j], width[j]
    found: Array = (left / h)[:, None] * unit[j] + (right / h)[:, None] * unit[j + 1]
    found += ((left**3 / h - h * left) / 6)[:, None] * second[j]
    found += ((right**3 / h - h * right) / 6)[:, None] * second[j + 1]
    first = (unit[1] - unit[0]) / width[0] - width[0] / 6 * second[1]
    last = (unit[-1] - unit[-2]) / width[-1] + width[-1] / 6 * second[-2]
    below, above = np.minimum(z - knots[0], 0.0), np.maximum(z - knots[-1], 0.0)
    found += below[:, None] * first + above[:, None] * last
    return found


def smooth_curves(knots: Array, z: Array, weight: Array) -> Array:
    """Return the values at the knots (k, k - 2) of the bends, the smoothest first.

    Together with the constant and the straight line they make every natural spline. Over the
    numbers ``z`` bend i has mean 0, deviation ``1 / (i + 1)``, and is uncorrelated with the line
    and the other bends; none of so much variance turns less (Demmler and Reinsch 1975). A penalty
    on weights is then one on the variance of the curve in log-odds, of which that of bend i counts
    ``(i + 1) ** 2`` times.
    """
    basis = cardinal(knots, z)
    gram = basis.T @ (weight[:, None] * basis) / weight.sum()
    half = np.linalg.inv(np.linalg.cholesky(gram))
    _, axes = np.linalg.eigh(half @ _roughness(knots) @ half.T)
    bends = half.T @ axes[:, 2:]
    flat = np.column_stack([np.ones(len(knots)), knots])
    # Constant and line have no roughness; eigh knows them, and so the bends, to rounding.
    bends -= flat @ np.linalg.solve(flat.T @ gram @ flat, flat.T @ gram @ bends)
    size = np.sqrt(np.sum(bends * (gram @ bends), axis=0))
    upwards = np.sign(bends[-1] + (bends[-1] == 0))
    found: Array = bends * upwards / size / np.arange(2, len(knots))
    return found


def _second_derivatives(width: Array) -> Array:
    """Return the second derivatives at the knots (k, k) of each cardinal spline (k, columns)."""
    slopes, tension = _tension(width)
    found = np.zeros((len(width) + 1, len(width) + 1))
    found[1:-1] = np.linalg.solve(tension, slopes)
    return found


def _roughness(knots: Array) -> Array:
    """Return the integrals (k, k) of the products of second derivatives."""
    slopes, tension = _tension(np.diff(knots))
    rough: Array = slopes.T @ np.linalg.solve(tension, slopes)
    return rough


def _tension(width: Array) -> tuple[Array, Array]:
    """Return the changes of slope at the inner knots (k - 2, k), and what resists them."""
    per = 1 / width
    slopes = np.zeros((len(width) - 1, len(width) + 1))
    at = np.arange(len(width) - 1)
    slopes[at, at], slopes[at, at + 1], slopes[at, at + 2] = per[:-1], -per[:-1] - per[1:], per[1:]
    tension = np.diag((width[:-1] + width[1:]) / 3)
    tension += np.diag(width[1:-1] / 6, 1) + np.diag(width[1:-1] / 6, -1)
    return slopes, tension
