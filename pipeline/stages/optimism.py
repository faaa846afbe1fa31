"""Training rows become figures for rows not seen, by the bootstrap of counted rows.

A neuron looks better on the rows that trained it than on others. Harrell, Lee and Mark 1996
(Statistics in Medicine 15:361-387, section 6) measure by how much: each of many bootstrap samples
of the rows gets a neuron of its own, whose figures on its sample are compared with those on the
rows that the sample is from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nn import Examples, binary_cross_entropy, logits, mean_loss, newton
from nn.arrays import Array
from nn.loss import loss_and_slope, loss_curvature
from pipeline.stages.bounds import coordinates, self_concordance, weighted
from pipeline.stages.calibration import calibration_line, separable
from pipeline.stages.copies import INDEPENDENT, Sampling
from pipeline.stages.one_thread import on_one_thread

FIGURES = ("log_loss", "roc_auc", "calibration_slope", "calibration_intercept")
MAX_ROWS = 10_000  # distinct ones
MAX_WORK = 1e10  # products, of 0.3 ns each: three seconds
MIN_REFITS = 20
BLOCK = 1_000_000  # inputs of the refits that are made at once
MAX_STEPS = 100
GAIN = 1e-13  # nats per row
RIDGE = 1e-8  # where there is no penalty: of many optima the one with the least weights


@dataclass(frozen=True)
class Corrected:
    """A figure on the training rows, its optimism, and the difference of the two; None if unknown.

    ``error`` is the standard error of ``optimism`` that comes of the number of refits.
    """

    apparent: float | None
    optimism: float | None
    error: float | None
    corrected: float | None


@dataclass(frozen=True)
class Optimism:
    """What the optimum of the objective, which training leads to, achieves on rows not seen.

    ``figures`` are those of ``FIGURES``, the log loss in nats per row. ``n_rows`` is the size of a
    sample. ``one_class`` samples had rows of one class alone and were drawn again; ``separated``
    ones have no finite optimum, so that only the area under the ROC curve is known.
    """

    refits: int
    n_rows: int
    one_class: int
    separated: int
    figures: dict[str, Corrected]


@on_one_thread
@np.errstate(all="ignore")
def bootstrap_optimism(
    theta: Array, train: Examples, l2: float, refits: int, seed: int,
    sampling: Sampling = INDEPENDENT,
) -> Optimism | None:  # fmt: skip
    """Return the figures of the optimum on ``train``, corrected by ``refits`` bootstrap samples.

    ``theta`` is where to look for the optimum. Optimism falls with the number of rows as 1 / n: of
    more than ``MAX_ROWS`` distinct rows it is that of a sample of so many, times their share. Of
    many inputs fewer refits are made. Samples are of whole groups where ``sampling`` has groups; of
    rows, which then have their weights. None where not even ``MIN_REFITS`` take seconds, or numbers
    overflow.
    """
    rng = np.random.default_rng(seed)
    rows, among = train, sampling
    if len(train.y) > MAX_ROWS:
        rows, among = sample_rows(train, rng, sampling)
    work = work_of_refit(*rows.X.shape)
    refits = min(refits, max(MIN_REFITS, int(MAX_WORK / work)))
    if refits * work > MAX_WORK:
        return None
    try:
        drawn, one_class = draw_counts(rows, refits, rng, among)
        n, of_train = (s.rows_of(e.count).sum() for s, e in ((among, rows), (sampling, train)))
        found = _bootstrap(theta, train, rows, l2 or RIDGE, drawn, n / of_train)
        return replace(found, n_rows=int(n), one_class=one_class)
    except np.linalg.LinAlgError:
        return None


def work_of_refit(n: int, d: int) -> float:
    """Return about how many products a refit takes; a row alone costs as much as 2,000."""
    return n * (d**2 + 2000.0) + 4.0 * d**3


def sample_rows(
    examples: Examples, rng: np.random.Generator, sampling: Sampling = INDEPENDENT
) -> tuple[Examples, Sampling]:
    """Return ``MAX_ROWS`` rows, drawn by their counts with replacement; or so many in groups."""
    X, y, count = examples
    if sampling.group is not None:
        group = sampling.group
        order = rng.permutation(group.max() + 1)
        fits = np.cumsum(np.bincount(group)[order]) <= MAX_ROWS
        fits[:2] = True
        rows = np.flatnonzero(np.isin(group, order[fits]))
        return Examples(X[rows], y[rows], count[rows]), sampling.among(rows)
    ends = np.cumsum(sampling.rows_of(count))
    drawn = np.searchsorted(ends, rng.random(MAX_ROWS) * ends[-1], side="right")
    places, found = np.unique(drawn, return_counts=True)
    times = found.astype(np.float64)
    if sampling.rows is None:
        return Examples(X[places], y[places], times), sampling
    weight = count[places] / sampling.rows[places]
    return Examples(X[places], y[places], times * weight), Sampling(rows=times)


def draw_counts(
    examples: Examples, k: int, rng: np.random.Generator, sampling: Sampling = INDEPENDENT
) -> tuple[Array, int]:
    """Return the counts (k, n) of bootstrap samples, and how many of one class were drawn again."""
    _, y, count = examples
    rows, one_class = sampling.rows_of(count), 0
    drawn = draw_rows(rows, k, rng, sampling)
    while (again := (drawn @ y == 0) | (drawn @ (1 - y) == 0)).any():
        one_class += int(again.sum())
        drawn[again] = draw_rows(rows, int(again.sum()), rng, sampling)
    return drawn * (count / rows), one_class


def draw_rows(rows: Array, k: int, rng: np.random.Generator, sampling: Sampling) -> Array:
    """Return how many rows of each kind (k, n) are in samples: of rows, or of whole groups."""
    if sampling.group is None:
        n = int(rows.sum())
        return rng.multinomial(n, rows / n, k).astype(np.float64)
    g = sampling.group.max() + 1
    times = rng.multinomial(g, np.full(g, 1 / g), k)
    return times[:, sampling.group] * rows


def optimism_of(best: Array, rows: Examples, drawn: Array, l2: float) -> Array:
    """Return the optimism (k, 4) of k samples (k, n), in the order of ``FIGURES``; NaN if unknown.

    Loss and area of ``best`` itself on the sample, less those on the rows, are taken off: 0 on
    average, they are most of what differs from sample to sample (Konishi and Kitagawa 1996,
    Biometrika 83:875-890, section 3).
    """
    X, y, count = rows
    whole = np.tile(count, (len(drawn), 1))
    share, whole_share = (c / c.sum(axis=1, keepdims=True) for c in (drawn, whole))
    own = optima(best, np.column_stack([X, np.ones(len(y))])[None], y, share, l2)
    z, z_best = np.array([logits(theta, X) for theta in own]), logits(best, X)
    more = binary_cross_entropy(z, np.broadcast_to(y, z.shape)) - binary_cross_entropy(z_best, y)
    loss = (more * (share - whole_share)).sum(axis=1)
    pairs = zip(z, np.stack([drawn, whole], axis=1), strict=True)
    area = np.array([areas(own_z, y, counts) for own_z, counts in pairs])
    area -= np.column_stack([areas(z_best, y, counts) for counts in (drawn, whole)])
    line = calibration_lines(z, y, share) - calibration_lines(z, y, whole_share)
    if l2 <= RIDGE:
        samples = [Examples(X, y, counts) for counts in drawn]
        separated = [not has_optimum(*pair) for pair in zip(own, samples, strict=True)]
        loss[separated] = line[separated] = np.nan
    return np.column_stack([loss, area[:, 0] - area[:, 1], line])


def has_optimum(theta: Array, sample: Examples) -> bool:
    """Return whether the loss is proven to have a minimum near ``theta``."""
    rows = weighted(sample, 0.0)
    return bool(np.isfinite(self_concordance(theta, rows, coordinates(rows)).bound))


def areas(z: Array, y: Array, counts: Array) -> Array:
    """Return the area under the ROC curve of the logits (n,) for each of k ``counts`` (k, n)."""
    score = z.round(9)
    order = np.argsort(score)
    last = np.append(np.flatnonzero(np.diff(score[order])), len(z) - 1)  # of each distinct value
    negative, positive = (
        np.pad(np.cumsum((counts * side)[:, order], axis=1)[:, last], ((0, 0), (1, 0)))
        for side in (1 - y, y)
    )
    below = (negative[:, 1:] + negative[:, :-1]) / 2  # a tie is half below
    area: Array = (np.diff(positive) * below).sum(axis=1)
    return area / (negative[:, -1] * positive[:, -1])


def calibration_lines(z: Array, y: Array, share: Array) -> Array:
    """Return slope and intercept (k, 2) of the calibration of logits (k, n); NaN if separable."""
    known = np.array([not separable(row, y, s) for row, s in zip(z, share, strict=True)])
    lines = np.full((len(z), 2), np.nan)
    X = np.stack([z, np.ones_like(z)], axis=2)[known]
    lines[known] = optima(np.zeros(2), X, y, share[known], 0.0)
    return lines


def optima(start: Array, X: Array, y: Array, share: Array, l2: float) -> Array:
    """Return the optimum (k, d) for each of k ``share`` (k, n) of the rows, by damped Newton.

    ``X`` (1 or k, n, d) holds the ones of the bias, last. All k at once: ``nn.newton``, one by one,
    spends most of its time on a thousand rows on other things than arithmetic.
    """
    penalty = np.append(np.full(len(start) - 1, l2), 0.0)
    theta, size = np.tile(start, (len(share), 1)), np.ones(len(share))
    value, step, gain = _newton_step(theta, X, y, share, penalty)
    for _ in range(MAX_STEPS):
        moving = np.flatnonzero(size * gain > GAIN)
        if not len(moving):
            break
        there = theta[moving] - size[moving, None] * step[moving]
        own = X if len(X) == 1 else X[moving]
        found = _newton_step(there, own, y, share[moving], penalty)
        lower = found[0] < value[moving]
        size[moving] = np.where(lower, 1.0, size[moving] / 2)
        for old, new in zip((theta, value, step, gain), (there, *found), strict=True):
            old[moving[lower]] = new[lower]
    return theta


def _newton_step(
    theta: Array, X: Array, y: Array, share: Array, penalty: Array
) -> tuple[Array, Array, Array]:
    """Return objective (k,), Newton's step (k, d) and twice what it promises to gain (k,)."""
    z = (X @ theta[:, :, None])[:, :, 0]
    loss, slope = loss_and_slope(z, np.broadcast_to(y, z.shape))
    value = (share * loss).sum(axis=1) + theta**2 @ penalty / 2
    gradient = ((share * slope)[:, None] @ X)[:, 0] + penalty * theta
    hessian = X.swapaxes(1, 2) * (share * loss_curvature(z))[:, None] @ X + np.diag(penalty)
    step = np.empty_like(theta)
    step[:] = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
    return value, step, (gradient * step).sum(axis=1)


def _bootstrap(
    theta: Array, train: Examples, rows: Examples, l2: float, drawn: Array, share: float
) -> Optimism:
    refits, best = len(drawn), newton(theta, rows, l2).theta
    block = max(1, BLOCK // rows.X.size)
    found = np.vstack([
        optimism_of(best, rows, drawn[i : i + block], l2) for i in range(0, refits, block)
    ])  # fmt: skip
    found *= share  # of the rows that the sample has
    X, y, count = train
    z = logits(best if rows is train else newton(theta, train, l2).theta, X)
    line = calibration_line(z, y, count) or (np.nan, np.nan)
    apparent = [mean_loss(z, y, count), *areas(z, y, count[None]), *line]
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(refits)
    columns = np.column_stack([apparent, mean, error, apparent - mean]).tolist()
    return Optimism(
        refits=refits,
        n_rows=0,
        one_class=0,
        separated=int(np.isnan(found[:, 0]).sum()),
        figures={
            name: Corrected(*(value if np.isfinite(value) else None for value in row))
            for name, row in zip(FIGURES, columns, strict=True)
        },
    )
