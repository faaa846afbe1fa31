"""Intervals of shares that stay honest at 0 and at 1."""

import math

Z = 1.959963984540054  # the 97.5 % point of the normal distribution: 95 % two-sided


def wilson(share: float, n: float, z: float = Z) -> tuple[float, float]:
    """Return bounds of a share seen in ``n`` independent rows (Wilson 1927, no continuity term).

    A bound lies exactly ``z`` standard errors, as they are *at the bound*, from what was seen: a
    perfect share of few rows gets a wide interval, not a point.
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and at 1 the bound is the share itself; the sum misses it by a rounding.
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half
