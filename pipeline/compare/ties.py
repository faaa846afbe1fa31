"""Losses of candidates on the same rows become a leaderboard that separates differences from noise.

Conventions: k candidates; n distinct validation rows, of which row i occurs ``count[i]`` times, N
in all; candidate c has s_c seeds. Everything is in nats per row.

The best of many owes its place in part to chance. So every pair of candidates is compared at once:
bounds hold for all k (k - 1) / 2 differences together (Tukey's idea), at a quantile that is learned
from how the candidates vary together (the multiplier bootstrap of Chernozhukov, Chetverikov and
Kato 2013, Annals of Statistics 41:2786-2819). Candidates that are nearly one neuron count as nearly
one: 200 of them widen the bounds less than 200 independent ones would.

A mean is uncertain because of the rows, which all candidates share, and because of the seeds,
which two candidates share where the names of the seeds are equal. Both are added; the interaction
of a row and a seed counts twice, on the side of caution (Owen 2007, Annals of Applied Statistics
1:386-411). A single seed says nothing of the variance over seeds: that of the candidate with the
largest variance is taken. Where none has two seeds that part is absent, and the leaderboard speaks
of these very neurons, not of their configurations. The train rows are never in question: all of it
is about neurons trained on those rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nn.arrays import Array, require_shape
from pipeline.compare.comparison import Leaderboard
from pipeline.compare.influence import Influence, bounds, influence_of, squares

Draws = npt.NDArray[np.float32]

MAX_LOSS = 1e9  # nats: beyond it training has diverged, and squares would lose all digits
# Means that differ by less, as a share of the mean, differ by the rounding of sums.
ROUNDING = 1e-13
# A pair that lies closer together, as a share of how far both lie from the best, is one candidate
# as seen from the best; in single precision its draws would be rounding.
COPY = 1e-4
BLOCK = 2**18  # numbers worked on at once: about what a core's cache holds


def find_ties(
    losses: Sequence[Array],
    seeds: Sequence[Sequence[int]],
    count: Array,
    *,
    weight: float = 1.0,
    confidence: float = 0.95,
    draws: int = 2000,
    rng_seed: int = 0,
) -> Leaderboard:
    """Return what rows and seeds say of k candidates, in the order given.

    The mean of a candidate is over its seeds and, weighted by ``count``, over the rows. Its
    difference from the lowest mean is known to within

        t(level, f) * sqrt(variance by rows + variance by seeds),

    where ``level`` is that of a single comparison at which all of them hold together, and ``f``
    has the degrees of freedom of Welch and Satterthwaite, between N - 1 of the rows and s - 1 of
    the seeds: where five seeds disagree the bound is wide. A candidate is tied where the bound
    reaches 0. If all are equally good, any is not tied with a probability of ``1 - confidence`` or
    less: as the number of rows grows, and on 60 and more in the simulations of the tests. Equal
    arguments give equal bits.

    Parameters
    ----------
    losses, seeds
        Of each candidate, in nats, its seeds by the distinct rows (s_c, n), and the names of these
        seeds: an equal name is one shared source of noise.
    count
        How many times each row occurs (n,).
    weight
        How many independent rows each row counts as: less than 1 where rows of one table were
        drawn several times.
    confidence
        Of ``low`` and ``high`` for a candidate alone, of the excess for all pairs together.
    draws, rng_seed
        Of the multiplier bootstrap; 2,000 draws leave the quantile an error of 1 to 2 %.

    Raises
    ------
    ValueError
        If a loss is not a number of nats from 0 to ``MAX_LOSS``, a seed is named twice, or shapes
        or counts do not fit; by the name of the argument.
    """
    _require_losses(losses, seeds, count)
    rows = np.stack([of_seeds.mean(axis=0) for of_seeds in losses])
    seed_means = [_average(of_seeds, count) for of_seeds in losses]
    mean = _average(rows, count)
    influence = influence_of(rows - mean[:, None], seed_means, seeds, count * weight)

    best = int(np.argmin(mean))
    apart = influence.apart(best)
    largest = _largest(influence, apart, draws, np.random.default_rng(rng_seed))
    below, above = bounds(apart, _single_level(largest, 1 - confidence))
    rounding = ROUNDING * np.where(np.arange(len(mean)) == best, 0.0, mean)
    excess = mean - mean[best]
    low, high = bounds(influence, 1 - confidence)
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
    """Return the mean over the last axis, each row as often as it occurs.

    Not by ``@``: BLAS adds in an order that depends on where a candidate stands among the others,
    and equal candidates must have equal means.
    """
    mean: Array = (values * count).sum(axis=-1) / count.sum()
    return mean


def _single_level(largest: Array, alpha: float) -> float:
    """Return the level of one comparison at which any of all is wrong with ``alpha``."""
    from scipy.special import ndtr

    return min(alpha, 2 * float(ndtr(-np.quantile(largest, 1 - alpha, method="higher"))))


def _largest(influence: Influence, apart: Influence, draws: int, rng: np.random.Generator) -> Array:
    """Return the largest standardised difference of any pair (draws,) under no difference at all.

    A draw multiplies the influence of each row by a standard normal number, so that candidates vary
    together as they do on the rows. Seeds are too few to learn from how candidates vary together:
    their noise is drawn as if it were each candidate's own (Tukey's case), and has the share of a
    pair's variance that the seeds have.
    """
    k = len(influence.rows)
    by_rows = _project(apart.rows, draws, rng)
    by_seeds = _project(np.eye(k) / np.sqrt(2), draws, rng) if influence.seeds.any() else None
    far = np.sqrt(squares(apart.rows) + squares(apart.seeds))
    largest = np.zeros(draws, np.float32)
    for a in range(k - 1):
        of_rows = squares(influence.rows[a + 1 :] - influence.rows[a])
        of_seeds = squares(influence.seeds[a + 1 :] - influence.seeds[a])
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
    """Return each candidate's noise (k, draws), in parts that bound the memory for many rows."""
    size = max(1, 2**22 // influence.shape[1])
    widths = [min(size, draws - start) for start in range(0, draws, size)]
    parts = [influence @ rng.standard_normal((influence.shape[1], width)) for width in widths]
    return np.hstack(parts).astype(np.float32)


def _differences(noise: Draws, one: int, factor: Array) -> Draws:
    result: Draws = noise[one + 1 :] - noise[one]
    result *= factor.astype(np.float32)[:, None]
    return result


def _require_losses(losses: Sequence[Array], seeds: Sequence[Sequence[int]], count: Array) -> None:
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
        for at in np.argwhere(~((of_seeds >= 0) & (of_seeds <= MAX_LOSS))):
            raise ValueError(
                f"losses[{c}] must lie from 0 to {MAX_LOSS:g} nats; got {of_seeds[tuple(at)]} "
                f"at seed {names[at[0]]}, row {at[1]}"
            )
