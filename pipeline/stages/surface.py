"""The path of descent and the rows it went down on become a slice of the loss surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

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

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the surface that was written as plain values."""
        names = ("a", "b", "objective", "path")
        arrays = {name: np.array(tree[name], np.float64) for name in names}
        return cls(**arrays, share=tree["share"])


@on_one_thread
def slice_surface(path: Array, examples: Examples, l2: float) -> Surface:
    """Return the slice that shows ``path`` (epochs + 1, d + 1) best, on the rows that trained."""
    origin = path[-1]
    away = path - origin
    _, size, axes = np.linalg.svd(away, full_matrices=False)
    plane = np.zeros((2, len(origin)))
    plane[: min(2, len(axes))] = axes[:2]
    plane *= np.where((away @ plane.T).sum(axis=0) > 0, -1.0, 1.0)[:, None]  # comes from below
    places = away @ plane.T
    half = (0.5 + ROOM) * max(float(np.ptp(places, axis=0).max()), 1.0)
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    a, b = (centre + np.linspace(-half, half, POINTS) for centre in middle)
    z, along = logits(origin, examples.X), [logits(axis, examples.X) for axis in plane]

    def objective(i: float, j: float) -> float:  # logits are linear in the parameters
        loss = mean_loss(z + i * along[0] + j * along[1], examples.y, examples.count)
        return loss + penalty(origin + i * plane[0] + j * plane[1], l2)

    values = np.array([[objective(i, j) for i in a] for j in b])
    share = float((size[:2] ** 2).sum() / max((size**2).sum(), np.finfo(float).tiny))
    return Surface(a, b, values, places, share)
