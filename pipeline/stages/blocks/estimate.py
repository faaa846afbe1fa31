"""Training blocks become estimates of effects in the population, as ``infer`` makes of rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from nn import Examples, examine, logits, loss_slope, newton, tree_sum
from nn.arrays import Array
from nn.likelihood import Point, ends_by_third, independent_columns, third_derivative
from nn.optimum import LOG_2, MAX_STEPS, newton_step, newton_steps
from pipeline.stages.attribute_tests import wald_tests
from pipeline.stages.blocks.keyed import Key, KeyedBlocks
from pipeline.stages.blocks.logits import BUCKETS, buckets_of
from pipeline.stages.bounds import whitener
from pipeline.stages.curves import blank_curves, curve_contrasts
from pipeline.stages.encode import Encoder
from pipeline.stages.infer import (
    FEW,
    LIKELIHOOD,
    Inference,
    blank_inference,
    bounded_curves,
    centring,
    estimates_of,
    fill_effects,
    identified_by,
)
from pipeline.stages.intervals import Z
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.robust import Robust, by_sandwich, student

IN_BLOCKS = "the table is read in blocks: by an expansion to third order, with Wald tests"
CLOSE = 1e-10  # squared standard errors: after a step from there none is needed
ROUNDED = 1 + 1e-12  # times a sum of losses is what it may be after rounding
NO_FIRTH = "Firth's penalised likelihood takes too many passes over a table that is read in blocks"


class Moments(NamedTuple):
    """Sums over rows: their number, and, by their counts, those of each class and of all pairs.

    ``square`` (2,) is of the squared counts of each class. ``gram`` is ``[X 1]' [X 1]``
    (d + 1, d + 1) by counts, ``plain`` the same where each row counts 1 or more.
    """

    rows: float
    size: Array
    square: Array
    gram: Array
    plain: Array


class Local(NamedTuple):
    """Sums of minus the log-likelihood of rows, its gradient and its Hessian."""

    loss: float
    gradient: Array
    hessian: Array


@on_one_thread
@np.errstate(all="ignore")
def infer_blocks(train: KeyedBlocks, encoder: Encoder) -> Inference:
    """Return what the training rows say about each input and attribute, in four passes or five.

    Maximum likelihood by Newton's method, from the optimum of the sample. It never ends a run:
    where there is no interval, ``method`` or the note of the effect says why.
    """
    start = newton(np.zeros(train.d + 1), train.sample).theta
    *sums, loss, gradient, hessian = tree_sum(train.map(partial(moments_and_local, start)))
    moments = Moments(*sums)
    present = moments.gram.diagonal()[:-1] > 0
    blank = blank_inference(encoder, centring(encoder, present), present)
    blank = replace(blank, curves=blank_curves(encoder, train.sample.X))
    kept = sorted(independent_columns(moments.gram))  # the bias last
    rarer, r = float((moments.size**2 / moments.square).min()), len(kept)
    if rarer < FEW * r:
        why = f"{rarer:,.0f} rows of the rarer class are few for {r:,} parameters, and {NO_FIRTH}"
        return replace(blank, method=f"no intervals: {why}")
    try:
        best = _maximum(train, moments, kept, start, Local(loss, gradient, hessian))
        return _estimated(train, encoder, blank, moments, kept, best)
    except np.linalg.LinAlgError:
        return replace(blank, method="no intervals: numbers are too extreme")


def moments_and_local(theta: Array, rows: Examples) -> tuple[Any, ...]:
    """Return the sums of one block: ``Moments``, and ``Local`` at ``theta``."""
    X, y, count = rows
    A, classes = np.column_stack([X, np.ones(len(X))]), np.stack([1 - y, y])
    gram = (A * count[:, None]).T @ A
    plain = gram if count.min(initial=1.0) >= 1 else A.T @ A
    moments = Moments(float(len(y)), classes @ count, classes @ count**2, gram, plain)
    return *moments, *local_of(theta, rows)


def local_of(theta: Array, rows: Examples) -> Local:
    """Return the sums of one block at ``theta``."""
    found, total = examine(theta, rows, curvature=True), rows.count.sum()
    return Local(found.loss * total, found.gradient * total, found.hessian * total)


def _estimated(
    train: KeyedBlocks,
    encoder: Encoder,
    blank: Inference,
    moments: Moments,
    kept: list[int],
    best: Point | None,
) -> Inference:
    if best is None:
        why = f"the data separate, so that the likelihood has no maximum, and {NO_FIRTH}"
        return replace(blank, method=f"no intervals: {why}")
    onto = _onto(moments, kept)
    wanted = [j for j, effect in enumerate(blank.effects) if not effect.note]
    contrasts = blank.centring[wanted]
    identified = identified_by(contrasts, kept, onto)
    inside = contrasts[identified][:, kept]
    rows = [curve_contrasts(curve, encoder, blank.centring) for curve in blank.curves]
    of = train.sample_table
    is_simple = of.group is None and of.weight is None
    estimate, quantile = (_expanded, lambda _: Z) if is_simple else (_robust, student)
    found = estimate(train, moments, best, kept, inside)
    curves = blank.curves
    if found.covariance is not None:
        wide = found.covariance * quantile(found.freedom) ** 2
        curves = bounded_curves(blank, rows, kept, onto, best, wide)
    return replace(
        blank,
        effects=fill_effects(blank.effects, wanted, identified, found.estimates),
        curves=curves,
        tests=wald_tests(encoder, onto, best, found),
        method=found.method,
    )


def _expanded(
    train: KeyedBlocks, moments: Moments, best: Point, kept: list[int], contrasts: Array
) -> Robust:
    """Return the estimates with the ends of ``nn.likelihood.expanded_ends``."""
    covariance = np.linalg.inv(best.information[0]).astype(np.float64, copy=False)
    errors = np.sqrt(np.sum(contrasts @ covariance * contrasts, axis=1))
    both = _in_all(np.column_stack([best.beta[0], covariance @ contrasts.T / errors]), kept, train)
    (third,) = tree_sum(train.map(partial(third_of_block, both)))
    ends = ends_by_third(contrasts @ best.beta[0], errors, third, Z)
    estimates = [*estimates_of(best, contrasts, ends)]
    return Robust(estimates, covariance, int(moments.rows) - 1, f"{LIKELIHOOD}; {IN_BLOCKS}")


def third_of_block(both: Array, rows: Examples) -> tuple[Array]:
    """Return the third derivatives (m,) of one block; ``both`` (d + 1, 1 + m): where, and along."""
    at = rows.X @ both[:-1] + both[-1]
    return (third_derivative(at[:, 0], at[:, 1:], rows.count),)


def _robust(
    train: KeyedBlocks, moments: Moments, best: Point, kept: list[int], contrasts: Array
) -> Robust:
    """Return the estimates by a sandwich, for rows that have groups or weights.

    Groups are taken together that are in one bucket by their hash: scores of different groups are
    independent, so that the mean of their squared sum is that of the groups.
    """
    theta = _in_all(best.beta[0], kept, train)
    bread = np.linalg.inv(best.information[0])
    if train.sample_table.group is None:
        (meat,) = tree_sum(train.map(partial(squared_scores, theta)))
        n, word = int(moments.rows), "rows"
    else:
        (sums,) = tree_sum(train.map_keyed(partial(scores_of_buckets, theta)))
        n, word = int(sums.any(axis=1).sum()), "buckets of groups"
        meat = sums.T @ sums
    return by_sandwich(best, contrasts, bread @ meat[np.ix_(kept, kept)] @ bread, n, word)


def _in_all(columns: Array, kept: list[int], train: KeyedBlocks) -> Array:
    """Return parameters (d + 1, …) of all inputs, given those of the kept ones."""
    found = np.zeros((train.d + 1, *columns.shape[1:]))
    found[kept] = columns
    return found


def squared_scores(theta: Array, rows: Examples) -> tuple[Array]:
    """Return the sum (d + 1, d + 1) of the squared scores of a block, whose rows are single."""
    scores = _scores(theta, rows)
    return (scores.T @ scores,)


def scores_of_buckets(theta: Array, rows: Examples, key: Key) -> tuple[Array]:
    """Return the sum (BUCKETS, d + 1) of the scores of the rows of each bucket."""
    bucket = buckets_of(key)
    return (np.stack([np.bincount(bucket, s, BUCKETS) for s in _scores(theta, rows).T], axis=1),)


def _scores(theta: Array, rows: Examples) -> Array:
    X, y, count = rows
    slope = loss_slope(logits(theta, X), y) * count
    return np.column_stack([X, np.ones(len(X))]) * slope[:, None]


def _onto(moments: Moments, kept: list[int]) -> Array:
    """Return the matrix (r, d + 1) by which parameters of all inputs become those of the kept."""
    square = moments.gram[np.ix_(kept, kept)]
    return np.linalg.solve(square, moments.gram[kept]).astype(np.float64, copy=False)


def _maximum(
    train: KeyedBlocks, moments: Moments, kept: list[int], theta: Array, here: Local
) -> Point | None:
    """Return where the likelihood is highest; None if nowhere. ``theta`` is where to begin.

    A pass for each step: near the maximum of a sample two are enough. Where a step does not lead
    up, damped Newton goes on from zeros.
    """
    square, before = np.ix_(kept, kept), moments.size.sum() * LOG_2
    while here.loss <= before * ROUNDED:
        slope, information = -here.gradient[kept], here.hessian[square]
        step = newton_step(information, slope)
        if slope @ step < CLOSE:
            break
        theta, before = theta + _in_all(step, kept, train), here.loss
        here = tree_sum(train.map(partial(local_of, theta)))
    else:  # as of a sample that separates
        *_, (theta, *_) = islice(newton_steps(np.zeros(len(theta)), train), MAX_STEPS)
        here = tree_sum(train.map(partial(local_of, theta)))
        slope, information = -here.gradient[kept], here.hessian[square]
        step = newton_step(information, slope)
    if not _has_maximum(slope, information, moments.plain[square]):
        return None
    beta = _onto(moments, kept) @ theta + step  # which costs no pass
    return Point(beta[None], np.full(1, -here.loss), slope[None], information[None])


def _has_maximum(slope: Array, information: Array, gram: Array) -> bool:
    """Return whether the likelihood is proven to have a maximum near by; see ``bounds``.

    No row is longer than all of them together, in the coordinates that the information whitens.
    """
    basis = whitener(information)
    longest = np.sqrt(np.trace(basis.T @ gram @ basis))
    return bool(np.linalg.norm(basis.T @ slope) * longest < 1)
