"""Training rows become estimates of effects in the population, with intervals and tests.

They are of the rows alone: neither the penalty nor the end of training has a part in them, so that
they are the same for every run on these rows, and cover whatever the run did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nn import Examples, hessian, newton
from nn.arrays import Array
from nn.likelihood import (
    Design,
    Point,
    expanded_ends,
    independent_columns,
    log_likelihood,
    maximise,
    profile_ends,
)
from pipeline.stages.attribute_tests import AttributeTest, likelihood_tests, wald_tests
from pipeline.stages.bounds import Weighted, self_concordance, whitener
from pipeline.stages.copies import INDEPENDENT, Sampling, effective_size
from pipeline.stages.curves import Curve, blank_curves, bounded, curve_contrasts
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.intervals import Z
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.robust import estimate_robust, odds_of, student

MAX_TABLE = 2e9  # products in a Hessian: more take longer than many a training
MAX_WORK = 3e8  # products in a step of all profiles at once: a tenth of a second
COST = 200  # products that an exponential and a logarithm take the time of
FEW = 10  # rows of the rarer class for each parameter: with fewer, maximum likelihood is biased
EXPANDED = "the table is large: by an expansion to third order, and without tests of attributes"
NOT_IN_TRAIN = "not in train"
NOT_IDENTIFIED = "not identified: collinear with other inputs"
NO_WEIGHT = (NOT_IN_TRAIN, NOT_IDENTIFIED)  # what a neuron has there, it has by chance
ALONE = "the only value in train"
LIKELIHOOD = "profile likelihood"
FIRTH = "profile of Firth's penalised likelihood: "
FIRTH_FEW = FIRTH + f"train has fewer than {FEW} rows of the rarer class for each parameter"
FIRTH_SEPARATED = FIRTH + "the data separate, so that the likelihood has no maximum"


@dataclass(frozen=True)
class Effect:
    """What one input does to the log-odds of class 1, against the mean of its attribute.

    ``log_odds`` is the estimate of the effect in the population, ``low`` and ``high`` bound it at
    95 %, ``odds_ratio`` is its exponential; None where train does not say, and ``note`` says why.
    ``weight`` is what the trained neuron uses instead, in log-odds: penalised, and as far as
    training went. Both are centred over the categories that train has. ``per_unit`` is the odds
    ratio of one unit of a column of numbers that is a straight line.
    """

    attribute: str
    label: str
    weight: float | None = None
    log_odds: float | None = None
    standard_error: float | None = None
    odds_ratio: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""
    per_unit: float | None = None


@dataclass(frozen=True)
class Inference:
    """Estimates by attribute and input; ``centring`` (d + 1, d + 1) makes effects of a theta."""

    effects: tuple[Effect, ...]
    tests: tuple[AttributeTest, ...]
    method: str  # a sentence: which likelihood, or why there are no intervals
    centring: Array
    curves: tuple[Curve, ...] = ()


@on_one_thread
def infer(train: Examples, encoder: Encoder, sampling: Sampling = INDEPENDENT) -> Inference:
    """Return what the training rows say about each input and attribute.

    It never ends a run: where there is no interval, ``method`` or the note of the effect says why.
    """
    present = train.count @ (train.X != 0) > 0
    blank = blank_inference(encoder, centring(encoder, present), present)
    blank = replace(blank, curves=blank_curves(encoder, train.X))
    with np.errstate(all="ignore"):
        try:
            return _infer(train, encoder, blank, sampling)
        except np.linalg.LinAlgError:
            return replace(blank, method="no intervals: numbers are too extreme")


def centring(encoder: Encoder, present: npt.NDArray[np.bool_]) -> Array:
    """Return the matrix (d + 1, d + 1) that moves the mean weight of each attribute into the bias.

    One-hot inputs of an attribute add up to 1, as does the bias, so only contrasts between weights
    are identified: the mean of an attribute's weights is whatever the random start left there. The
    mean is over categories ``present`` (d,) in train: of others nothing is known.
    """
    d = len(encoder.inputs)
    result = np.eye(d + 1)
    for block, columns in zip(encoder.blocks, encoder.slices(), strict=True):
        if isinstance(block, OneHot) and present[columns].any():
            share = present[columns] / present[columns].sum()
            result[columns, columns] -= share
            result[-1, columns] = share
    return result


def blank_inference(encoder: Encoder, centre: Array, present: npt.NDArray[np.bool_]) -> Inference:
    """Return every effect without an estimate, and why those have none that never will."""
    places = [(b, label) for b in encoder.blocks for label in b.labels]
    effects = []
    for (block, label), contrast, known in zip(places, centre[:-1], present, strict=True):
        note = "" if known else NOT_IN_TRAIN if isinstance(block, OneHot) else ALONE
        effect = Effect(block.name, label, note=note)
        if known and not contrast.any():
            effect = replace(effect, log_odds=0.0, odds_ratio=1.0, note=ALONE)
        effects.append(effect)
    tests = tuple(AttributeTest(block.name, None, 0, None) for block in encoder.blocks)
    return Inference(tuple(effects), tests, "", centre)


def _infer(train: Examples, encoder: Encoder, blank: Inference, sampling: Sampling) -> Inference:
    d = len(encoder.inputs)
    if len(train.y) * (d + 1) ** 2 > MAX_TABLE:
        return replace(blank, method="no intervals: the table is too large")
    gram = 4 * hessian(np.zeros(d + 1), train) * train.count.sum()
    kept = sorted(independent_columns(gram))  # the bias last
    onto = np.linalg.solve(gram[np.ix_(kept, kept)], gram[kept])  # beta = onto @ theta
    rarer = min(effective_size(c, train.count, sampling) for c in (train.y, 1 - train.y))
    if rarer < len(kept):
        reason = f"{rarer:,.0f} rows of the rarer class are too few for {len(kept):,} parameters"
        return replace(blank, method=f"no intervals: {reason}")
    design, best, method = _best(train, kept, onto, few=rarer < FEW * len(kept))
    wanted = [j for j, effect in enumerate(blank.effects) if not effect.note]
    contrasts = blank.centring[wanted]
    identified = identified_by(contrasts, kept, onto)
    inside = contrasts[identified][:, kept]
    rows = [curve_contrasts(curve, encoder, blank.centring) for curve in blank.curves]
    if not sampling.is_simple:
        found = estimate_robust(design, best, sampling, inside, is_maximum=method == LIKELIHOOD)
        effects = fill_effects(blank.effects, wanted, identified, found.estimates)
        tests = wald_tests(encoder, onto, best, found)
        if found.covariance is not None:
            quantile = student(found.freedom)
            curves = bounded_curves(blank, rows, kept, onto, best, found.covariance * quantile**2)
            blank = replace(blank, curves=curves)
        return replace(blank, effects=effects, tests=tests, method=found.method)
    small = len(train.y) * (len(kept) ** 2 / 2 + COST) * 2 * len(inside) < MAX_WORK
    ends = (
        profile_ends(best, inside, design, Z) if small else expanded_ends(best, inside, design, Z)
    )
    effects = fill_effects(blank.effects, wanted, identified, estimates_of(best, inside, ends))
    covariance = np.linalg.inv(best.information[0])
    curves = bounded_curves(blank, rows, kept, onto, best, covariance * Z**2)
    filled = replace(blank, effects=effects, curves=curves, method=method)
    if not small:
        return replace(filled, method=f"{method}; {EXPANDED}")
    return replace(filled, tests=likelihood_tests(encoder, onto, design, best))


def bounded_curves(
    blank: Inference, rows: list[Array], kept: list[int], onto: Array, best: Point, square: Array
) -> tuple[Curve, ...]:
    """Return the curves with estimates and intervals where they are identified.

    ``square`` (r, r) is the covariance times the square of the quantile.
    """
    return tuple(
        bounded(curve, each[:, kept], best.beta[0], square)
        if identified_by(each, kept, onto).all()
        else curve
        for curve, each in zip(blank.curves, rows, strict=True)
    )


def fill_effects(
    effects: Sequence[Effect],
    wanted: Sequence[int],
    identified: npt.NDArray[np.bool_],
    estimates: Iterable[dict[str, float | None]],
) -> tuple[Effect, ...]:
    """Return the effects with the estimates of those that are identified."""
    filled, known = list(effects), iter(estimates)
    for j, is_known in zip(wanted, identified, strict=True):
        changes: dict[str, Any] = next(known) if is_known else {"note": NOT_IDENTIFIED}
        filled[j] = replace(filled[j], **changes)
    return tuple(filled)


def _best(train: Examples, kept: list[int], onto: Array, *, few: bool) -> tuple[Design, Point, str]:
    """Return the design, where its likelihood is highest, and which likelihood it is."""
    X, y, count = train
    A = np.column_stack([X, np.ones(len(X))])[:, kept]
    free = np.zeros((1, 0, len(kept)))
    if not few:
        theta = newton(np.zeros(X.shape[1] + 1), train).theta
        design, start = Design(A, y, count), (onto @ theta)[None]
        if _is_near_maximum(start, design):
            return design, maximise(design, free, start)[0], LIKELIHOOD
    design = Design(A, y, count, firth=True)
    best, converged = maximise(design, free)
    if not converged.all():
        raise np.linalg.LinAlgError("Firth's likelihood must have a maximum")
    return design, best, FIRTH_FEW if few else FIRTH_SEPARATED


def _is_near_maximum(beta: Array, design: Design) -> bool:
    """Return whether curvature proves that the likelihood has a maximum near ``beta`` (1, r)."""
    total = design.count.sum()
    rows = Weighted(design.A, design.y, design.count / total, np.zeros(beta.shape[1]))
    basis = whitener(log_likelihood(beta, design).information[0] / total)
    return bool(np.isfinite(self_concordance(beta[0], rows, basis).bound))


def identified_by(contrasts: Array, kept: list[int], onto: Array) -> npt.NDArray[np.bool_]:
    """Return which contrasts (m, d + 1) of theta are functions of ``onto @ theta``."""
    error = np.abs(contrasts[:, kept] @ onto - contrasts)
    return np.asarray(np.max(error, axis=1, initial=0.0) < 1e-6)


def estimates_of(best: Point, contrasts: Array, ends: Array) -> Iterator[dict[str, float | None]]:
    """Yield the fields of each effect that the likelihood fills."""
    along = np.linalg.solve(best.information[0], contrasts.T)
    errors = np.sqrt(np.sum(contrasts.T * along, axis=0))
    for value, error, low, high in zip(contrasts @ best.beta[0], errors, *ends, strict=True):
        found = np.isfinite([low, high]).all()
        yield {
            "log_odds": float(value),
            "standard_error": float(error),
            "odds_ratio": odds_of(value),
            "low": float(low) if found else None,
            "high": float(high) if found else None,
        }
