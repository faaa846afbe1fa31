"""Rows of one group (a customer, a patient) are one observation of a comparison."""

from __future__ import annotations

import numpy as np

from nn.arrays import Array


def by_group(count: Array, group: Array | None, *values: Array) -> tuple[Array, list[Array]]:
    """Return counts (g,) of the groups, and the means (..., g) of each ``values`` (..., n) in them.

    Counts are proportional to the rows of a group, and add up to the number of groups of one size
    whose mean is as precise (Kish 1965, section 11.7). Without groups everything stays as it is.
    """
    if group is None:
        return count, [*values]
    known, place = np.unique(group, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(known)))
    size = np.add.reduceat(count[order], starts)
    means = [np.add.reduceat((of * count)[..., order], starts, axis=-1) / size for of in values]
    return size * (size.sum() / (size * size).sum()), means
