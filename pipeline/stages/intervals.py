"""Intervals for shares and for the area under the ROC curve that stay honest at 0 and at 1.

Both invert a score test: a bound lies exactly ``Z`` standard errors, as they are *at the bound*,
from what was seen. So a perfect share of few rows gets a wide interval, not a point.
"""

import math
from collections.abc import Callable

Z = 1.959963984540054  # the 97.5 % point of the normal distribution: 95 % two-sided
INSIDE = 1e-12


def wilson(share: float, n: float, z: float = Z) -> tuple[float, float]:
    """Return bounds of a share seen in ``n`` independent rows (Wilson 1927, no continuity term)."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and at 1 the bound is the share itself; the sum misses it by a rounding.
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def newcombe_auc(auc: float, n_positive: float, n_negative: float) -> tuple[float, float]:
    """Return bounds of the area under the ROC curve (Newcombe 2006, part 2, method 5).

    Statistics in Medicine 25:559-573: the variance of Hanley and McNeil 1982 at the bound itself,
    with ``(n_positive + n_negative) / 2 - 1`` for both of its counts.
    """
    n_star = (n_positive + n_negative) / 2 - 1

    def outside(bound: float) -> bool:
        spread = 1 + n_star * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * spread / (n_positive * n_negative)
        return (auc - bound) ** 2 > Z**2 * variance

    # At 0 and at 1 the variance is 0, a root that is no bound.
    low = 0.0 if auc <= INSIDE else _bisect(outside, 0.0, auc)
    high = 1.0 if auc >= 1 - INSIDE else _bisect(outside, 1.0, auc)
    return low, high


def _bisect(outside: Callable[[float], bool], far: float, near: float) -> float:
    """Return, to the last bit, where ``outside`` begins between ``near`` and ``far``."""
    while (middle := (far + near) / 2) not in (far, near):
        far, near = (middle, near) if outside(middle) else (far, middle)
    return far
