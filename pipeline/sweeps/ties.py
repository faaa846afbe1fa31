"""Losses of candidates on the same rows become a leaderboard that tells what is known from luck.

Conventions: k candidates; n distinct validation rows, of which row i occurs ``count[i]`` times, N
in all; candidate c has s_c seeds. Everything is in nats per row.

The best of many is the luckiest of many. So every pair of candidates is compared at once: bounds
hold for all k (k - 1) / 2 differences together (Tukey's idea), at a quantile that is learned from
how the candidates go together (the multiplier bootstrap of Chernozhukov, Chetverikov and Kato 2013,
Annals of Statistics 41:2786-2819). Candidates that are nearly one neuron count as nearly one: 200
of them cost less than 200 strangers would.

A mean is uncertain because of the rows, which all candidates share, and because of the seeds,
which two candidates share where the names of the seeds are equal. Both are added; what a row and a
seed only have together counts twice, on the side of caution (Owen 2007, Annals of Applied
Statistics 1:386-411). One seed tells nothing of the luck of seeds: it is taken for the largest
that another candidate has. Where none has two seeds that part is absent, and the leaderboard
speaks of these very neurons, not of their configurations. The rows that trained them are never in
question: all of it is about neurons trained on those rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nn.arrays import Array, require_shape
from pipeline.sweeps.comparison import Leaderboard

Draws = npt.NDArray[np.float32]
Seed = tuple[int, int]

ABSURD = 1e9  # nats: a neuron so sure and so wrong has diverged, and squares would lose all digits
# Means that differ by less, as a share of the mean, differ by the rounding of sums.
ROUNDING = 1e-13
# A pair that lies closer together, as a share of how far both lie from the best, is one candidate
# as seen from the best; in single precision its draws would be rounding.
COPY = 1e-4
BLOCK = 2**18  # numbers worked on at once: about what a core's cache holds


@dataclass(frozen=True)
class _Influence:
    """How far each row and each seed moves the means, in standard errors.

    The squared length of a row of both arrays together is the variance of that candidate's mean;
    of a difference of two rows, the variance of the difference of two means.
    """

    rows: Array  # (k, n), or fewer candidates
    seeds: Array  # (k, distinct seeds, then one for each candidate that has a single seed)
    seed_freedom: Array  # (k,): s_c - 1, of the candidate that lent its luck where s_c is 1
    count: Array  # (n,), of independent rows

    def apart(self, one: int) -> _Influence:
        """The influence on the difference between every candidate and ``one``."""
        freedom = np.minimum(self.seed_freedom, self.seed_freedom[one])
        rows, seeds = self.rows - self.rows[one], self.seeds - self.seeds[one]
        return _Influence(rows, seeds, freedom, self.count)


def leaderboard(
    losses: Sequence[Array],
    seeds: Sequence[Sequence[Seed]],
    count: Array,
    *,
    worth: float = 1.0,
    confidence: float = 0.95,
    draws: int = 2000,
    rng_seed: int = 0,
) -> Leaderboard:
    """What rows and seeds say of k candidates, in the order given; equal arguments, equal bits.

    The mean of a candidate is over its seeds and, weighted by ``count``, over the rows. Its
    difference from the lowest mean is known to within

        t(level, f) * sqrt(variance by rows + variance by seeds),

    where ``level`` is that of a single comparison at which all of them hold together, and ``f``
    has the degrees of freedom of Welch and Satterthwaite, between N - 1 of the rows and s - 1 of
    the seeds: where five seeds disagree the bound is wide. A candidate is tied where the bound
    reaches 0. If all are equally good, any is not tied with a probability of ``1 - confidence`` or
    less: as the number of rows grows, and on 60 and more in the simulations of the tests.

    Parameters
    ----------
    losses, seeds
        Of each candidate, in nats, its seeds by the distinct rows (s_c, n), and the names of these
        seeds: an equal name is one shared source of luck.
    count
        How many times each row occurs (n,).
    worth
        How many independent rows each row is worth: less than 1 where rows of one table were drawn
        several times.
    confidence
        Of ``low`` and ``high`` for a candidate alone, of the excess for all pairs together.
    draws, rng_seed
        Of the multiplier bootstrap; 2,000 draws leave the quantile an error of 1 to 2 %.

    Raises
    ------
    ValueError
        If a loss is not a number of nats from 0 to ``ABSURD``, a seed is named twice, or shapes,
        counts or settings do not fit; by the name of the argument.
    """
    _require_settings(confidence, draws, worth)
    _require_losses(losses, seeds, count)
    rows = np.stack([of_seeds.mean(axis=0) for of_seeds in losses])
    seed_means = [_average(of_seeds, count) for of_seeds in losses]
    mean = _average(rows, count)
    influence = _influence(rows - mean[:, None], seed_means, seeds, count * worth)

    best = int(np.argmin(mean))
    apart = influence.apart(best)
    largest = _largest(influence, apart, draws, np.random.default_rng(rng_seed))
    below, above = _bounds(apart, _single_level(largest, 1 - confidence))
    rounding = ROUNDING * np.where(np.arange(len(mean)) == best, 0.0, mean)
    excess = mean - mean[best]
    low, high = _bounds(influence, 1 - confidence)
    return Leaderboard(
        mean=mean,
        low=mean - low,
        high=mean + high,
        deviation=np.array([v.std(ddof=1) if len(v) > 1 else np.nan for v in seed_means]),
        excess=excess,
        excess_low=excess - below - rounding,
        excess_high=excess + above + rounding,
        tied=excess <= below + rounding,
        confidence=confidence,
    )


def _average(values: Array, count: Array) -> Array:
    """Mean over the last axis, each row as often as it occurs.

    Not by ``@``: BLAS adds in an order that depends on where a candidate stands among the others,
    and equal candidates must have equal means.
    """
    mean: Array = (values * count).sum(axis=-1) / count.sum()
    return mean


def _influence(
    rows: Array, seed_means: list[Array], seeds: Sequence[Sequence[Seed]], count: Array
) -> _Influence:
    """The influence of rows, given as deviations from the mean (k, n), and of seeds."""
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
    return _Influence(rows * np.sqrt(count / (n_rows * (n_rows - 1))), by_seeds, freedom, count)


def _single_level(largest: Array, alpha: float) -> float:
    """Level of one comparison at which any of all is wrong with probability ``alpha``."""
    from scipy.special import ndtr

    return min(alpha, 2 * float(ndtr(-np.quantile(largest, 1 - alpha, method="higher"))))


def _largest(
    influence: _Influence, apart: _Influence, draws: int, rng: np.random.Generator
) -> Array:
    """The largest standardised difference of any pair (draws,), where luck is all there is.

    A draw multiplies the influence of each row by a standard normal number, so that candidates go
    together as they do on the rows. Seeds are too few to learn from how candidates go together:
    their luck is drawn as if it were each candidate's own (Tukey's case), and has the share of a
    pair's variance that the seeds have.
    """
    k = len(influence.rows)
    by_rows = _project(apart.rows, draws, rng)
    by_seeds = _project(np.eye(k) / np.sqrt(2), draws, rng) if influence.seeds.any() else None
    far = np.sqrt(_squares(apart.rows) + _squares(apart.seeds))
    largest = np.zeros(draws, np.float32)
    for a in range(k - 1):
        of_rows = _squares(influence.rows[a + 1 :] - influence.rows[a])
        of_seeds = _squares(influence.seeds[a + 1 :] - influence.seeds[a])
        error = np.sqrt(of_rows + of_seeds)
        known = error > COPY * np.minimum(far[a], far[a + 1 :])
        inverse = np.divide(1.0, error, out=np.zeros_like(error), where=known)
        for start in range(0, draws, max(1, BLOCK // k)):
            part = slice(start, start + max(1, BLOCK // k))
            z = _differences(by_rows[:, part], a, inverse)
            if by_seeds is not None:
                z += _differences(by_seeds[:, part], a, np.sqrt(of_seeds) * inverse)
            np.maximum(largest[part], z.max(axis=0), out=largest[part])
            np.maximum(largest[part], -z.min(axis=0), out=largest[part])
    return largest.astype(np.float64)


def _project(influence: Array, draws: int, rng: np.random.Generator) -> Draws:
    """Each candidate's luck (k, draws), in parts that bound the memory for many rows."""
    size = max(1, 2**22 // influence.shape[1])
    widths = [min(size, draws - start) for start in range(0, draws, size)]
    parts = [influence @ rng.standard_normal((influence.shape[1], width)) for width in widths]
    return np.hstack(parts).astype(np.float32)


def _differences(luck: Draws, one: int, factor: Array) -> Draws:
    result: Draws = luck[one + 1 :] - luck[one]
    result *= factor.astype(np.float32)[:, None]
    return result


def _squares(values: Array) -> Array:
    squares: Array = np.einsum("ij,ij->i", values, values)
    return squares


def _bounds(influence: _Influence, level: float) -> tuple[Array, Array]:
    """How far below and above its estimate each quantity may lie (k,), at a two-sided level.

    Where few rows decide, the estimate is skewed and so is t: its ends are mapped by the inverse of
    Hall's cubic (1992, J. Royal Statistical Society B 54:221-228). Without it, candidates that
    differ in confidence gave 8 % false alarms on 60 rows. Skewness is itself an estimate: it may
    widen a bound and never narrows one; where it did, heavy tails gave 13 %.
    """
    from scipy.special import stdtrit

    by_rows, by_seeds = _squares(influence.rows), _squares(influence.seeds)
    variance = by_rows + by_seeds
    spread = by_rows**2 / (influence.count.sum() - 1) + by_seeds**2 / influence.seed_freedom
    some = variance > 0
    freedom = np.divide(variance**2, spread, out=np.ones_like(spread), where=some)
    t: Array = -stdtrit(freedom, level / 2)
    cubes = (influence.rows**3 / np.sqrt(influence.count)).sum(axis=1)
    error = np.sqrt(variance)
    skewness = np.divide(cubes, error**3, out=np.zeros_like(error), where=some)
    return error * np.maximum(t, _skewed(t, skewness)), error * np.maximum(
        t, -_skewed(-t, skewness)
    )


def _skewed(t: Array, skewness: Array) -> Array:
    """The end of a skewed t that a symmetric one would have at ``t``: Hall's cubic, inverted."""
    some = np.abs(skewness) > 1e-6  # below, the cube root has fewer digits than t changes by
    root: Array = np.cbrt(1 + skewness * (t - skewness / 6)) - 1
    end: Array = np.divide(3 * root, skewness, out=t.copy(), where=some)
    return end


def _require_settings(confidence: float, draws: int, worth: float) -> None:
    if not (0 < confidence < 1 and draws >= 100):
        got = f"{confidence} and {draws}"
        raise ValueError(f"confidence must lie in (0, 1) and draws be 100 or more; got {got}")
    if not 0 < worth <= 1:
        raise ValueError(f"worth must lie above 0 and be 1 at most; got {worth}")


def _require_losses(losses: Sequence[Array], seeds: Sequence[Sequence[Seed]], count: Array) -> None:
    if len(losses) == 0 or len(losses) != len(seeds):
        got = f"{len(losses)} and {len(seeds)}"
        raise ValueError(f"losses and seeds must be of the same 1 or more candidates; got {got}")
    whole = (count >= 1) & (count == np.floor(count)) & (count < np.inf)
    if count.ndim != 1 or not whole.all() or count.sum() < 2:
        raise ValueError(f"count (n,) must count 2 rows or more, each 1, 2, …; got {count}")
    for c, (of_seeds, names) in enumerate(zip(losses, seeds, strict=True)):
        if not names or len(set(names)) != len(names):
            raise ValueError(f"seeds[{c}] must be different, 1 or more; got {list(names)}")
        require_shape(f"losses[{c}]", of_seeds, (len(names), len(count)))
        for at in np.argwhere(~((of_seeds >= 0) & (of_seeds <= ABSURD))):
            raise ValueError(
                f"losses[{c}] must lie from 0 to {ABSURD:g} nats; got {of_seeds[tuple(at)]} "
                f"at seed {names[at[0]]}, row {at[1]}"
            )
