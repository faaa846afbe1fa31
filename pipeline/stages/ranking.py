"""A score becomes the curves of its ranking, the area under the ROC curve and its interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nn import Examples
from nn.arrays import Array
from pipeline.stages.copies import Sampling, effective_size, per_observation
from pipeline.stages.intervals import Z, wilson

MIN_OF_CLASS = 5  # observations, for an interval of the area
MIN_MISRANKED = 8  # observations of each class, for one by their variance


class Ranked(NamedTuple):
    """Distinct scores (k,), ascending, with the positive and the negative rows that have each.

    ``place`` (n,) is where the score of each row stands among them.
    """

    score: Array
    positive: Array
    negative: Array
    place: npt.NDArray[np.intp]


def rank(score: Array, y: Array, count: Array) -> Ranked:
    """Return the distinct scores and how many rows of each class have them."""
    distinct, place = np.unique(score, return_inverse=True)
    positive, negative = (np.bincount(place, count * c).astype(np.float64) for c in (y, 1 - y))
    return Ranked(distinct, positive, negative, place)


def ranking_curves(ranked: Ranked) -> tuple[Array, Array]:
    """Return the ROC curve and the precision-recall curve of a score, a point per distinct value.

    ROC: columns false positive rate, true positive rate, threshold, from infinity down; points in
    the middle of a straight line are left out. Precision-recall: columns recall, precision, from
    the lowest threshold to the point (0, 1). Both are scikit-learn's.
    """
    tp, fp = (np.cumsum(rows[::-1]) for rows in (ranked.positive, ranked.negative))
    recall, precision = np.append(tp[::-1] / tp[-1], 0.0), np.append((tp / (tp + fp))[::-1], 1.0)
    bend = (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0)
    kept = np.flatnonzero(np.concatenate([[True], bend, [True]])) if len(tp) > 2 else slice(None)
    points = np.column_stack([fp / fp[-1], tp / tp[-1], ranked.score[::-1]])[kept]
    return np.vstack([[0.0, 0.0, np.inf], points]), np.column_stack([recall, precision])


def gain_curve(roc: Array, positive_share: float) -> Array:
    """Return columns share of rows, highest score first, and share of the positive rows in them.

    At every hundredth of the rows; of rows that tie, any part holds its share of the positive ones.
    """
    rows = np.arange(101) / 100
    reached = positive_share * roc[:, 1] + (1 - positive_share) * roc[:, 0]
    return np.column_stack([rows, np.interp(rows, reached, roc[:, 1])])


def auc_interval(ranked: Ranked, test: Examples, sampling: Sampling) -> tuple[float, float] | None:
    """Return 95 % bounds of the area under the ROC curve, None where a class has too few rows.

    DeLong, DeLong and Clarke-Pearson 1988 by mid-ranks (Sun and Xu 2014), on the logit scale
    (Pepe 2003, section 5.2.4); of observations of several rows, Obuchowski 1997. A row that counts
    2 equals the row written twice.

    Their variance is that of the misranked rows, and too small or 0 where these are few. The area
    is then bounded as a share of as many pairs as the smaller class has observations: so many pairs
    are disjoint, and at an area of 1 the bound is exact but for Wilson's approximation.
    """
    _, y, count = test
    m, n = ranked.positive.sum(), ranked.negative.sum()
    # What share of the other class a row is ranked on the wrong side of, ties half.
    of_positive = 1 - (np.cumsum(ranked.negative) - ranked.negative / 2) / n
    of_negative = (np.cumsum(ranked.positive) - ranked.positive / 2) / m
    error = np.where(y == 1, of_positive[ranked.place], of_negative[ranked.place])
    area = float(1 - (count * y) @ error / m)
    observed = min(effective_size(is_class, count, sampling) for is_class in (y, 1 - y))
    rarer = error if area >= 0.5 else 1 - error
    misranked = min(effective_size(rarer * c, count, sampling) for c in (y, 1 - y))
    if observed < MIN_OF_CLASS:
        return None
    if misranked < MIN_MISRANKED:
        return wilson(area, observed)
    deviation = (error - (1 - area)) * np.where(y == 1, 1 / m, 1 / n)
    half = Z * np.sqrt(_variance(deviation, test, sampling)) / (area * (1 - area))
    low, high = (1 / (1 + (1 - area) / area * np.exp([half, -half]))).tolist()
    return low, high


def _variance(deviation: Array, test: Examples, sampling: Sampling) -> float:
    """Return the variance of the sum of ``deviation`` (n,), whose mean is 0 in each class."""
    _, y, count = test
    positive, times = per_observation(deviation * y, count, sampling)
    negative, _ = per_observation(deviation * (1 - y), count, sampling)
    m, n = (times @ (per_observation(c, count, sampling)[0] > 0) for c in (y, 1 - y))
    own = m / (m - 1) * (times @ positive**2) + n / (n - 1) * (times @ negative**2)
    return float(own + 2 * times @ (positive * negative))
