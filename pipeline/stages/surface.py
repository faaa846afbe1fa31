"""The path of descent and the rows it went down on become a slice of the cost surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn import Examples, logits, mean_loss, penalty
from nn.arrays import Array
from pipeline.stages.one_thread import on_one_thread

POINTS = 81  # of the grid, along each axis
ROOM = 0.5  # beside the path, as a share of its extent, on either side


@dataclass(frozen=True)
class Surface:
    """The objective (nats per row) over a plane of the parameters, and the path in it.

    The plane goes through the last neuron, along the two directions in which the path extends most
    (its principal components; Li et al. 2018); ``a`` and ``b`` (n,), equally long, are distances
    from there in the norm of theta. ``objective[i, j]`` is at ``a[j]``, ``b[i]``. ``path``
    (epochs + 1, 2) holds each epoch's place and ``share`` how much of the path's variance the plane
    holds.
    """

    a: Array
    b: Array
    objective: Array
    path: Array
    share: float


@on_one_thread
def slice_surface(path: Array, examples: Examples, l2: float) -> Surface:
    """The slice that shows ``path`` (epochs + 1, d + 1) best, on the rows that trained."""
    origin = path[-1]
    away = path - origin
    _, size, axes = np.linalg.svd(away, full_matrices=False)
    plane = np.zeros((2, len(origin)))
    plane[: min(2, len(axes))] = axes[:2]
    plane *= np.where((away @ plane.T).sum(axis=0) > 0, -1.0, 1.0)[:, None]  # comes from below
    places = away @ plane.T
    half = (0.5 + ROOM) * max(float(np.ptp(places, axis=0).max()), 1.0)
    a, b = (middle + np.linspace(-half, half, POINTS) for middle in _middle(places))
    share = float((size[:2] ** 2).sum() / max((size**2).sum(), np.finfo(float).tiny))
    return Surface(a, b, _objective(origin, plane, a, b, examples, l2), places, share)


def _middle(places: Array) -> Array:
    middle: Array = (places.min(axis=0) + places.max(axis=0)) / 2
    return middle


def _objective(
    origin: Array, plane: Array, a: Array, b: Array, examples: Examples, l2: float
) -> Array:
    """The objective at every point of the grid: logits are linear in it."""
    X, y, weight = examples
    start = logits(origin, X)
    along = [logits(axis, X) for axis in plane]
    return np.array(
        [
            [
                mean_loss(start + x * along[0] + z * along[1], y, weight)
                + penalty(origin + x * plane[0] + z * plane[1], l2)
                for x in a
            ]
            for z in b
        ]
    )
