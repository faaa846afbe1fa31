"""How far each row and each seed moves the mean loss of a candidate, and the bounds that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nn.arrays import Array


@dataclass(frozen=True)
class Influence:
    """How far each row and each seed moves the means, in standard errors.

    The squared length of a row of both arrays together is the variance of that candidate's mean;
    of a difference of two rows, the variance of the difference of two means.
    """

    rows: Array  # (k, n), or fewer candidates
    seeds: Array  # (k, distinct seeds, then one for each candidate that has a single seed)
    seed_freedom: Array  # (k,): s_c - 1, of the candidate whose variance is taken where s_c is 1
    count: Array  # (n,), of independent rows

    def apart(self, one: int) -> Influence:
        """Return the influence on the difference between every candidate and ``one``."""
        freedom = np.minimum(self.seed_freedom, self.seed_freedom[one])
        rows, seeds = self.rows - self.rows[one], self.seeds - self.seeds[one]
        return Influence(rows, seeds, freedom, self.count)


def influence_of(
    rows: Array, seed_means: list[Array], seeds: Sequence[Sequence[int]], count: Array
) -> Influence:
    """Return the influence of rows, given as deviations from the mean (k, n), and of seeds."""
    n_rows = count.sum()
    place = {seed: j for j, seed in enumerate(sorted({s for names in seeds for s in names}))}
    single = [c for c, names in enumerate(seeds) if len(names) == 1]
    by_seeds = np.zeros((len(rows), len(place) + len(single)))
    freedom = np.full(len(rows), np.inf)
    if 0 < len(single) < len(seeds):
        several = max((v for v in seed_means if len(v) > 1), key=lambda v: v.var(ddof=1))
        by_seeds[single, len(place) + np.arange(len(single))] = several.std(ddof=1)
        freedom[single] = len(several) - 1
    for c, (names, values) in enumerate(zip(seeds, seed_means, strict=True)):
        s = len(names)
        if s > 1:
            at = [place[name] for name in names]
            by_seeds[c, at] = (values - values.mean()) / np.sqrt(s * (s - 1))
            freedom[c] = s - 1
    # A row that counts w stands for w rows: its multiplier has variance w.
    return Influence(rows * np.sqrt(count / (n_rows * (n_rows - 1))), by_seeds, freedom, count)


def squares(values: Array) -> Array:
    """Return the squared length of each row."""
    squares: Array = np.einsum("ij,ij->i", values, values)
    return squares


def bounds(influence: Influence, level: float) -> tuple[Array, Array]:
    """Return how far below and above its estimate each quantity may lie (k,), at a two-sided level.

    Where few rows decide, the estimate is skewed and so is t: its ends are mapped by the inverse of
    Hall's cubic (1992, J. Royal Statistical Society B 54:221-228). Without it, candidates that
    differ in confidence gave 8 % false alarms on 60 rows. Skewness is itself an estimate: it may
    widen a bound and never narrows one; where it did, heavy tails gave 13 %.
    """
    from scipy.special import stdtrit

    by_rows, by_seeds = squares(influence.rows), squares(influence.seeds)
    variance = by_rows + by_seeds
    spread = by_rows**2 / (influence.count.sum() - 1) + by_seeds**2 / influence.seed_freedom
    some = variance > 0
    freedom = np.divide(variance**2, spread, out=np.ones_like(spread), where=some)
    t: Array = -stdtrit(freedom, level / 2)
    cubes = (influence.rows**3 / np.sqrt(influence.count)).sum(axis=1)
    error = np.sqrt(variance)
    skewness = np.divide(cubes, error**3, out=np.zeros_like(error), where=some)
    below = np.maximum(t, _skewed(t, skewness))
    above = np.maximum(t, -_skewed(-t, skewness))
    return error * below, error * above


def _skewed(t: Array, skewness: Array) -> Array:
    """Return the end of a skewed t for the symmetric ``t``: Hall's cubic, inverted."""
    some = np.abs(skewness) > 1e-6  # below, the cube root has fewer digits than t changes by
    root: Array = np.cbrt(1 + skewness * (t - skewness / 6)) - 1
    end: Array = np.divide(3 * root, skewness, out=t.copy(), where=some)
    return end
