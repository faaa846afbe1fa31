"""Estimates with intervals that hold where rows are grouped or weigh differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn.arrays import Array
from nn.likelihood import Design, Point, robust_covariance
from pipeline.stages.copies import Sampling

FIRTH_ALONE = "the likelihood of so few rows says too little of rows that are grouped or weighted"
ROBUST = "sandwich covariance and Student's t, for rows that are grouped or weigh differently"


@dataclass(frozen=True)
class Robust:
    """Estimates by a sandwich, their covariance (r, r) and its degrees of freedom; or none."""

    estimates: list[dict[str, float | None]]
    covariance: Array | None
    freedom: int
    method: str


def estimate_robust(
    design: Design, best: Point, sampling: Sampling, contrasts: Array, *, is_maximum: bool
) -> Robust:
    """Return the estimates with intervals that hold where rows are grouped or weigh differently.

    Wald's, by the sandwich and Student's t with as many degrees of freedom as there are independent
    observations, less one (Cameron and Miller 2015, Journal of Human Resources 50:317-372).
    """
    group, rows = sampling.group, sampling.rows
    n = (
        int(design.count.sum() if rows is None else rows.sum())
        if group is None
        else group.max() + 1
    )
    word, r = "rows" if group is None else "groups", len(best.beta[0])
    sandwich = None
    if is_maximum and n > r:
        sandwich = robust_covariance(best.beta[0], design, group, rows)
    return by_sandwich(best, contrasts, sandwich, n, word)


def by_sandwich(best: Point, contrasts: Array, sandwich: Array | None, n: int, word: str) -> Robust:
    """Return the estimates, given a sandwich (r, r) over ``n`` observations that ``word`` names.

    Without a sandwich, or where there are no more observations than parameters, no intervals.
    """
    values, r = contrasts @ best.beta[0], len(best.beta[0])
    if sandwich is None or n <= r:
        why = f"{n:,} {word} are too few for {r:,} parameters" if n <= r else FIRTH_ALONE
        estimates = [{"log_odds": v, "odds_ratio": odds_of(v)} for v in values.tolist()]
        return Robust(estimates, None, n - 1, f"no intervals: {why}")
    covariance = n / (n - 1) * sandwich
    errors = np.sqrt(np.sum(contrasts @ covariance * contrasts, axis=1))
    half = student(n - 1) * errors
    columns = zip(values.tolist(), errors.tolist(), half.tolist(), strict=True)
    bounded: list[dict[str, float | None]] = [
        {"log_odds": v, "standard_error": e, "odds_ratio": odds_of(v), "low": v - h, "high": v + h}
        for v, e, h in columns
    ]
    return Robust(bounded, covariance, n - 1, f"{ROBUST}, {n:,} {word}")


def student(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def odds_of(log_odds: float) -> float:
    """Return the exponential, finite."""
    return float(np.exp(np.clip(log_odds, -700, 700)))  # exp(710) overflows
