"""Losses of candidates on the same rows become a leaderboard that separates differences from noise.

Conventions: k candidates; n distinct validation rows, of which row i occurs ``count[i]`` times, N
in all; candidate c has s_c seeds. Everything is in nats per row.

The best of many owes its place in part to chance. So every pair of candidates is compared at once:
bounds hold for all k (k - 1) / 2 differences together (Tukey's idea), at a level that is learned
from how the candidates vary together (the multiplier bootstrap of Chernozhukov, Chetverikov and
Kato 2013, Annals of Statistics 41:2786-2819). Candidates that are nearly one neuron count as nearly
one: 200 of them widen the bounds less than 200 independent ones would. More than ``MAX_DRAWN`` are
compared at the level of Bonferroni's inequality, which holds however they vary together and is
wider: the pairs of 10,000 would take minutes to draw.

A mean is uncertain because of the rows, which all candidates share, and because of the seeds,
which two candidates share where the names of the seeds are equal. The rows' part holds what an
error would cost that has not happened yet (``unseen_errors``). The seeds' part is Student's t,
which needs many seeds to be narrow: two or three disagree by little as often as not. The two are
added as the sides of a right angle (Zou and Donner 2008, Statistics in Medicine 27:1693-1702). The
interaction of a row and a seed counts twice, on the side of caution (Owen 2007, Annals of Applied
Statistics 1:386-411). A single seed says nothing of the variance over seeds: that of the candidate
with the largest variance is taken. Where none has two seeds that part is absent, and the
leaderboard speaks of these very neurons, not of their configurations. The train rows are never in
question: all of it is about neurons trained on those rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nn.arrays import Array, require_shape
from pipeline.compare.comparison import Leaderboard
from pipeline.compare.groups import by_group
from pipeline.compare.unseen_errors import flipped, lower_bound

MAX_LOSS = 1e9  # nats: beyond it training has diverged, and squares would lose all digits
# Means that differ by less, as a share of the mean, differ by the rounding of sums.
ROUNDING = 1e-13
# A pair that lies closer together, as a share of how far both lie from the best, is one candidate
# as seen from the best; in single precision its draws would be rounding.
COPY = 1e-4
MAX_DRAWN = 1000  # candidates whose pairs are drawn
BLOCK = 2**18  # numbers worked on at once: about what a core's cache holds


def find_ties(
    losses: Sequence[Array],
    seeds: Sequence[Sequence[int]],
    count: Array,
    *,
    others: Sequence[Array] | None = None,
    group: Array | None = None,
    weight: float = 1.0,
    confidence: float = 0.95,
    draws: int = 2000,
    rng_seed: int = 0,
) -> Leaderboard:
    """Return what rows and seeds say of k candidates, in the order given.

    The mean of a candidate is over its seeds and, weighted by ``count``, over the rows. Its
    difference from the lowest mean is known to within

        sqrt(bound by rows ** 2 + (t(level, s - 1) * standard error by seeds) ** 2),

    where ``level`` is that of a single comparison at which all of them hold together. A candidate
    is tied where the bound reaches 0. If all are equally good, any is not tied with a probability
    of ``1 - confidence`` or less, and the truly best one is tied with ``confidence``: as the number
    of rows grows, and on 60 and more in the simulations of the tests. Equal arguments give equal
    bits.

    Parameters
    ----------
    losses, seeds
        Of each candidate, in nats, its seeds by the distinct rows (s_c, n), and the names of these
        seeds: an equal name is one shared source of noise.
    count
        How many times each row occurs (n,), or as how many rows its weight lets it count.
    others
        The losses had the labels been the other ones, which those of single rows say of themselves.
    group
        Whom each row is about (n,): rows of one number are one observation.
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
    flips = map(flipped, losses) if others is None else others
    rows, of_others = (np.stack([x.mean(axis=0) for x in xs]) for xs in (losses, flips))
    seed_means = [_average(of_seeds, count) for of_seeds in losses]
    mean = _average(rows, count)
    count, (rows, of_others) = by_group(count * weight, group, rows, of_others)
    by_seed, freedom = _seed_influence(seed_means, seeds)

    best = int(np.argmin(mean))
    rows_apart, seeds_apart = rows - rows[best], by_seed - by_seed[best]
    level = (1 - confidence) / max(len(mean) * (len(mean) - 1) / 2, 1)
    if len(mean) <= MAX_DRAWN:
        rng = np.random.default_rng(rng_seed)
        largest = _largest(rows_apart, seeds_apart, count, best, draws, rng)
        level = _single_level(largest, 1 - confidence)
    of_seeds = _seed_bound(seeds_apart, np.minimum(freedom, freedom[best]), level)
    below, above = _bounds(rows_apart, of_others - of_others[best], count, of_seeds, level)
    rounding = ROUNDING * np.where(np.arange(len(mean)) == best, 0.0, mean)
    excess = mean - mean[best]
    alone = _seed_bound(by_seed, freedom, 1 - confidence)
    low, high = _bounds(rows, of_others, count, alone, 1 - confidence)
    return Leaderboard(
        mean=mean,
        low=np.maximum(mean - low, 0.0),
        high=mean + high,
        deviation=np.array([v.std(ddof=1) if len(v) > 1 else np.nan for v in seed_means]),
        excess=excess,
        excess_low=excess - below - rounding,
        excess_high=excess + above + rounding,
        error=_standard_error(rows_apart, of_others - of_others[best], count, seeds_apart),
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


def _seed_influence(seed_means: list[Array], seeds: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    """Return how far each seed moves the means, in standard errors, and the freedom of each (k,).

    The columns are the seeds, then one for each candidate that has a single seed. The squared
    length of a row is a variance; of the difference of two rows, that of two means' difference.
    """
    place = {seed: j for j, seed in enumerate(sorted({s for names in seeds for s in names}))}
    several = max((v for v in seed_means if len(v) > 1), key=lambda v: v.var(ddof=1), default=None)
    n_own = len(seeds) if several is not None else 0
    influence = np.zeros((len(seeds), len(place) + n_own))
    freedom = np.full(len(seeds), np.inf)
    for c, (names, values) in enumerate(zip(seeds, seed_means, strict=True)):
        s = len(names)
        if s > 1:
            at = [place[name] for name in names]
            influence[c, at] = (values - values.mean()) / np.sqrt(s * (s - 1))
            freedom[c] = s - 1
        elif several is not None:
            influence[c, len(place) + c] = several.std(ddof=1)
            freedom[c] = len(several) - 1
    return influence, freedom


def _seed_bound(influence: Array, freedom: Array, level: float) -> Array:
    """Return how far seeds may move each quantity (k,), at a two-sided level."""
    from scipy.special import stdtrit

    bound: Array = -stdtrit(freedom, level / 2) * np.sqrt(_squares(influence))
    return bound


def _bounds(
    rows: Array, others: Array, count: Array, by_seeds: Array, level: float
) -> tuple[Array, Array]:
    """Return how far below and above its estimate each quantity may lie (k,), at a two-sided level.

    ``others`` (k, n) are the values of the rows had their labels been the other ones.
    """
    mean = _average(rows, count)
    below = mean - lower_bound(rows, others, count, level / 2)
    above = -mean - lower_bound(-rows, -others, count, level / 2)
    return np.hypot(below, by_seeds), np.hypot(above, by_seeds)


def _standard_error(rows: Array, others: Array, count: Array, by_seed: Array) -> Array:
    """Return the standard error of each mean (k,), at least what one more error would move it by.

    On a row of average cost: an error that no row shows is as likely as one.
    """
    n_rows = count.sum()
    by_row = _squares(_row_influence(rows, count))
    unseen = _average(others, count) / n_rows
    error: Array = np.sqrt(np.maximum(by_row, unseen**2) + _squares(by_seed))
    return error


def _row_influence(rows: Array, count: Array) -> Array:
    """Return how far each row moves the means (k, n), in standard errors."""
    n_rows = count.sum()
    # A row that counts w stands for w rows: its multiplier has variance w.
    moved: Array = (rows - _average(rows, count)[:, None]) * np.sqrt(count / (n_rows - 1) / n_rows)
    return moved


def _single_level(largest: Array, alpha: float) -> float:
    """Return the level of one comparison at which any of all is wrong with ``alpha``."""
    from scipy.special import ndtr

    return min(alpha, 2 * float(ndtr(-np.quantile(largest, 1 - alpha, method="higher"))))


def _largest(
    rows: Array, by_seed: Array, count: Array, best: int, draws: int, rng: np.random.Generator
) -> Array:
    """Return the largest standardised difference of any pair (draws,) under no difference at all.

    A draw multiplies the influence of each row by a standard normal number, so that candidates vary
    together as they do on the rows. Seeds are too few to learn from how candidates vary together:
    their noise is drawn as if it were each candidate's own (Tukey's case), and has the share of a
    pair's variance that the seeds have. Rows and seeds are given as differences from the best.
    """
    k, n = rows.shape
    by_row = _row_influence(rows, count)
    of_seeds = _pair_variances(by_seed)
    error = np.sqrt(_pair_variances(by_row) + of_seeds)
    known = error > COPY * np.minimum(error[best], error[best][:, None])
    inverse = np.divide(1.0, error, out=np.zeros_like(error), where=known).astype(np.float32)
    share = np.sqrt(of_seeds / 2).astype(np.float32) * inverse
    width = max(1, min(BLOCK // k, 2**22 // n))
    largest = np.zeros(draws)
    for start in range(0, draws, width):
        part = largest[start : start + width]
        noise = (by_row @ rng.standard_normal((n, len(part)))).astype(np.float32)
        own = rng.standard_normal((k, len(part)), np.float32)
        for a in range(k - 1):
            z = (noise[a + 1 :] - noise[a]) * inverse[a, a + 1 :, None]
            if share.any():
                z += (own[a + 1 :] - own[a]) * share[a, a + 1 :, None]
            np.maximum(part, np.abs(z, out=z).max(axis=0), out=part)
    return largest


def _pair_variances(influence: Array) -> Array:
    """Return the squared distance of every two rows (k, k)."""
    return np.stack([_squares(influence - of_one) for of_one in influence])


def _squares(values: Array) -> Array:
    """Return the squared length of each row."""
    squares: Array = np.einsum("ij,ij->i", values, values)
    return squares


def _require_losses(losses: Sequence[Array], seeds: Sequence[Sequence[int]], count: Array) -> None:
    if len(losses) == 0 or len(losses) != len(seeds):
        got = f"{len(losses)} and {len(seeds)}"
        raise ValueError(f"losses and seeds must be of the same 1 or more candidates; got {got}")
    known = (count > 0) & (count < np.inf)
    if count.ndim != 1 or not known.all() or count.sum() <= 1:
        raise ValueError(f"count (n,) must be above 0, and above 1 in all; got {count}")
    for c, (of_seeds, names) in enumerate(zip(losses, seeds, strict=True)):
        if not names or len(set(names)) != len(names):
            raise ValueError(f"seeds[{c}] must be different, 1 or more; got {list(names)}")
        require_shape(f"losses[{c}]", of_seeds, (len(names), len(count)))
        for at in np.argwhere(~((of_seeds >= 0) & (of_seeds <= MAX_LOSS))):
            raise ValueError(
                f"losses[{c}] must lie from 0 to {MAX_LOSS:g} nats; got {of_seeds[tuple(at)]} "
                f"at seed {names[at[0]]}, row {at[1]}"
            )
