"""Training blocks become estimates of effects in the population, as ``infer`` makes of rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np

from nn import Examples, examine, newton, tree_sum
from nn.arrays import Array
from nn.likelihood import Point, ends_by_third, independent_columns, third_derivative
from nn.optimum import LOG_2, MAX_STEPS, newton_steps
from pipeline.stages.attribute_tests import wald_tests
from pipeline.stages.blocks.keyed import KeyedBlocks
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
from pipeline.stages.robust import Robust

IN_BLOCKS = "the table is read in blocks: by an expansion to third order, with Wald tests"
NO_FIRTH = "Firth's penalised likelihood takes too many passes over a table that is read in blocks"


class Moments(NamedTuple):
    """Sums over rows: their number, the positive ones, and ``[X 1]' [X 1]`` (d + 1, d + 1)."""

    n: float
    positive: float
    gram: Array


@on_one_thread
@np.errstate(all="ignore")
def infer_blocks(train: KeyedBlocks, encoder: Encoder) -> Inference:
    """Return what the training rows say about each input and attribute, in about seven passes.

    Maximum likelihood by Newton's method, from the optimum of the sample. It never ends a run:
    where there is no interval, ``method`` or the note of the effect says why.
    """
    moments = tree_sum(train.map(count_moments))
    present = moments.gram.diagonal()[:-1] > 0
    blank = blank_inference(encoder, centring(encoder, present), present)
    blank = replace(blank, curves=blank_curves(encoder, train.sample.X))
    kept = sorted(independent_columns(moments.gram))  # the bias last
    rarer, r = min(moments.positive, moments.n - moments.positive), len(kept)
    if rarer < FEW * r:
        why = f"{rarer:,.0f} rows of the rarer class are few for {r:,} parameters, and {NO_FIRTH}"
        return replace(blank, method=f"no intervals: {why}")
    try:
        return _estimated(train, encoder, blank, moments, kept)
    except np.linalg.LinAlgError:
        return replace(blank, method="no intervals: numbers are too extreme")


def count_moments(rows: Examples) -> Moments:
    """Return the sums of one block."""
    X, y, count = rows
    A = np.column_stack([X, np.ones(len(X))])
    return Moments(float(count.sum()), float(count @ y), (A * count[:, None]).T @ A)


def _estimated(
    train: KeyedBlocks, encoder: Encoder, blank: Inference, moments: Moments, kept: list[int]
) -> Inference:
    gram = moments.gram
    square = gram[np.ix_(kept, kept)]
    onto = np.linalg.solve(square, gram[kept]).astype(np.float64, copy=False)  # @ theta is beta
    wanted = [j for j, effect in enumerate(blank.effects) if not effect.note]
    contrasts = blank.centring[wanted]
    identified = identified_by(contrasts, kept, onto)
    inside = contrasts[identified][:, kept]
    best = _maximum(train, moments, kept, onto)
    if best is None:
        why = f"the data separate, so that the likelihood has no maximum, and {NO_FIRTH}"
        return replace(blank, method=f"no intervals: {why}")
    covariance = np.linalg.inv(best.information[0]).astype(np.float64, copy=False)
    path = covariance @ inside.T
    errors = np.sqrt(np.sum(inside @ covariance * inside, axis=1))
    third = _third(train, best.beta[0], path / errors, kept)
    ends = ends_by_third(inside @ best.beta[0], errors, third, Z)
    rows = [curve_contrasts(curve, encoder, blank.centring) for curve in blank.curves]
    return replace(
        blank,
        effects=fill_effects(blank.effects, wanted, identified, estimates_of(best, inside, ends)),
        curves=bounded_curves(blank, rows, kept, onto, best, covariance * Z**2),
        tests=wald_tests(encoder, onto, best, Robust([], covariance, int(moments.n) - 1, "")),
        method=f"{LIKELIHOOD}; {IN_BLOCKS}",
    )


def _maximum(train: KeyedBlocks, moments: Moments, kept: list[int], onto: Array) -> Point | None:
    """Return where the likelihood is highest; None if nowhere."""
    theta, square = _newton(train), np.ix_(kept, kept)
    found = examine(theta, train, curvature=True)
    slope, information = -found.gradient[kept] * moments.n, found.hessian[square] * moments.n
    if not _has_maximum(slope, information, moments.gram[square]):
        return None
    # A step that costs no pass.
    beta = onto @ theta + np.linalg.solve(information, slope)
    return Point(beta[None], -found.loss * np.full(1, moments.n), slope[None], information[None])


def _newton(train: KeyedBlocks) -> Array:
    """Return the maximum of the likelihood (d + 1,), from that of the sample."""
    zeros = np.zeros(train.d + 1)
    steps = newton_steps(newton(zeros, train.sample).theta, train)
    point = next(steps)
    if not point.found.objective <= LOG_2:  # of a sample that separates
        steps = newton_steps(zeros, train)
    *_, point = [point, *islice(steps, MAX_STEPS)]
    return point.theta


def _third(train: KeyedBlocks, beta: Array, paths: Array, kept: list[int]) -> Array:
    """Return the third derivatives (m,) at ``beta`` (r,) along ``paths`` (r, m)."""
    both = np.zeros((train.d + 1, 1 + paths.shape[1]))
    both[kept] = np.column_stack([beta, paths])
    return tree_sum(train.map(partial(third_of_block, both)))[0]


def third_of_block(both: Array, rows: Examples) -> tuple[Array]:
    """Return the third derivatives (m,) of one block; ``both`` (d + 1, 1 + m): where, and along."""
    at = rows.X @ both[:-1] + both[-1]
    return (third_derivative(at[:, 0], at[:, 1:], rows.count),)


def _has_maximum(slope: Array, information: Array, gram: Array) -> bool:
    """Return whether the likelihood is proven to have a maximum near by; see ``bounds``.

    No row is longer than all of them together, in the coordinates that the information whitens.
    """
    basis = whitener(information)
    longest = np.sqrt(np.trace(basis.T @ gram @ basis))
    return bool(np.linalg.norm(basis.T @ slope) * longest < 1)
