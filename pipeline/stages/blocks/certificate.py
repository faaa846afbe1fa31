"""How far a neuron is from the best one on rows in blocks, proven by sums over them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from nn import Examples, Pass, tree_sum
from nn.arrays import Array
from nn.loss import binary_cross_entropy, loss_curvature, loss_slope
from nn.optimum import EPS, newton_steps
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.bounds import DECIDED, bach_bound, blur_of, least_curvature, moved_by, whitener

MAX_STEPS = 30  # of Newton's method: each is a pass, or two
ADDED = 65_536 + 64  # terms that are added to one sum, at most: a block, and the tree of all


class Local(NamedTuple):
    """Sums over rows around a neuron, in the coordinates of ``bounds.self_concordance``."""

    total: float
    loss: float
    moved: float  # how far rounding can move the loss
    curvature: Array
    noise: float
    gradient: Array
    size: Array
    slack: float


class Proof(NamedTuple):
    """A neuron, and what is proven of it: in nats per row."""

    here: Pass  # the neuron that is certified
    optimum: float  # the lowest objective that was reached
    lower: float  # proven to be below all
    rounding: float  # by how much rounding can change the objective of the neuron


def prove(theta: Array, blocks: KeyedBlocks, l2: float) -> Proof:
    """Return what is proven of a neuron, in two passes where it is the optimum.

    Newton's method goes on from it; where that ends, the bound is that of ``self_concordance``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If numbers overflow.
    """
    first, *later = islice(newton_steps(theta, blocks, l2), 1 + MAX_STEPS)
    end = later[-1] if later else first
    basis = whitener(end.found.hessian)
    bound, rounding = _bounds(end.theta, blocks, l2, basis)
    lower = end.found.objective - bound - rounding
    if later:
        rounding = _bounds(theta, blocks, l2, basis)[1]
    optimum = min(first.found.objective, end.found.objective)
    return Proof(first.found, optimum, lower, rounding)


def _bounds(theta: Array, blocks: KeyedBlocks, l2: float, basis: Array) -> tuple[float, float]:
    """Return how far the objective can be above its infimum, and by how much it can be rounded."""
    longest = [0.0]

    def sums() -> Iterator[Local]:
        for found, length in blocks.map(partial(_local, theta, basis)):
            longest.append(length)
            yield found

    found = tree_sum(sums())
    many, total = (ADDED + len(theta)) * EPS, found.total
    strength = np.append(np.full(len(theta) - 1, l2), 0.0)
    penalty = strength[:, None] * basis
    curvature = found.curvature / total + basis.T @ penalty
    mu = least_curvature(curvature, many, math.sqrt(found.noise / total))
    gradient = found.gradient / total + penalty.T @ theta
    size = found.size / total + np.abs(penalty).T @ np.abs(theta)
    norm = np.linalg.norm(gradient) + many * np.linalg.norm(size) + found.slack / total
    objective = found.loss / total + l2 * (theta[:-1] @ theta[:-1])
    rounding = found.moved / total + many * objective
    return bach_bound(float(norm), mu, max(longest)) + DECIDED, float(rounding)


def _local(theta: Array, basis: Array, rows: Examples) -> tuple[Local, float]:
    """Return the sums of a block, and the length of its longest row."""
    X, y, count = rows
    z, blur = X @ theta[:-1] + theta[-1], blur_of(theta, X)
    losses, slope = binary_cross_entropy(z, y), loss_slope(z, y)
    total, loss = float(count.sum()), float(losses @ count)
    moved = moved_by(slope, blur)
    rounded = float(moved @ count)
    Y = X @ basis[:-1] + basis[-1]
    noise = np.abs(X) @ np.abs(basis[:-1]) + np.abs(basis[-1])
    noise = len(theta) * EPS * np.linalg.norm(noise, axis=1)
    # Rows of almost no loss are left out, as there.
    kept = np.where(losses > DECIDED, count, 0.0)
    length = np.where(kept > 0, np.linalg.norm(Y, axis=1) + noise, 0.0)
    weight = kept * loss_curvature(z) * np.exp(-blur)
    steep = np.abs(slope)
    return Local(
        total, loss, rounded,
        Y.T @ (weight[:, None] * Y), float(weight @ noise**2),
        Y.T @ (kept * slope), np.abs(Y).T @ (kept * steep),
        float(kept @ (steep * noise + moved * length)),
    ), float(length.max(initial=0.0))  # fmt: skip
