"""Probabilities and outcomes: how far apart they are, and how far by chance alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nn import Examples, newton
from nn.arrays import Array
from nn.neuron import average
from pipeline.stages.copies import Sampling, per_observation
from pipeline.stages.ranking import Ranked

DRAWS = 1000  # of outcomes
FINE = 20  # parts of a bin, in each of which probabilities are as good as equal


def calibration_table(
    p: Array, test: Examples, bins: int, sampling: Sampling
) -> tuple[Array, Array]:
    """Return the table of the bins, and the calibration errors (DRAWS,) of a calibrated neuron.

    A row of the table is an equally wide bin that holds rows, columns mean probability, share
    positive, number of rows, and the 95 % consistency bar (Bröcker and Smith 2007): where the share
    lies if outcomes are drawn with the probabilities that were predicted. The generator has a seed
    of its own, so that equal inputs give equal bits.
    """
    _, y, count = test
    parts, part = np.unique(parts_of(p, bins), return_inverse=True)
    n, sum_p, sum_y = (np.bincount(part, values) for values in (count, count * p, count * y))
    square = _squares(part, count, sampling)
    # The effective number of them.
    observations = np.rint(np.maximum(n**2 / square, 1)).astype(np.int64)
    rng = np.random.default_rng(0)
    drawn = rng.binomial(observations, np.minimum(sum_p / n, 1), (DRAWS, len(n)))
    _, starts = np.unique(parts // FINE, return_index=True)
    n, sum_p, sum_y, sum_drawn = (
        np.add.reduceat(values, starts, axis=-1)
        for values in (n, sum_p, sum_y, drawn * (n / observations))
    )
    if sampling.group is not None:  # an observation may have rows in several parts of a bin
        _, of_bin = np.unique(parts[part] // FINE, return_inverse=True)
        ratio = _squares(of_bin, count, sampling) / np.add.reduceat(square, starts)
        sum_drawn = np.where(ratio > 1, sum_p + (sum_drawn - sum_p) * np.sqrt(ratio), sum_drawn)
        sum_drawn = np.clip(sum_drawn, 0, n)
    low, high = np.quantile(sum_drawn / n, [0.025, 0.975], axis=0)
    chance = np.abs(sum_drawn - sum_p).sum(axis=1) / n.sum()
    return np.column_stack([sum_p / n, sum_y / n, n, low, high]), chance


def parts_of(p: Array, bins: int) -> npt.NDArray[np.int64]:
    """Return in which fine part of an equally wide bin each probability (n,) is."""
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    return place * FINE + np.minimum(((p * bins - place) * FINE).astype(np.int64), FINE - 1)


def _squares(part: npt.NDArray[np.intp], count: Array, sampling: Sampling) -> Array:
    """Return the squared sizes of all observations within each part (k,), added up."""
    if sampling.group is None:
        size, times = per_observation(np.ones(len(count)), count, sampling)
        return np.bincount(part, size**2 * times).astype(np.float64)
    _, first, pair = np.unique(
        part * (sampling.group.max() + 1) + sampling.group, return_index=True, return_inverse=True
    )
    return np.bincount(part[first], np.bincount(pair, count) ** 2).astype(np.float64)


def expected_calibration_error(calibration: Array) -> float:
    """Return the mean distance from probability to share (Naeini et al. 2015, equal widths)."""
    probability, share, n = calibration.T[:3]
    return float(n @ np.abs(probability - share) / n.sum())


def decompose(ranked: Ranked, log_loss: float, brier: float) -> dict[str, float]:
    """Return miscalibration, discrimination and uncertainty of both scores, in their units.

    CORP (Dimitriadis, Gneiting and Jordan 2021): the score of the neuron, of its probabilities
    recalibrated by isotonic regression, and of the share positive. ``score = miscalibration -
    discrimination + uncertainty``; none is negative.
    """
    positive, n = isotonic(ranked.positive, ranked.positive + ranked.negative)
    share = positive.sum() / n.sum()
    found = {}
    for name, score, spread in (("log_loss", log_loss, _entropy), ("brier", brier, _variance)):
        recalibrated = average(spread(positive / n), n)
        uncertainty = float(spread(np.array([share]))[0])
        found[f"{name}_miscalibration"] = max(score - recalibrated, 0.0)
        found[f"{name}_discrimination"] = max(uncertainty - recalibrated, 0.0)
        found[f"{name}_uncertainty"] = uncertainty
    return found


def isotonic(total: Array, n: Array) -> tuple[Array, Array]:
    """Return total and n of the blocks within which isotonic regression is constant.

    Pools adjacent violators (Ayer et al. 1955), all runs that do not rise at once: within such a
    run each neighbour violates whatever those before it are pooled to.
    """
    while True:
        starts = np.flatnonzero(np.append(True, np.diff(total / n) > 0))
        if len(starts) == len(n):
            return total, n
        total, n = np.add.reduceat(total, starts), np.add.reduceat(n, starts)


def _entropy(share: Array) -> Array:
    both = np.stack([share, 1 - share])
    entropy: Array = -(both * np.log(np.where(both > 0, both, 1))).sum(axis=0)
    return entropy


def _variance(share: Array) -> Array:
    return share * (1 - share)


def calibration_line(z: Array, y: Array, count: Array) -> tuple[float, float] | None:
    """Return slope and intercept of a logistic regression of the labels on the logits (Cox 1958).

    1 and 0 of logits that say what happens; a slope below 1 of those that say too much. None where
    a threshold separates the classes: the slope has no limit.
    """
    if separable(z, y, count):
        return None
    slope, intercept = newton(np.array([1.0, 0.0]), Examples(z[:, None], y, count)).theta
    return float(slope), float(intercept)


def separable(z: Array, y: Array, count: Array) -> bool:
    """Return whether a threshold separates the classes, but for rows at the threshold itself."""
    negative, positive = (z[(y == label) & (count > 0)] for label in (0, 1))
    return bool(positive.min() >= negative.max() or positive.max() <= negative.min())
