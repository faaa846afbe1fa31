"""Intervals for shares and for the area under the ROC curve that stay honest at 0 and at 1.

Both invert a score test: the bounds are the values that lie exactly ``Z`` of *their own* standard
errors from what was seen. So a perfect figure on few rows gets a wide interval, not a point.
"""

import math

Z = 1.959963984540054  # the 97.5 % point of the normal distribution: 95 % two-sided


def wilson(share: float, n: float, z: float = Z) -> tuple[float, float]:
    """Bounds of a share seen in ``n`` independent rows (Wilson 1927, without continuity term)."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and at 1 the bound is the share itself; the sum misses it by a rounding.
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def newcombe_auc(auc: float, n_positive: float, n_negative: float) -> tuple[float, float]:
    """Bounds of the area under the ROC curve (Newcombe 2006, part 2, method 5).

    Statistics in Medicine 25:559-573: the variance of Hanley and McNeil 1982 at the bound itself,
    with ``(n_positive + n_negative) / 2 - 1`` for both of its counts.
    """
    from scipy.optimize import brentq

    n_star = (n_positive + n_negative) / 2 - 1

    def excess(bound: float) -> float:
        spread = 1 + n_star * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * spread / (n_positive * n_negative)
        return (auc - bound) ** 2 - Z**2 * variance

    # At 0 and at 1 the variance is 0, a root that is no bound: stay a little inside.
    inside = 1e-12
    low = 0.0 if auc <= inside else float(brentq(excess, 0.0, auc - inside))
    high = 1.0 if auc >= 1 - inside else float(brentq(excess, auc + inside, 1.0))
    return low, high
