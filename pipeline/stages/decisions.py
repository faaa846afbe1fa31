"""Decisions at a threshold become counts, shares with intervals, and net benefit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nn import Examples
from nn.arrays import Array
from pipeline.stages.intervals import wilson

Decisions = npt.NDArray[np.bool_]
THRESHOLDS = np.arange(1, 100) / 100  # of the decision curve


def decision_metrics(
    counts: Array, n_effective: float, n_positive: float, n_decided: float
) -> dict[str, float]:
    """Return what the four counts (2, 2) of rows say; no precision without a positive decision.

    ``n_effective`` is how many independent rows they are, ``n_positive`` how many of the positive
    ones and ``n_decided`` of those decided positive.
    """
    (tn, fp), (fn, tp) = counts.tolist()
    return {
        **_share("accuracy", tn + tp, fp + fn, n_effective),
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        **_share("precision", tp, fp, n_decided),
        **_share("recall", tp, fn, n_positive),
        "f1": 2 * tp / (2 * tp + fp + fn),
        **_share("positive_rate", tp + fp, tn + fn, n_effective),
    }


def _share(name: str, within: float, without: float, n_effective: float) -> dict[str, float]:
    """Return a share of so many independent rows and its interval; nothing of no row."""
    if not within + without:
        return {}
    share = within / (within + without)
    low, high = wilson(share, n_effective)
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def confusion(y: Array, decided: Decisions, count: Array) -> Array:
    """Return the counts (2, 2): truth by decision, class 0 first."""
    place = 2 * y.astype(np.int64) + decided
    return np.bincount(place, count, minlength=4).astype(np.float64).reshape(2, 2)


def decision_curve(p: Array, test: Examples) -> Array:
    """Return threshold, net benefit of the neuron and of deciding every row positive, per row.

    ``tp / n - fp / n * t / (1 - t)``: a true positive counts 1, a false one the odds of the
    threshold; deciding no row positive has 0 (Vickers and Elkin 2006).
    """
    _, y, count = test
    place = np.searchsorted(THRESHOLDS, p, side="right")  # how many thresholds p reaches
    n_thresholds, odds = len(THRESHOLDS), THRESHOLDS / (1 - THRESHOLDS)
    tp, fp = (
        np.bincount(place, count * c, n_thresholds + 1)[::-1].cumsum()[::-1] for c in (y, 1 - y)
    )
    net, every = tp[1:] - fp[1:] * odds, tp[0] - fp[0] * odds
    return np.column_stack([THRESHOLDS, net / count.sum(), every / count.sum()])
